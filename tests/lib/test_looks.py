"""Who looks for news: readers, until a watcher does; nobody is told of nothing meanwhile."""

import threading

import pytest

from personalization.lib import looks
from personalization.lib.looks import Looks
from tests.waiting import wait_for


def test_readers__during_the_first_look__wait_for_it() -> None:
    """A worker that was just started has two requests at once, before its watcher has turned."""
    mine, held, told = Looks(), list[str](), list[list[str]]()
    began, may_end = threading.Event(), threading.Event()

    def look() -> None:
        with mine.one():
            began.set()
            assert may_end.wait(10)
            held.append("all")

    def read() -> None:
        mine.by_reader(look)
        told.append(list(held))

    readers = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    readers[0].start()
    assert began.wait(10)
    for one in readers[1:]:
        one.start()
    for one in readers:
        one.join(0.1)
    assert told == []
    may_end.set()
    wait_for("all readers", lambda: len(told) == 3, 10)

    assert told == [["all"]] * 3
    assert held == ["all"]


def test_readers__during_the_watchers_first_look__wait_for_it_and_make_none() -> None:
    mine, asked, told = Looks(), list[int](), list[int]()
    began, may_end = threading.Event(), threading.Event()

    def look() -> None:
        with mine.one():
            asked.append(1)
            began.set()
            assert may_end.wait(10)

    def read() -> None:
        mine.by_reader(look)
        told.append(len(asked))

    threading.Thread(target=mine.by_watcher, args=(look,), daemon=True).start()
    assert began.wait(10)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(0.1)
    assert told == []
    may_end.set()
    reader.join(10)

    assert told == [1]


def test_readers__a_look_that_failed__ask_again_after_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, asked = Looks(), list[int]()

    def look() -> None:
        with mine.one():
            asked.append(1)
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 -- raised here
        mine.by_reader(look)
    mine.by_reader(look)
    assert len(asked) == 1

    monkeypatch.setattr(looks, "UNWATCHED_S", 0.0)
    with pytest.raises(OSError):  # noqa: PT011 -- raised here
        mine.by_reader(look)


def test_watcher__its_first_look_has_ended__readers_rely_on_it() -> None:
    mine, asked = Looks(), list[bool]()

    def look() -> None:
        with mine.one():
            asked.append(mine.watched)

    mine.by_watcher(look)
    mine.by_reader(look)

    assert asked == [False]
    assert mine.watched
