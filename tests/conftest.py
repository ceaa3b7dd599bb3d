"""Each test starts with a process that knows nothing yet, and leaves none of its rows behind."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from personalization.access import limits
from personalization.catalog import serve as catalogue
from personalization.decisions import record
from personalization.lib import redisclient
from personalization.ops import serve as config
from recommender import live

# Made by raw SQL, so that Django's flush after a transactional test does not know them.
_RAW_TABLES = ("events_event",)
# Of many partitions and few rows: deleting is quicker than cutting off.
_PARTED_TABLES = ("events_fact", "events_firstseen")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Bring rows made by migrations back after transactional tests; hand out file by file.

    A transactional test leaves no row behind, not even one of a migration, and only the next of its
    kind brings them back: as pytest-django sorts them, so each worker runs them, after the others.
    """
    for item in items:
        marker = item.get_closest_marker("django_db")
        kind = ""
        if marker is not None and marker.kwargs.get("transaction"):
            kwargs = {"serialized_rollback": True, **marker.kwargs}
            item.add_marker(pytest.mark.django_db(**kwargs), append=False)
            kind = "-committed"
        room = item.path.relative_to(Path(__file__).parent)
        group = room.parts[0] if room.parts[0] == "faults" else str(room)
        item.add_marker(pytest.mark.xdist_group(f"{group}{kind}"))
    yield
    items.sort(key=lambda item: item.path.parent.name != "faults")


@pytest.fixture(autouse=True)
def _fresh_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget the configuration, buckets and cache of the test before."""
    for module in (config, catalogue, live):
        module.forget()
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
    if marker is not None and marker.kwargs.get("transaction"):
        _empty_raw_tables(request)


def _empty_raw_tables(request: pytest.FixtureRequest) -> None:
    blocker = request.getfixturevalue("django_db_blocker")
    with blocker.unblock(), connection.cursor() as cursor:
        for table in _RAW_TABLES:
            cursor.execute(f"TRUNCATE {table}")
        for table in _PARTED_TABLES:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 -- constants
