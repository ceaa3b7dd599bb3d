"""Segments of a small filled shop, with thirty days of sizes: what the pages are looked at with."""

import math
from datetime import datetime, timedelta
from typing import Any

from personalization.lib import clock
from personalization.ops import serve as config
from personalization.ops.models import JobRun
from segments import listing, services
from segments.live import backfilling
from segments.live.backfilling import RUN_KIND
from segments.models import Segment, Size
from tests.segments.live.world import count, take_in

DAYS = 30
EAGER: dict[str, Any] = {
    "and": [
        count("Product Viewed", days=7, value=3),
        {"not": count("Order Completed", days=30)},
    ]
}
WIDER: dict[str, Any] = {
    "and": [
        count("Product Viewed", days=14, value=2),
        {"not": count("Order Completed", days=30)},
    ]
}
LOOKING: dict[str, Any] = {
    "and": [
        count("Product Viewed", days=14, value=3)
        | {"where": [{"key": "price", "op": "between", "value": [20, 200]}]},
        {"not": count("Order Completed", days=30)},
    ]
}
BASKETS: dict[str, Any] = {
    "or": [
        count("Product Added", days=30, value=2),
        {
            "kind": "aggregate",
            "event": "Order Completed",
            "window": {"type": "last", "seconds": 30 * 86_400},
            "prop": "total",
            "agg": "sum",
            "op": "gte",
            "value": 100,
        },
    ]
}


def publish(key: str, title: str, rule: Any, description: str = "") -> Segment:
    """Make a segment that everybody has taken in."""
    values = {"title": title, "description": description}
    services.create_segment(key=key, values=values, rule=rule, actor="mara")
    services.publish_segment(key=key, actor="mara")
    take_in()
    return Segment.objects.get(key=key)


def filled() -> Segment:
    """Return a segment with members, a version standing by and a draft; others lie beside it."""
    publish("baskets", "Big baskets", BASKETS, "Put a lot into the cart, or spend it.")
    publish("visitors", "Visitors of this month", count("Product Viewed", days=30))
    row = publish(
        "eager", "Eager, without an order", EAGER, "They look and look; help them choose."
    )
    publish(
        "fans",
        "Eager with big baskets",
        {"and": [{"kind": "segment", "key": "eager"}, {"kind": "segment", "key": "baskets"}]},
    )
    services.save_draft(key="eager", rule=count("Product Viewed", days=7), actor="mara")
    services.publish_segment(key="eager", actor="mara")
    take_in()
    services.save_draft(key="eager", rule=WIDER, actor="jo", note="two weeks, two looks")
    for number, one in enumerate(Segment.objects.exclude(published=None)):
        measured(one, clock.now(), number)
    row.refresh_from_db()
    return row


def tried() -> Segment:
    """Return a segment of which a version is being taken in: the job is at two fifths."""
    row = publish("lookers", "Lookers", count("Product Viewed", days=2))
    services.save_draft(key="lookers", rule=count("Product Viewed", days=1), actor="mara")
    version = services.start_shadow(key="lookers", actor="mara")
    now = clock.now()
    JobRun.objects.create(
        kind=RUN_KIND,
        slot=f"generation {version.generation}",
        status=JobRun.Status.RUNNING,
        done=120,
        total=300,
        created_at=now,
        started_at=now,
        heartbeat_at=now,
    )
    return row


def measured(row: Segment, now: datetime, number: int) -> None:
    """Write a size every four hours of thirty days, ending at what the segment has now."""
    members = listing.version_sizes([row.published_id or 0]).get(row.published_id or 0, 0)
    begins = now.replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    rows = []
    for step in range(DAYS * 6):
        wave = math.sin(step / 19 + number) + 0.4 * math.sin(step / 4.3 + number)
        share = (0.55 + 0.45 * step / (DAYS * 6)) * (1 + 0.12 * wave)
        rows.append(
            Size(
                segment=row,
                at=begins + timedelta(hours=4 * step),
                members=max(0, round(members * share)),
                entered=round(max(0, 2 + 3 * math.sin(step / 5 + number))),
                left=round(max(0, 2 + 2 * math.cos(step / 6 + number))),
            )
        )
    Size.objects.bulk_create(rows, ignore_conflicts=True)


def decided() -> None:
    """Have a worker do what a page has asked for."""
    config.reload()
    backfilling.backfill()
    config.reload()
