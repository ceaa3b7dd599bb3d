"""Segments that are live, and a shop's days: helpers of the tests of live membership."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from personalization.events.processor.loop import Processor
from personalization.lib import clock
from personalization.ops import serve as config
from segments import services
from segments.live import backfilling, timers
from segments.models import Change, Membership, Segment
from tests.events.processor.log import NOW

DAY_S = 86_400


def count(
    event: str = "Product Viewed", *, days: float = 7, op: str = "gte", value: int = 1
) -> Any:
    """A rule that counts an event in the last days."""
    window = {"type": "last", "seconds": days * DAY_S}
    return {"kind": "count", "event": event, "window": window, "op": op, "value": value}


def go_live(key: str, rule: Any) -> Segment:
    """Publish a segment of this rule and have everybody take it in."""
    services.create_segment(key=key, values={"title": key}, rule=rule, actor="test")
    services.publish_segment(key=key, actor="test")
    take_in()
    return Segment.objects.get(key=key)


def filled(key: str, customers: Iterable[int]) -> Segment:
    """Publish a segment whose members are put in by hand: none needs an event."""
    row = go_live(key, count(value=1_000))
    version = row.published_id or 0
    Membership.objects.bulk_create(
        Membership(segment_id=row.pk, version_id=version, customer_id=one, entered_at=NOW)
        for one in customers
    )
    return row


def take_in() -> None:
    """Run the backfill until nothing is behind."""
    config.reload()
    backfilling.backfill()
    config.reload()
    backfilling.backfill()


def process(minute: float = 0) -> None:
    """Fold everything, `minute` minutes after NOW."""
    with clock.frozen(NOW + timedelta(minutes=minute)):
        Processor().drain()


def tick(minute: float) -> None:
    """Let time turn what is due, `minute` minutes after NOW."""
    with clock.frozen(NOW + timedelta(minutes=minute)):
        timers.run()


def members(key: str) -> list[int]:
    """Customers in the version in force, by the table."""
    row = Segment.objects.get(key=key)
    found = Membership.objects.filter(version_id=row.published_id or 0)
    return sorted(found.values_list("customer_id", flat=True))


def story(key: str) -> list[tuple[bool, str, float]]:
    """Entries and exits in order: (entered, cause, minutes after NOW)."""
    row = Segment.objects.get(key=key)
    return [
        (one.entered, one.cause, (one.at - NOW) / timedelta(minutes=1))
        for one in Change.objects.filter(segment_id=row.pk).order_by("id")
    ]
