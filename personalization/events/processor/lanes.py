"""One processor in several lanes: processes that share its shards, and end together.

A batch is half PostgreSQL's work and half Python's, one after the other: one lane leaves a core
idle half of the time. Lanes lease shards as processors on several machines do.
"""

import os
import signal
import threading
import time

import structlog

from personalization.events.processor import loop
from personalization.lib.supervisor import child
from personalization.ops import programs

log = structlog.get_logger("events")

# A lane ends between two batches.
_END_S = 10.0
_LOOK_S = 0.5


class LaneLostError(RuntimeError):
    """A lane ended by itself. Whoever started the processor starts it anew, with all its lanes."""


def serve(stop: threading.Event, *, lanes: int) -> None:
    """Process until `stop` is set, in this process and `lanes - 1` more.

    Raises
    ------
    LaneLostError
        After this lane has ended in good order too.
    """
    program = programs.manage("lane", "process", "--lanes", "1")
    # supervised if this one is
    mark = os.environ.get(child.MARK, "")
    others = {child.spawn(program, mark) for _ in range(lanes - 1)}
    lost: list[int] = []
    watcher = threading.Thread(target=_watch, args=(others, stop, lost), daemon=True)
    watcher.start()
    try:
        loop.run(stop)
    finally:
        stop.set()
        watcher.join()
        _end(others - set(lost))
    if lost:
        msg = f"lane {lost[0]} of the processor ended by itself"
        raise LaneLostError(msg)


def _watch(pids: set[int], stop: threading.Event, lost: list[int]) -> None:
    while not stop.wait(_LOOK_S):
        lost += [pid for pid in pids if _has_ended(pid)]
        if lost:
            log.error("processor.lane_lost", pids=lost)
            stop.set()


def _end(pids: set[int]) -> None:
    for pid in pids:
        child.signal_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_S
    left = set(pids)
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if not _has_ended(pid)}
        time.sleep(0.02)
    for pid in left:
        child.signal_group(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _has_ended(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid
