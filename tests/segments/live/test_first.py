"""First times of somebody who sends more names than any shop has: bounded, and exact."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from personalization.customers import services as people
from personalization.events.models import EventSchema
from personalization.lib import clock
from segments.models import State
from tests.events.processor.log import DEVICE, NOW, USER, put
from tests.segments.live.shop import Sent, send
from tests.segments.live.test_membership import customer
from tests.segments.live.world import go_live, members, process

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 5_000
# bytes: 64 names and those that rules read, of some thirty bytes each
MOST_STATE = 3_000


@pytest.fixture(autouse=True)
def _described() -> None:
    """Rules name only events that are described."""
    names = ("n0", "n3999", "n4000", "n4999")
    EventSchema.objects.bulk_create(EventSchema(name=name) for name in names)


def first(event: Any, minutes: float) -> dict[str, Any]:
    """A rule: the first of the event was in these last minutes."""
    window = {"type": "last", "seconds": minutes * 60}
    return {"kind": "first_time", "event": event, "window": window}


def send_many(minute: float = 0, who: tuple[int, str] = (DEVICE, "a1")) -> None:
    """Have one visitor send MANY names, a second after another."""
    began = NOW + timedelta(minutes=minute)
    send(
        [Sent(f"{who[1]}-{n}", who, f"n{n}", began + timedelta(seconds=n)) for n in range(MANY)],
        now=began,
    )


def state_of(customer_id: int) -> dict[str, Any]:
    """Return the state as stored, which is within its bound."""
    text = State.objects.get(pk=customer_id).state
    assert len(text) < MOST_STATE
    found: dict[str, Any] = orjson.loads(text)
    return found


def test_first_times__5000_names__the_state_is_bounded_and_rules_are_exact() -> None:
    go_live("last-name", first("n4999", 60))
    go_live("any-name", first({"prefix": "n"}, 60))
    send_many(-90)

    process(1)

    one = customer()
    state_of(one)
    # an hour and a half ago it began, minutes ago it ended
    assert (members("last-name"), members("any-name")) == ([one], [])

    # somewhere in the middle: nobody has asked for these until now
    with clock.frozen(NOW + timedelta(minutes=2)):
        go_live("mid-name", first("n4000", 60))
        go_live("mid-names", first({"prefix": "n40"}, 60))
        go_live("old-names", first({"prefix": "n0"}, 60))
    assert (members("mid-name"), members("mid-names")) == ([one], [])
    assert members("old-names") == []
    state_of(one)

    # a late event is the first now; a further one of a name that was let go is not
    put("late", "n4000", minute=-80)
    put("again", "n3999", minute=2)
    process(3)
    with clock.frozen(NOW + timedelta(minutes=3)):
        go_live("again", first("n3999", 10))
    assert (members("mid-name"), members("again")) == ([], [])
    state_of(one)


def test_first_times__merged_and_parted__each_has_their_own_within_the_bound() -> None:
    go_live("mine", first("n4999", 60))
    send_many(-90)
    put("m1", "n4999", who=(USER, "u1"), minute=-90)
    process(1)
    assert members("mine") == [customer()]

    done = people.merge(customer(), customer(USER, "u1"), cause="staff", actor="t", now=NOW)
    process(2)
    assert members("mine") == []
    state_of(customer(USER, "u1"))
    people.unmerge(done.pk, actor="t", now=NOW)
    process(3)

    assert members("mine") == [customer()]
    state_of(customer())
