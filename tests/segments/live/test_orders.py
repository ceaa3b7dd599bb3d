"""Any order, any batches, any processors, any moments: the same members, and the oracle's."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from personalization.customers import documents
from personalization.events.processor import replaying
from personalization.events.processor.loop import Processor
from personalization.lib import clock
from segments import services
from segments.live import timers
from segments.models import Membership, Segment
from tests.events.processor.log import NOW
from tests.segments.live import truth
from tests.segments.live.shop import EDITED, Dice, Visitors, batches, open_shop, send
from tests.segments.live.world import process, take_in

pytestmark = pytest.mark.django_db(transaction=True)

_AT_ONCE = 2


def together(limits: list[int]) -> None:
    """Have as many processors as limits fold what is new at once, in small batches."""
    with ThreadPoolExecutor(len(limits)) as pool:
        list(pool.map(_work, limits))


def _work(limit: int) -> None:
    processor = Processor()
    processor.start()
    processor._owner, processor._limit = "", limit
    try:
        for _ in range(40):
            if not processor.turn():
                break
            processor._limit = limit
    finally:
        connection.close()


def walk(seed: int, *, events: int, acts: float) -> None:
    """Let a shop live through `events` in an order of its own, and look at the end of it."""
    pick = Dice(seed)
    visitors = Visitors(seed, users=6, devices=5)
    with clock.frozen(NOW):
        open_shop(listed=["u1", "u3", "d2"])
    minute = 0.0
    edited = parted = False
    for number, batch in enumerate(batches(visitors.events(events, now=NOW), pick)):
        minute += pick.choice((0.1, 1, 30, 600))
        now = NOW + timedelta(minutes=minute)
        with clock.frozen(now):
            send(batch, now=now)
            if pick.random() < acts:
                visitors.act(now=now)
            if pick.random() < 0.5:
                together([1 + pick.below(3) for _ in range(_AT_ONCE)])
            if pick.random() < 0.3:
                timers.run()
            if number == 3:
                replaying.replay()
            if not edited and number > 4:
                for key, rule in EDITED.items():
                    services.save_draft(key=key, rule=rule, actor="test")
                    services.publish_segment(key=key, actor="test")
                edited = True
                take_in()
            elif edited and not parted and number > 7:
                services.roll_back(key="fans", actor="test")
                parted = True
                take_in()
    settle(minute + 1)


def settle(minute: float) -> None:
    """Fold, take in and turn what is left; nothing may be wrong then, nor later."""
    for later in (0.0, 31.0):
        now = NOW + timedelta(minutes=minute + later)
        process(minute + later)
        with clock.frozen(now):
            take_in()
            timers.run()
            documents.sweep()
            assert truth.faults(clock.to_us(now)) == []


@pytest.mark.parametrize("seed", range(3))
def test_any_order__with_merges_consents_and_versions__the_oracle_agrees(seed: int) -> None:
    walk(seed, events=90, acts=0.5)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 130))
def test_any_order__many_more__the_oracle_agrees(seed: int) -> None:
    walk(seed, events=200, acts=0.6)


def test_any_order__same_events__same_members() -> None:
    """Three shops of the same people, told apart by a suffix, sent the same in another order."""
    with clock.frozen(NOW):
        open_shop()
    seen = []
    for trial in range(3):
        pick = Dice(trial)
        visitors = Visitors(7, users=4, devices=3)
        visitors.users = [(kind, f"{value}-{trial}") for kind, value in visitors.users]
        visitors.devices = [(kind, f"{value}-{trial}") for kind, value in visitors.devices]
        events = visitors.events(70, now=NOW, prefix=f"t{trial}-")
        for batch in batches(pick.shuffled(events), pick, most=[3, 12, 70][trial]):
            with clock.frozen(NOW):
                send(batch, now=NOW)
                together([2, 3])
                if trial == 1:
                    timers.run()
        process(0)
        seen.append(_members(f"-{trial}"))
    settle(1)
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) > 20


def _members(suffix: str) -> list[tuple[int, str]]:
    """Return (segment, name) of the people of one shop; shares differ with the names."""
    keys = {
        one: person.key.removesuffix(suffix)
        for one, person in truth.world().people.items()
        if person.key.endswith(suffix)
    }
    half = Segment.objects.get(key="half").pk
    held = Membership.objects.filter(customer_id__in=keys).exclude(segment_id=half)
    return sorted((s, keys[one]) for s, one in held.values_list("segment_id", "customer_id"))
