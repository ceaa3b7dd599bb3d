"""A pytest plugin that gives each process that runs tests its own PostgreSQL and Redis.

It names their place before Django reads its settings and starts them when the session begins. Runs
side by side do not meet: each has its own LOCAL_DIR, and each worker of pytest-xdist a directory in
it; the process that hands out the tests starts no server. PostgreSQL does not wait for the disk but
for tests that ask for `durable`. Loaded by `-p tests.servers` (pyproject.toml).
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import psycopg2
import pytest
from xdist import is_xdist_controller

from personalization.lib.embedded import paths, postgres, servers

_WORKER = os.environ.get("PYTEST_XDIST_WORKER")


def _make_local() -> Path:
    """Make the directory of this process: in that of the process that started it, if one did."""
    if _WORKER is None:
        made = Path(tempfile.mkdtemp(prefix="p13n-"))
    else:
        made = Path(os.environ["LOCAL_DIR"]) / _WORKER
        made.mkdir()
    made.chmod(0o711)  # PostgreSQL refuses root, so its user must be able to walk in
    return made


# Else the servers are those that DATABASE_URL, REDIS_URL and BROKER_URL name.
_OWN = "DATABASE_URL" not in os.environ and os.environ.get("P13N_TEST_SERVERS") != "off"
if _OWN:
    _local = _make_local()
    os.environ["LOCAL_DIR"] = str(_local)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the servers, unless workers have their own."""
    if not is_xdist_controller(session):
        if _OWN:
            # What is on the command line could not be changed later.
            with mock.patch.dict(postgres.DURABLE):
                del postgres.DURABLE["fsync"]
                servers.start(_local)
            _set_fsync("off")
    elif not _OWN:
        msg = (
            "workers (-n) would meet in the one database that DATABASE_URL names: unset it or -n 0"
        )
        raise pytest.UsageError(msg)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Stop what runs, those of a worker that crashed too, and delete it."""
    if _OWN:
        for place in (*_local.glob("gw*"), _local):
            servers.remove(place)
        shutil.rmtree(_local, ignore_errors=True)


@pytest.fixture
def durable() -> Iterator[None]:
    """Have PostgreSQL keep its promises, as every deployment's must."""
    if _OWN:
        _set_fsync("on")
    yield
    if _OWN:
        _set_fsync("off")


def _set_fsync(value: str) -> None:
    """Turn it on or off, and wait until the server has heard of it."""
    sockets = str(paths.socket_dir(_local))
    with closing(psycopg2.connect(host=sockets, user="postgres", dbname="postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER SYSTEM SET fsync = {value}")
            cursor.execute("SELECT pg_reload_conf()")
            while _setting(cursor, "fsync") != value:
                time.sleep(0.001)


def _setting(cursor: "psycopg2.extensions.cursor", name: str) -> str:
    cursor.execute("SELECT current_setting(%s)", [name])
    row = cursor.fetchone()
    return "" if row is None else str(row[0])
