"""Chromium against the real server: each page is watched for CSP, console and axe faults."""

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import Client
from django.test.testcases import LiveServerThread
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from personalization.demo.engine.traffic import Plan
from personalization.demo.services import fill
from personalization.lib import clock

# The shell draws no window of its own: a page costs three quarters of the work.
PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
SHOTS = Path(os.environ.get("SCREENSHOT_DIR", "")) if os.environ.get("SCREENSHOT_DIR") else None
THEMES = ("light", "dark")
WIDTHS = {"desktop": 1280, "phone": 390}
Look = tuple[str, str]
# Far longer than any takes; a connection that a browser keeps open must not hold the tests up.
LAST_REQUEST_S = 10
# What people with disabilities need, by WCAG 2.0-2.2 A and AA.
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

# playwright's sync API runs an event loop in this thread; Django would refuse queries beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a test in a browser one more go, which the summary tells: it shares two cores."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def browser(django_db_setup: None) -> Iterator[Browser]:
    """Chromium; without one the browser tests are skipped, which the summary (-ra) shows."""
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: browser tests did NOT run (set CHROMIUM)")
    # With playwright's loop in this thread Django hands out other connection objects, to the end of
    # the session: they, too, must know the rows of migrations, or no later test gets them back.
    rows = vars(connections["default"])["_test_serialized_contents"]
    with sync_playwright() as playwright:
        vars(connections["default"])["_test_serialized_contents"] = rows
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def _collected(django_db_setup: None) -> None:
    """Serve hashed and compressed static files, as in production."""
    call_command("collectstatic", verbosity=0, interactive=False)
    # What a process started after `collectstatic` reads by itself.
    storage: Any = staticfiles_storage
    storage.hashed_files = storage.load_manifest()[0]


@dataclass(frozen=True)
class Server:
    """The whole project behind a real socket, with its own static files (WhiteNoise)."""

    url: str


class _Server(LiveServerThread):
    """Django's own would put a handler before the project that serves no hashed names."""

    def run(self) -> None:
        """Serve until terminated."""
        self.httpd = self._create_server()  # type: ignore[attr-defined]  # not in the stubs
        self.port = self.httpd.server_address[1]
        self.httpd.set_app(get_wsgi_application())
        self.is_ready.set()
        self.httpd.serve_forever()
        connections.close_all()


@pytest.fixture
def server(_collected: None, transactional_db: None) -> Iterator[Server]:
    """Return the running server."""
    thread = _Server("127.0.0.1", static_handler=None)  # type: ignore[arg-type]  # unused by run
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    yield Server(f"http://127.0.0.1:{thread.port}")
    thread.terminate()
    _wait_for_last_requests()


def _wait_for_last_requests() -> None:
    """Let what pages sent as they closed be answered: emptying tables beside it would deadlock."""
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(LAST_REQUEST_S)


@dataclass
class Watch:
    """What went wrong on a page."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def open(self, address: str) -> Page:
        """Go there and wait until it is quiet; what axe did to the page before is no fault."""
        self.page.goto("about:blank")
        self.faults.clear()
        answer = self.page.goto(address, wait_until="load")
        assert answer is not None
        assert answer.status < 400, f"{address} answered {answer.status}"
        return self.page

    def axe(self, without: Sequence[str] = ()) -> list[str]:
        """Return axe's findings, one line an element."""
        options = {
            "runOnly": {"type": "tag", "values": AXE_TAGS},
            "rules": {rule: {"enabled": False} for rule in without},
            "resultTypes": ["violations"],
            # It would fetch style sheets again, which it need not know.
            "preload": False,
        }
        found = Axe().run(self.page, options=options).response["violations"]
        return [
            f"{rule['id']}: {node['html'][:160]} -- {node.get('failureSummary', '')[:200]}"
            for rule in found
            for node in rule["nodes"]
        ]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def shot(self, name: str) -> None:
        """Save a picture under SCREENSHOT_DIR, when that is set."""
        if SHOTS is not None:
            SHOTS.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def watch(context: BrowserContext) -> Watch:
    """Open a page that collects console errors, page errors and failed requests."""
    page = context.new_page()
    watched = Watch(page)
    page.on(
        "console",
        lambda said: (
            watched.faults.append(f"{said.type}: {said.text}")
            if said.type in {"error", "warning"}
            else None
        ),
    )
    page.on("pageerror", lambda error: watched.faults.append(f"exception: {error}"))
    page.on(
        "requestfailed",
        lambda request: (
            None
            # The page itself took it back: it asked anew, or the visitor went on.
            if request.failure == "net::ERR_ABORTED"
            else watched.faults.append(f"request failed: {request.url}: {request.failure}")
        ),
    )
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("http://localhost", "http://127.0.0.1", "data:", "blob:"))
            else watched.faults.append(f"left the server: {request.url}")
        ),
    )
    return watched


@pytest.fixture
def staff_cookie(server: Server) -> Any:
    """Return the session cookie of an administrator."""
    user = get_user_model().objects.create_superuser("mara", "mara@example.org", None)
    client = Client()
    client.force_login(user)
    cookie = client.cookies["sessionid"]
    return {"name": "sessionid", "value": cookie.value, "url": server.url}


def looks(*names: str) -> pytest.MarkDecorator:
    """Run a test in these looks alone (`light-desktop`); each costs as much as the first."""
    return pytest.mark.parametrize(
        "look", [tuple(name.split("-")) for name in names], ids=names, indirect=True
    )


@pytest.fixture(params=[(theme, size) for theme in THEMES for size in WIDTHS], ids="-".join)
def look(request: pytest.FixtureRequest) -> Look:
    """Return one theme and one size of window."""
    theme, size = request.param
    return theme, size


@pytest.fixture
def window(browser: Browser, look: Look, staff_cookie: dict[str, str]) -> Iterator[Watch]:
    """A signed-in page in that theme and size; its faults are asserted by `clean`."""
    with signed_in(browser, look, staff_cookie) as watched:
        yield watched


@contextmanager
def signed_in(browser: Browser, look: Look, cookie: dict[str, str]) -> Iterator[Watch]:
    """Open a window in that theme and size, with the session of `cookie`."""
    theme, size = look
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": WIDTHS[size], "height": 900},
        reduced_motion="reduce",
    )
    context.add_cookies([cookie])  # type: ignore[list-item]  # playwright's own TypedDict
    yield watch(context)
    context.close()


@pytest.fixture
def shop(server: Server) -> str:
    """Address of a small filled shop."""
    end = clock.now().replace(minute=0, second=0, microsecond=0)
    plan = Plan(
        seed=4, end_us=clock.to_us(end), days=30, products=300, customers=300, events=15_000
    )
    fill(say=lambda *_: None, plan=plan, first=15_000)
    return f"{server.url}/shop/"


def clean(watched: Watch, name: str) -> None:
    """Assert that the page is without fault: console, CSP, width, axe."""
    faults = faults_of(watched, name)
    assert faults == [], "\n".join(faults)


def faults_of(watched: Watch, name: str, *, without: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with the page, each fault with the page's address.

    `without` names rules of axe that the page is excused from; its test says why.
    """
    watched.shot(name)
    found = list(watched.faults)
    if watched.overflow() > 0:
        found.append(f"scrolls sideways by {watched.overflow()} px")
    found += watched.axe(without)
    # What axe itself did to the page is no fault of the page.
    watched.faults.clear()
    return [f"{name} {watched.page.url}: {fault}" for fault in found]
