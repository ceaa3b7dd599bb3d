"""Which processes live, from /proc: a reused process id is never mistaken for a server.

Where there is no /proc (macOS) nothing is found, and the servers' own lock files must do.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def working_in(directory: Path) -> list[int]:
    """Process ids that work in `directory`, as PostgreSQL's processes do in their data."""
    return [pid for pid in _all() if _link(pid, "cwd") == str(directory)]


def marked(mark: str) -> list[int]:
    """Process ids started with the environment entry `mark` (`NAME=value`), but for this one."""
    wanted = mark.encode()
    mine = os.getpid()
    return [pid for pid in _all() if pid != mine and wanted in _environment(pid)]


def alive(pid: int) -> bool:
    """Tell whether a process has this id and is not only waiting to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _state(pid) != "Z"


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each process that still lives."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_gone(pids: list[int], timeout_s: float) -> list[int]:
    """Wait until the processes are gone; return those that are not."""
    deadline = time.monotonic() + timeout_s
    left = [pid for pid in pids if alive(pid)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [pid for pid in left if alive(pid)]
    return left


def _all() -> Iterator[int]:
    if not _PROC.is_dir():
        return
    for entry in os.listdir(_PROC):
        if entry.isdigit():
            yield int(entry)


def _link(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
