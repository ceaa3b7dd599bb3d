"""Small periodic jobs of a long-lived process: registered in `apps.py`, started by its entry."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import close_old_connections

log = structlog.get_logger("lib")


@dataclass(frozen=True, slots=True)
class Periodic:
    """Call `run` about every `seconds` in processes of the given kinds.

    Kinds are `web`, `processor`, `worker` and `beat`.
    """

    name: str
    seconds: float
    run: Callable[[], object]
    kinds: frozenset[str]


_registered: dict[str, Periodic] = {}
_stop = threading.Event()
_threads: list[threading.Thread] = []
_kinds: list[str] = []
_facts: dict[str, Any] = {}


def register(name: str, *, seconds: float, run: Callable[[], object], kinds: set[str]) -> None:
    """Have `run` called every `seconds` once `start` is called for one of `kinds`."""
    if name in _registered:
        msg = f"periodic job {name!r} is registered twice"
        raise RuntimeError(msg)
    _registered[name] = Periodic(name, seconds, run, frozenset(kinds))


def start(kind: str, **facts: Any) -> None:
    """Start one daemon thread a job registered for `kind`. Calling it again does nothing.

    `facts`: plain JSON, what the process says of itself with its signs of life.
    """
    if _threads:
        return
    _kinds.append(kind)
    _facts.update(facts)
    for job in _registered.values():
        if kind in job.kinds:
            thread = threading.Thread(target=_loop, args=(job,), name=job.name, daemon=True)
            _threads.append(thread)
            thread.start()


def kind() -> str:
    """Kind of this process: what it was started as, or `command`."""
    return _kinds[-1] if _kinds else "command"


def facts() -> dict[str, Any]:
    """Return what this process says of itself."""
    return dict(_facts)


def stop(timeout_s: float = 5.0) -> None:
    """Let each job finish its turn, run it once more, and end the threads."""
    _stop.set()
    for thread in _threads:
        thread.join(timeout_s)
    _threads.clear()
    _stop.clear()


def _loop(job: Periodic) -> None:
    failed = False
    while not _stop.wait(job.seconds):
        failed = not _turn(job, quiet=failed)
    _turn(job, quiet=True)


def _turn(job: Periodic, *, quiet: bool) -> bool:
    """Run the job once; a failure is logged until it works again, and ends nothing."""
    try:
        close_old_connections()
        job.run()
    except Exception:  # worker edge: a periodic job must outlive every fault
        if not quiet:
            log.warning("background.failed", job=job.name, exc_info=True)
        return False
    return True
