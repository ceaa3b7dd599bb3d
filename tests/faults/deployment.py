"""A whole `manage.py up` of its own: fresh LOCAL_DIR, free port, and ways to look inside."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import redis

from personalization.lib.embedded import paths, processes, servers
from personalization.lib.supervisor import child
from personalization.lib.supervisor.supervisor import read_state
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("servers", "web", "processor", "worker", "learner", "beat")
# Answers in a row, over connections of their own, that show that no web worker is behind.
_KNOWN_BY = 20
# A cold start makes a cluster, migrates and starts five programs, on two busy cores.
START_TIMEOUT_S = 180.0


def elsewhere(folder: Path) -> Path:
    """Make a package of somebody's whose modules are called as ours are, and Python's own."""
    for name in ("__init__", "json", "socket", "celery", "granian", "personalization/__init__"):
        module = folder / f"{name}.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("raise SystemExit(f'imported {__file__}')\n")
    return folder


class Deployment:
    """One running deployment and how to reach it."""

    def __init__(self, **environment: str) -> None:
        self.local = Path(tempfile.mkdtemp(prefix="p13n-f-"))
        self.local.chmod(0o711)
        self.port = _free_port()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PROMETHEUS")}
        for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL"):
            inherited.pop(name, None)
        own = {"LOCAL_DIR": str(self.local), "PORT": str(self.port), "LOG_LEVEL": "WARNING"}
        self.environment = {**inherited, **own, **environment}
        self.log = self.local / "up.log"
        self._where = elsewhere(self.local / "elsewhere")
        self._up: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start `manage.py up` and wait until it is ready."""
        self.launch()
        wait_for("a first answer", self.is_ready, START_TIMEOUT_S, self.told)

    def launch(self) -> None:
        """Start `manage.py up`, whatever becomes of it."""
        with self.log.open("ab") as sink:
            self._up = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "up"],
                cwd=self._where,  # no matter from where
                env=self.environment,
                stdout=sink,
                stderr=sink,
            )

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        assert self._up is not None
        self._up.send_signal(signal.SIGINT)
        return self._up.wait(90)

    def wait(self) -> int:
        """Wait until it has ended by itself; return its exit code."""
        assert self._up is not None
        return self._up.wait(START_TIMEOUT_S)

    def kill_supervisor(self) -> None:
        """Kill -9 the supervisor alone."""
        assert self._up is not None
        self._up.kill()
        self._up.wait(10)

    def remove(self) -> None:
        """End what is left and delete everything."""
        if self._up is not None and self._up.poll() is None:
            self._up.kill()
            self._up.wait(10)
        processes.send(self.processes(), signal.SIGKILL)
        servers.remove(self.local)
        shutil.rmtree(self.local, ignore_errors=True)

    def processes(self) -> list[int]:
        """Process ids of all programs and what they started."""
        return processes.marked(f"{child.MARK}={self.local.resolve()}")

    def program(self, name: str) -> int:
        """Process id of a program, or 0 while it is down."""
        return read_state(self.local).get(name, 0)

    def manage(self, *arguments: str) -> str:
        """Run one command of manage.py and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def key(self, kind: str = "secret") -> str:
        """Make an API key and wait until every web worker knows it: each looks once a second."""
        made = self.manage("create_key", "--kind", kind, "--name", "faults")
        key = made.strip().splitlines()[-1]
        asked = {"anonymousId": "first", "placements": []}

        def is_known() -> bool:
            return self.call("POST", "/v1/decide", asked, key=key)[0] != 401

        wait_for("the key", lambda: all(is_known() for _ in range(_KNOWN_BY)), 30.0, self.told)
        return key

    def call(
        self, method: str, path: str, body: Any = None, *, key: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """Send one request on a fresh connection."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as web:
            web.request(method, path, orjson.dumps(body) if body is not None else None, headers)
            answer = web.getresponse()
            return answer.status, orjson.loads(answer.read() or b"{}")

    def is_ready(self) -> bool:
        """Whether the web answers that it can take events."""
        return self.health("ready") == 200

    def health(self, probe: str) -> int:
        """Status of the probe `live` or `ready`; 0 while nothing listens."""
        try:
            return self.call("GET", f"/healthz/{probe}")[0]
        except (OSError, HTTPException):
            return 0

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask the deployment's PostgreSQL."""
        sockets = str(paths.socket_dir(self.local))
        connection = psycopg2.connect(
            host=sockets, user="postgres", dbname="personalization", connect_timeout=3
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def redis(self, name: str) -> redis.Redis:
        """Return a client of the deployment's `cache` or `broker`."""
        return redis.Redis(
            unix_socket_path=str(paths.redis_socket(self.local, name)), socket_timeout=2
        )

    def told(self) -> str:
        """Return the end of what `up` and its programs printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])


@contextmanager
def deployed(**environment: str) -> Iterator[Deployment]:
    """Yield a running deployment; nothing is left of it afterwards."""
    deployment = Deployment(**environment)
    try:
        deployment.start()
        yield deployment
    finally:
        deployment.remove()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
