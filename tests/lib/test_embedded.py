"""The embedded servers through every fault that a single machine knows."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import redis

from personalization.lib.embedded import paths, place, postgres, processes, servers
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
NOBODY = 65534
LOAD = "import sys, pathlib; from personalization.lib.embedded import servers; "
START = "servers.start(pathlib.Path(sys.argv[1]), tuple(sys.argv[2:]))"


@pytest.fixture(name="local", scope="module")
def _local() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="p13n-e-"))
    made.chmod(0o711)
    yield made
    servers.remove(made)
    shutil.rmtree(made)


def postmaster_of(local: Path) -> int:
    pid_file = paths.data_dir(local) / "postgres" / "postmaster.pid"
    return int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])


def ask(local: Path, sql: str) -> object:
    with closing(
        psycopg2.connect(
            host=str(paths.socket_dir(local)), user="postgres", dbname="personalization"
        )
    ) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone() if cursor.description else None
    return row and row[0]


def test_start__two_processes_at_once__one_server(local: Path) -> None:
    command = [sys.executable, "-c", LOAD + START, str(local), "postgres", "cache", "broker"]

    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    codes = [process.wait(120) for process in both]

    assert codes == [0, 0]
    assert len({postmaster_of(local)}) == 1
    assert all(servers.answers(local, name) for name in ("postgres", "cache", "broker"))


def test_start__running__durable_whatever_the_configuration_says(local: Path) -> None:
    servers.start(local)
    ask(local, "ALTER SYSTEM SET fsync = off")

    servers.stop(local)
    servers.start(local)

    held = {name: ask(local, f"SHOW {name}") for name in postgres.DURABLE}
    assert held == postgres.DURABLE


def test_start__postmaster_killed__committed_rows_are_there(local: Path) -> None:
    servers.start(local)
    ask(local, "CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS n")

    os.kill(postmaster_of(local), signal.SIGKILL)
    servers.start(local)

    assert ask(local, "SELECT n FROM kept") == 7


def test_start__backend_outlives_the_postmaster__it_is_ended_first(local: Path) -> None:
    servers.start(local)
    sockets = paths.socket_dir(local)
    busy = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"
    psql = "import psycopg2, sys; psycopg2.connect(host=sys.argv[1], user='postgres', "
    psql += "dbname='personalization').cursor().execute(sys.argv[2])"
    client = subprocess.Popen(
        [sys.executable, "-c", psql, str(sockets), busy], stderr=subprocess.DEVNULL
    )
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'"
    wait_for("answer", lambda: ask(local, running))

    os.kill(postmaster_of(local), signal.SIGKILL)
    servers.start(local)

    assert ask(local, running) == 0
    assert client.wait(20) != 0


@pytest.mark.parametrize("name", ["cache", "broker"])
def test_start__redis_killed__answers_again(local: Path, name: str) -> None:
    servers.start(local)
    client = redis.Redis(unix_socket_path=str(paths.redis_socket(local, name)))
    client.set("a", "1")
    if name == "broker":
        client.config_set("appendfsync", "always")
        client.set("a", "1")
    pid = client.info("server")["process_id"]

    os.kill(pid, signal.SIGKILL)
    servers.start(local)

    assert client.ping()
    assert client.get("a") == (b"1" if name == "broker" else None)


def test_start__broker_file_unreadable__begins_anew(local: Path) -> None:
    servers.start(local)
    servers.stop(local, ("broker",))
    file = paths.data_dir(local) / "redis-broker" / "appendonly.aof"
    file.write_bytes(b"*1\r\n$-9\r\nnonsense" * 20)

    servers.start(local)

    assert servers.answers(local, "broker")
    assert (paths.data_dir(local) / "redis-broker.unreadable").is_dir()


def test_start__process_id_taken_by_another__starts(local: Path) -> None:
    servers.start(local)
    servers.stop(local, ("postgres",))
    pid_file = paths.data_dir(local) / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pid_file.parent}\n", encoding="utf-8")
    (paths.socket_dir(local) / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")

    servers.start(local)

    assert ask(local, "SELECT 1") == 1


def test_start__killed_while_making_the_data__makes_it_anew(tmp_path: Path) -> None:
    local = Path(tempfile.mkdtemp(prefix="p13n-h-"))
    local.chmod(0o711)
    half = local / "postgres.making"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")

    servers.start(local, ("postgres",))

    assert ask(local, "SELECT 1") == 1
    servers.remove(local)
    shutil.rmtree(local)


def test_sockets__other_users__cannot_connect(local: Path) -> None:
    servers.start(local)

    sockets = paths.socket_dir(local).stat()

    assert stat.S_IMODE(sockets.st_mode) == 0o700


def test_socket_dir__long_path__fits(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)

    found = paths.socket_dir(deep)

    assert len(str(found)) < 60


def test_socket_dir__made_by_somebody_else__refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    local = tmp_path / "x"
    local.mkdir()
    sockets = paths.socket_dir(local)
    sockets.mkdir(parents=True)
    os.chown(sockets, 1234, 1234)

    with pytest.raises(servers.EmbeddedServerError, match="belongs to user id 1234"):
        place.settle(local)
    shutil.rmtree(sockets)


@needs_root
def test_start__below_a_closed_directory__lives_where_its_user_can_go() -> None:
    closed = Path(tempfile.mkdtemp(prefix="p13n-c-"))
    local = closed / "clone" / ".local"

    servers.start(local)

    assert paths.data_dir(local).parent != local.parent
    assert ask(local, "SHOW data_directory") == str(paths.data_dir(local) / "postgres")
    assert all(servers.answers(local, name) for name in ("postgres", "cache", "broker"))
    outside = paths.data_dir(local)
    servers.remove(local)
    shutil.rmtree(closed)
    assert not outside.exists()


@needs_root
def test_reachable__program_below_a_closed_directory__a_copy_that_runs(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0o700)
    shutil.copy2("/bin/true", closed / "bin" / "true")
    home = Path(tempfile.mkdtemp(prefix="p13n-r-"))
    home.chmod(0o711)
    where = place.Place(data=home, sockets=home, uid=NOBODY)

    found = where.reachable(closed / "bin" / "true", closed, ["bin/true"])

    assert found == home / "programs" / "bin" / "true"
    with Path(os.devnull).open("ab") as sink:
        assert where.spawn([found], sink).wait(10) == 0
    shutil.rmtree(home)


@needs_root
def test_start__ordinary_user__works() -> None:
    if not paths.passable(ROOT, NOBODY):
        pytest.skip("this project lies where no other user can go")
    local = Path(tempfile.mkdtemp(prefix="p13n-u-"))
    os.chown(local, NOBODY, NOBODY)
    # Python itself may lie below a closed directory: its modules are read before it changes hands
    become = "import os, redis; redis.Redis(); "
    become += f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); "
    steps = [LOAD, become, START]
    command = [sys.executable, "-c", "".join(steps), str(local), "postgres", "cache", "broker"]

    done = subprocess.run(command, cwd=ROOT, check=False)

    assert done.returncode == 0
    assert all(servers.answers(local, name) for name in ("postgres", "cache", "broker"))
    assert {path.stat().st_uid for path in local.iterdir()} == {NOBODY}
    servers.remove(local)
    shutil.rmtree(local)


def test_stop__running__nothing_is_left(local: Path) -> None:
    servers.start(local)

    servers.stop(local)

    assert processes.working_in(paths.data_dir(local) / "postgres") == []
    assert not any(servers.answers(local, name) for name in ("postgres", "cache", "broker"))


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("migrate", True),
        ("shell", True),
        ("collectstatic", False),
        ("makemigrations", False),
        ("evaluate", False),
        ("up", False),
        ("demo", False),
    ],
)
def test_needed_by__command__starts_only_where_data_is_read(command: str, needed: bool) -> None:
    assert servers.needed_by(["manage.py", command]) is needed
    assert not servers.needed_by(["manage.py", command, "--help"])
