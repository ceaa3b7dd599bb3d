"""What a signal handler may set at any moment, and threads wait for."""

import sys
import threading
from itertools import count
from types import FrameType
from typing import Any

import pytest

from personalization.lib.stop import Stop
from tests.atonce import at_once


def waited(stop: Stop, step: int) -> list[bool]:
    """Return what `wait` says when a handler sets it before its line `step`; [] where it hangs."""
    told, steps = list[bool](), count()

    def handler(_frame: FrameType, kind: str, _argument: Any) -> Any:
        if kind == "line" and next(steps) == step:
            sys.settrace(None)
            stop.set()
        return handler

    def wait() -> None:
        sys.settrace(handler)
        try:
            told.append(stop.wait(0.05))
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(5)
    return told


@pytest.mark.parametrize("step", range(3))
def test_wait__a_signal_in_its_middle__heard_at_once(step: int) -> None:
    assert waited(Stop(), step) == [True]


def test_wait__nobody_sets_it__ends_with_its_time() -> None:
    stop = Stop()

    assert not stop.wait(0.001)
    assert not stop.is_set()


def test_set__many_wait__all_are_told() -> None:
    stop = Stop()

    def wait() -> bool:
        return stop.wait(10)

    def tell() -> bool:
        stop.set()
        return stop.is_set()

    assert all(at_once(wait, wait, tell, wait))
    assert stop.wait(10)
