"""Each test starts with a process that knows nothing yet, and leaves none of its rows behind."""

import shutil
from collections.abc import Generator, Iterator

import hypothesis
import pytest
from django.conf import settings
from pytest_django.plugin import DjangoDbBlocker
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from personalization.access import limits
from personalization.catalog import serve as catalogue
from personalization.customers import documents
from personalization.decisions import record
from personalization.lib import redisclient
from personalization.ops import serve as config
from recommender import live, masks, ready
from tests import rows

# Rooms whose files take longest, longest first: begun last, one would keep a worker by itself.
_LONG_ROOMS = ("faults", "browser", "flows", "fuzz")
_kept = pytest.StashKey[rows.Kept]()


class _Files(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types
    """A worker takes a file at a time, and one alone takes `faults`: each test there is a whole
    deployment, and two at once would only make each other late."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "tests/faults" if file.startswith("tests/faults/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Files | None:
    """Hand out the tests by `_Files` when asked to go by files, as `make test` does."""
    return _Files(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Have Django put no rows of migrations back (`tests/rows.py` does); long rooms first."""
    for item in items:
        marker = item.get_closest_marker("django_db")
        if marker is not None and marker.kwargs.get("transaction"):
            kwargs = {"serialized_rollback": True, **marker.kwargs}
            item.add_marker(pytest.mark.django_db(**kwargs), append=False)
    yield
    items.sort(key=_begins)


def _begins(item: pytest.Item) -> int:
    rooms = (f"tests/{room}/" for room in _LONG_ROOMS)
    found = (place for place, room in enumerate(rooms) if item.nodeid.startswith(room))
    return next(found, len(_LONG_ROOMS))


def pytest_configure() -> None:
    """Have properties fail by what they find, not by how busy the machine is."""
    hypothesis.settings.register_profile(
        "unhurried",
        hypothesis.settings(),
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("unhurried")
    # else each client says that no page will be styled
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    # not worth a million rounds
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Make the database and keep the rows of its migrations."""
    with django_db_blocker.unblock():
        request.config.stash[_kept] = rows.keep()
    yield
    # With the last test goes the database.
    del request.config.stash[_kept]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Have the rows of migrations there again once Django has emptied all tables."""
    yield
    kept = item.config.stash.get(_kept, None)
    if kept is not None and _is_transactional(item):
        kept.restore()


def _is_transactional(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    asked = marker is not None and bool(marker.kwargs.get("transaction"))
    return asked or "transactional_db" in getattr(item, "fixturenames", ())


@pytest.fixture(autouse=True)
def _fresh_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget the configuration, epochs, buckets and cache of the test before."""
    for module in (config, catalogue, live, masks, ready):
        module.forget()
    documents.reset()
    limits.reset()
    shutil.rmtree(settings.LAST_GOOD_DIR, ignore_errors=True)
    redisclient.reset()
    marker = request.node.get_closest_marker("django_db")
    if marker is not None or "db" in request.fixturenames:
        try:
            redisclient.call_bulk(lambda client: client.flushdb())
        except redisclient.Away:
            redisclient.reset()
    yield
    # Else the end of the run would write them, to the database that is no test's.
    record.forget()
