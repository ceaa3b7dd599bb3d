"""Lanes of a processor start together and end together."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from personalization.events.processor import lanes, loop
from personalization.lib.supervisor import child
from personalization.lib.supervisor.plan import Program
from personalization.ops import programs


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Lanes that only wait; the process ids of those started."""
    pids: list[int] = []
    spawn = child.spawn

    def noted(program: Program, mark: str) -> int:
        pids.append(spawn(program, mark))
        return pids[-1]

    monkeypatch.setattr(child, "spawn", noted)
    monkeypatch.setattr(programs, "manage", lambda name, *_: Program(name, ["sleep", "600"]))
    monkeypatch.setattr(loop, "run", lambda stop: stop.wait(30))
    yield pids
    for pid in pids:
        child.signal_group(pid, signal.SIGKILL)


def _when_started(pids: list[int], count: int, then: object) -> None:
    def wait() -> None:
        while len(pids) < count:
            time.sleep(0.01)
        assert callable(then)
        then()

    threading.Thread(target=wait, daemon=True).start()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_lanes__told_to_stop__all_end(started: list[int]) -> None:
    stop = threading.Event()
    _when_started(started, 2, stop.set)

    lanes.serve(stop, lanes=3)

    assert len(started) == 2
    assert not any(map(_lives, started))


def test_lanes__one_is_killed__all_end_and_say_so(started: list[int]) -> None:
    _when_started(started, 2, lambda: os.kill(started[0], signal.SIGKILL))

    with pytest.raises(lanes.LaneLostError, match=r"lane \d+"):
        lanes.serve(threading.Event(), lanes=3)

    assert not any(map(_lives, started))


def test_lanes__one_alone__starts_no_process(started: list[int]) -> None:
    stop = threading.Event()
    stop.set()

    lanes.serve(stop, lanes=1)

    assert not started
