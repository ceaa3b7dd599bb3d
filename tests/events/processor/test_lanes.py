"""Lanes of a processor start together and end together."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from personalization.events.processor import lanes
from personalization.lib.stop import Stop


class Work:
    """Work that notes which process does it, and waits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, stop: Stop) -> None:
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        (self._folder / str(os.getpid())).touch()
        stop.wait(60)

    def started(self) -> list[int]:
        """Return the copies of this process that are at work."""
        return [int(one.name) for one in self._folder.iterdir() if int(one.name) != os.getpid()]


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def then(work: Work, count: int, act: Callable[[list[int]], None]) -> None:
    """Act on the copies once so many have started."""

    def wait() -> None:
        while len(work.started()) < count:
            time.sleep(0.01)
        act(work.started())

    threading.Thread(target=wait, daemon=True).start()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_lanes__told_to_stop__all_end(work: Work) -> None:
    stop = Stop()
    then(work, 2, lambda _pids: stop.set())

    lanes.serve(stop, work, lanes=3)

    assert len(work.started()) == 2
    assert not any(map(_lives, work.started()))


def test_lanes__one_is_killed__all_end_and_say_so(work: Work) -> None:
    then(work, 2, lambda pids: os.kill(pids[0], signal.SIGKILL))

    with pytest.raises(lanes.LaneLostError, match=r"lane \d+"):
        lanes.serve(Stop(), work, lanes=3)

    assert not any(map(_lives, work.started()))


def test_lanes__one_fails__all_end_and_say_so(work: Work) -> None:
    parent = os.getpid()

    def fails(stop: Stop) -> None:
        if os.getpid() != parent:
            raise ValueError
        work(stop)

    with pytest.raises(lanes.LaneLostError):
        lanes.serve(Stop(), fails, lanes=2)


def test_lanes__one_alone__starts_no_process(work: Work) -> None:
    stop = Stop()
    stop.set()

    lanes.serve(stop, work, lanes=1)

    assert not work.started()
