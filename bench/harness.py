"""What all benchmarks share: their own servers in a fresh LOCAL_DIR, granian, the result file."""

import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `ratio` is value / ceiling.

    `holds` says whether the goal is met; None below the stated data size.
    """

    value: float
    unit: str
    ratio: float | None = None
    ceiling: float | None = None
    goal: str = ""
    holds: bool | None = None


def median_round(real: Sequence[float], bare: Sequence[float]) -> tuple[float, float, float]:
    """Return (value, ceiling, ratio) of the round whose ratio is the median one.

    `real` and `bare` were measured in turn; an even number of rounds takes the lower of the middle.
    """
    rounds = sorted(zip(real, bare, strict=True), key=lambda one: one[0] / one[1])
    value, ceiling = rounds[(len(rounds) - 1) // 2]
    return value, ceiling, value / ceiling


def write(name: str, figures: Mapping[str, Figure], protocol: str) -> None:
    """Print the result and write it to bench/results/NAME.json."""
    result = {
        "name": name,
        "figures": {key: _rounded(asdict(figure)) for key, figure in figures.items()},
        "protocol": protocol,
        "machine": machine(),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)


def _rounded(figure: dict[str, object]) -> dict[str, object]:
    return {
        key: round(value, 4) if isinstance(value, float) else value for key, value in figure.items()
    }


def machine() -> dict[str, object]:
    """Cores, memory and Python of this machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 2**30),
        "python": platform.python_version(),
    }


def prepare() -> Path:
    """Give this process its own LOCAL_DIR, running servers and a migrated database; set up Django.

    Call it before importing anything that reads settings. All is removed when the process ends.
    """
    local = Path(tempfile.mkdtemp(prefix="p13n-bench-"))
    local.chmod(0o711)  # PostgreSQL refuses root, so its user must be able to walk in
    os.environ["LOCAL_DIR"] = str(local)
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["LOG_LEVEL"] = "WARNING"
    import atexit

    from personalization.lib.embedded import servers

    def clean() -> None:
        servers.remove(local)
        shutil.rmtree(local, ignore_errors=True)

    atexit.register(clean)
    servers.start(local)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return local


def drained() -> None:
    """Run one processor, as `manage.py process` does, until nothing of the log is left."""
    from django.conf import settings
    from django.db import connection

    from personalization.events.processor import lanes, loop
    from personalization.lib import collector
    from personalization.lib.stop import Stop

    stop = Stop()

    def watch() -> None:
        while not is_drained():
            time.sleep(0.1)
        connection.close()
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    collector.calm()
    lanes.serve(stop, loop.run, lanes=settings.PROCESSOR_LANES)
    watcher.join()


def is_drained() -> bool:
    """Return whether the processors have folded all of the log."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_LEFT)
        return not cursor.fetchone()[0]


_LEFT = """
SELECT NOT EXISTS (SELECT FROM events_watermark) OR EXISTS (
    SELECT FROM events_watermark w CROSS JOIN LATERAL (
        SELECT FROM events_event e
        WHERE e.shard = w.shard AND (e.epoch, e.xid, e.seq) > (w.epoch, w.xid::text::xid8, w.seq)
        ORDER BY e.epoch, e.xid, e.seq LIMIT 1) e)
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def granian(*, workers: int = 2, **environment: str) -> Iterator[int]:
    """Serve the project as `manage.py up` does, and yield the port."""
    port = free_port()
    command = [
        *[
            sys.executable,
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--workers",
            str(workers),
            "--port",
            str(port),
        ],
        *["--blocking-threads", "4", "--no-ws", "--log-level", "warning"],
        "personalization.wsgi:application",
    ]
    server = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)
    try:
        _wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait(15)


@contextlib.contextmanager
def processor() -> Iterator[subprocess.Popen[bytes]]:
    """Run one event processor beside the benchmark."""
    running = subprocess.Popen([sys.executable, "manage.py", "process"], cwd=ROOT, env=os.environ)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(15)


def _wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
            return
        time.sleep(0.1)
    msg = "the server did not answer within 30 s"
    raise RuntimeError(msg)


def cpu_seconds(local: Path) -> float:
    """CPU time used so far by this process, those it started and waited for, and PostgreSQL."""
    postmaster = int((local / "postgres" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return (
        sum(os.times()[:4])
        + _ticks(postmaster, _OWN_AND_ENDED)
        + sum(_ticks(int(child), _OWN) for child in children)
    )


# Fields of /proc/PID/stat after the name: utime, stime, and those of children waited for.
_OWN, _OWN_AND_ENDED = slice(11, 13), slice(11, 15)


def _ticks(pid: int, fields: slice) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:  # it has just ended
        return 0.0
    return sum(map(int, text.rsplit(")", 1)[1].split()[fields])) / os.sysconf("SC_CLK_TCK")
