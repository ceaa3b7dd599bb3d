"""One processor in several lanes: processes that share its shards, and end together.

A batch is half PostgreSQL's work and half Python's, one after the other: one lane leaves a core
idle half of the time. Lanes lease shards as processors on several machines do.
"""

import os
import signal
import threading
import time
from collections.abc import Callable

import structlog
from django.db import connections

from personalization.lib.stop import Stop
from personalization.lib.supervisor import child

log = structlog.get_logger("events")

# A lane ends between two batches.
_END_S = 10.0
_LOOK_S = 0.5

Work = Callable[[Stop], None]


class LaneLostError(RuntimeError):
    """A lane ended by itself. Whoever started the processor starts it anew, with all its lanes."""


def serve(stop: Stop, work: Work, *, lanes: int) -> None:
    """Have `work` done until `stop` is set, in this process and in `lanes - 1` copies of it.

    Call it from the main thread before anything was begun: a copy has no other threads, no
    connections, and shares the memory of what is loaded.

    Raises
    ------
    LaneLostError
        After this lane has ended in good order too.
    """
    connections.close_all()
    others = {_forked(stop, work) for _ in range(lanes - 1)}
    lost: list[int] = []
    watcher = threading.Thread(target=_watch, args=(others, stop, lost), daemon=True)
    watcher.start()
    try:
        work(stop)
    finally:
        stop.set()
        watcher.join()
        _end(others - set(lost))
    if lost:
        msg = f"lane {lost[0]} of the processor ended by itself"
        raise LaneLostError(msg)


def _forked(stop: Stop, work: Work) -> int:
    follow = child.end_with(os.getpid())
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        follow()
        work(stop)
        code = 0
    except Exception:  # worker edge: what follows is the end of the process
        log.exception("processor.lane_failed")
    finally:
        os._exit(code)


def _watch(pids: set[int], stop: Stop, lost: list[int]) -> None:
    while not stop.wait(_LOOK_S):
        lost += [pid for pid in pids if _has_ended(pid)]
        if lost:
            log.error("processor.lane_lost", pids=lost)
            stop.set()


def _end(pids: set[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_S
    left = set(pids)
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if not _has_ended(pid)}
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _has_ended(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid
