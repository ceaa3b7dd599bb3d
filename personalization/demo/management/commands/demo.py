"""`manage.py demo`: everything up, with a demo shop; `--remove` takes the demo's data away."""

import contextlib
import http
import http.client
import time
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.urls import reverse

from personalization.access.staff import create_login
from personalization.demo import browsing, removal, services, state
from personalization.demo.engine.words import SHOP_NAME
from personalization.lib import clock
from personalization.lib.embedded import servers
from personalization.lib.errors import AppError
from personalization.lib.supervisor.plan import Program
from personalization.ops import programs
from personalization.ops.errors import Cancelled
from personalization.ops.management.commands import up

# A line of progress at most this often, so that the addresses stay on the screen.
_SAY_EVERY_S = 2.0
# A web that starts beside this takes seconds; one that does not come must not keep the addresses.
_WEB_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.25
# When a call shows what the one before it said.
_PERSONAL = "personal a second later (what is popular while the first models are loaded)"
_PERSONAL_FILLING = (
    "what is popular until your event is read: while the shop is being filled\n"
    "it waits for the demo's own, a minute or two; personal a second later once all are in"
)


class Command(up.Command):
    """`manage.py up` with one more program: the filling of the shop."""

    help = "Run everything with a demo shop: products, customers, events, models, a storefront."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command line."""
        parser.add_argument("--remove", action="store_true", help="delete the demo's data, and end")
        parser.add_argument(
            "--fill", action="store_true", help="fill the shop beside servers that run, and end"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run everything; or fill; or remove."""
        if not options["remove"] and not options["fill"]:
            super().handle(*args, **options)
            return
        try:
            servers.ensure()
            if options["remove"]:
                self._remove()
            else:
                self._fill()
        except Cancelled as error:
            self._say("demo", f"{error.message}; `make demo` goes on from there")
        except AppError as error:
            raise CommandError(error.message) from error
        except servers.EmbeddedServerError as error:
            raise CommandError(str(error)) from error

    def _programs(self) -> list[Program]:
        return [*programs.programs(), programs.manage("demo", "demo", "--fill", once=True)]

    def _fill(self) -> None:
        teller = _Teller(self)
        fresh = services.fill(say=teller.say)
        if fresh:
            self._say("demo", "all events are in, models trained on the whole")
            self._browse()
        self._wait_for_web()
        # again at the end: what people need stands last on the screen, with a link that is fresh
        teller.tell_addresses()

    def _wait_for_web(self) -> None:
        """Return once the web answers: a full shop is told of as soon as that is true."""
        give_up_s = time.monotonic() + _WEB_WITHIN_S
        while not up.web_answers():
            if time.monotonic() > give_up_s:
                self._say("demo", f"the web does not answer yet on port {settings.PORT}")
                return
            time.sleep(_LOOK_EVERY_S)

    def _browse(self) -> None:
        """Have some customers walk through the open shop, so that pages of results live."""
        demo = state.current()
        if demo is None:
            return
        try:
            walked = browsing.browse(demo.plan, _post_with(services.ensure_keys().secret))
        except (OSError, http.client.HTTPException) as error:
            self._say("demo", f"nobody walks through the shop, as its door is shut: {error}")
            return
        self._say(
            "demo",
            f"{walked.walks} customers walked through the shop: {walked.clicks} clicks on shelves, "
            f"{walked.orders} orders",
        )

    def _remove(self) -> None:
        removed = removal.remove(say=lambda what, done: self._say("demo", f"{what}: {done:,}"))
        self._say("demo", "removed" if removed else "there is no demo here")


def _post_with(key: str) -> browsing.Post:
    """Return what posts to the web of this machine with a key."""

    def post(path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        web = http.client.HTTPConnection("127.0.0.1", settings.PORT, timeout=10)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with contextlib.closing(web):
            web.request("POST", path, orjson.dumps(body), headers)
            answer = web.getresponse()
            told = answer.read()
        if answer.status != http.HTTPStatus.OK:
            msg = f"{path} answered {answer.status}"
            raise http.client.HTTPException(msg)
        found: Mapping[str, Any] = orjson.loads(told)
        return found

    return post


class _Teller:
    """Says on the terminal how far the filling is, and, once people can look, where."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._said_at_s = 0.0
        self._stage = ""
        self.told = False

    def say(self, stage: str, done: int, total: int) -> None:
        """Write a line when the stage changes, else now and then."""
        if not self.told and _ready() and up.web_answers():
            self.tell_addresses(filling=True)
        now_s = time.monotonic()
        if stage == self._stage and now_s - self._said_at_s < _SAY_EVERY_S:
            return
        self._stage, self._said_at_s = stage, now_s
        share = f" {done:,} of {total:,} ({100 * done // total} %)" if total else ""
        self._command._say("demo", f"{stage}{share}")

    def tell_addresses(self, *, filling: bool = False) -> None:
        """Write addresses, keys and two calls to try."""
        self.told = True
        base = f"http://127.0.0.1:{settings.PORT}"
        self._command.stdout.write(addresses(base, filling=filling))
        self._command.stdout.flush()


def addresses(base: str, *, filling: bool) -> str:
    """Return what people need to try the demo at `base`: addresses, keys, calls.

    While it is `filling`, events wait behind those of the demo.
    """
    keys = services.ensure_keys()
    token = create_login(
        username="admin", role="admin", actor=f"{services.ACTOR} shop", now=clock.now()
    )
    return f"""
{SHOP_NAME}, the demo shop, is open.

  Shop            {base}/shop/
  Admin           {base}{reverse("one-time-login", args=[token])}
                  (press its button within 30 minutes; `manage.py login_link` makes another)
  API explorer    {base}/api/docs/
  Public key      {keys.public}
  Secret key      {keys.secret}

Send an event:
  curl -s {base}/v1/track -H 'Authorization: Bearer {keys.secret}' -d \\
    '{{"event": "Product Viewed", "anonymousId": "lark-v-me",
      "properties": {{"product_id": "lark-00001"}}}}'
Get recommendations, {_PERSONAL_FILLING if filling else _PERSONAL}:
  curl -s '{base}/v1/recommendations/for-you?anonymousId=lark-v-me&count=5' \\
    -H 'Authorization: Bearer {keys.secret}'
(With the public key curl itself would be the visitor, and count as a robot.)

Ctrl-C stops everything, `make demo` goes on from there, `make clean` takes it all away.

"""


def _ready() -> bool:
    demo = state.current()
    return demo is not None and demo.ready
