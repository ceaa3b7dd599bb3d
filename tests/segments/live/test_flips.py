"""A rule that turns by itself more often than its verdict foretells: exact, or told as unknown."""

from datetime import timedelta

import orjson
import pytest

from personalization.customers import serve as customers
from personalization.decisions.serve import answer, decide
from personalization.decisions.wire import Ask
from personalization.lib import clock
from segments import serve
from segments.engine.program import INCOMPLETE, MOST_FLIPS
from segments.models import State
from tests.events.processor.log import NOW, put
from tests.segments.live.test_membership import customer, decided
from tests.segments.live.world import go_live, members, process, story, tick

pytestmark = pytest.mark.django_db(transaction=True)

# Half an hour apart, the newest at NOW; each is in the window for 20 minutes, three hours later.
VIEWS = 7
COMES, GOES = 180, 200
RULE = {
    "kind": "count",
    "event": "Product Viewed",
    "window": {"type": "between", "from_seconds": GOES * 60, "to_seconds": COMES * 60},
    "op": "gte",
    "value": 1,
}
# The last moment that the verdict of minute 1 foretells: out, in, out, in, out, in.
FORETOLD = 90


def seen() -> None:
    """Have the rule live, and all views folded."""
    go_live("echo", RULE)
    for number in range(VIEWS):
        put(f"m{number}", product_id="sku1", minute=-30 * number)
    process(1)


def holds(minute: float) -> bool:
    return any(COMES - 30 * n <= minute < GOES - 30 * n for n in range(VIEWS))


def unsure(minute: float) -> bool:
    read = customers.read(user_id=None, anonymous_id="a1")
    assert read.document is not None
    now_us = clock.to_us(NOW + timedelta(minutes=minute))
    return serve.unsure(read.document.parts, now_us=now_us)


def test_many_turns__no_worker_ran__exact_as_far_as_foretold_then_told_as_unknown() -> None:
    seen()
    (told,) = orjson.loads(State.objects.get().verdicts).values()
    assert len(told) == 1 + MOST_FLIPS
    assert told[0] & INCOMPLETE

    for minute in range(1, COMES + 40):
        assert unsure(minute) == (minute >= FORETOLD)
        if minute < FORETOLD:
            assert (decided(minute) == ["echo"]) == holds(minute)


def test_many_turns__worker_at_work__exact_to_the_end() -> None:
    seen()

    for minute in range(1, COMES + 40, 5):
        tick(minute)
        assert (decided(minute) == ["echo"]) == (members("echo") == [customer()]) == holds(minute)
        assert not unsure(minute)
    # by their own times, whenever the worker came by
    turned = [at for _, cause, at in story("echo") if cause == "time"]
    assert turned == sorted(
        [GOES - 30 * n for n in range(VIEWS)] + [COMES - 30 * n for n in range(VIEWS - 1)]
    )


def test_many_turns__worker_that_comes_late__decides_by_the_moment() -> None:
    seen()

    tick(FORETOLD + 25)

    assert members("echo") == ([customer()] if holds(FORETOLD + 25) else [])
    assert not unsure(FORETOLD + 25)


@pytest.mark.parametrize(("minute", "late"), [(FORETOLD - 1, False), (FORETOLD + 25, True)])
def test_decide__more_turns_than_foretold__says_so(minute: int, late: bool) -> None:
    seen()
    at = NOW + timedelta(minutes=minute)

    with clock.frozen(at):
        told = answer(decide(Ask(anonymous_id="a1"), None, gpc=False, now=at))

    assert ("segments:late" in told["degraded"]) is late
