"""What segments tell of a customer: on the customer page and at `/api/customers/{uuid}/`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.urls import NoReverseMatch, reverse

from personalization.lib import clock
from segments import why
from segments.engine.explaining import Explained
from segments.engine.figures import Figure
from segments.models import Membership, SegmentVersion

# Segments of which the page tells; a shop with more looks at one segment's own page.
_MOST = 100


def customer_detail(customer_id: int) -> list[dict[str, Any]]:
    """Return the segments in force that the customer is in, each with the conditions that hold."""
    mine = Membership.objects.filter(customer_id=customer_id).values("version_id")
    rows = _in_force().filter(pk__in=mine)
    told = []
    for found in why.explained(why.present(customer_id), list(rows), now=clock.now()):
        parts = [node for _, node in found.root.walk() if not node.parts and node.holds]
        told.append(
            {
                "key": found.key,
                "title": found.title,
                "version": found.version,
                "since": found.since,
                "turns_at": found.turns_at,
                "reasons": [why.part_json(node, deep=False) for node in parts],
            }
        )
    return told


def customer_segments(customer_id: int | None) -> Mapping[str, Any]:
    """Return why the customer is in each segment in force, or is not."""
    now = clock.now()
    if customer_id is None:
        return {"as_of": now, "segments": []}
    rows = list(_in_force()[:_MOST])
    address = {row.segment.key: _address(row.segment_id) for row in rows}
    found = why.explained(why.present(customer_id), rows, now=now)
    found.sort(key=lambda one: (not one.member, one.title.lower()))
    return {"as_of": now, "segments": [_line(one, address[one.key]) for one in found]}


def _in_force() -> Any:
    rows = SegmentVersion.objects.filter(status=SegmentVersion.Status.PUBLISHED)
    return rows.select_related("segment").order_by("segment__title", "pk")


def _address(segment_id: int) -> str:
    try:
        return reverse("admin:segments_segment_change", args=[segment_id])
    except NoReverseMatch:
        # a site that leaves the segments' pages out
        return ""


def _line(found: why.Why, url: str) -> dict[str, Any]:
    return {
        "title": found.title,
        "url": url,
        "member": found.member,
        "since": found.since,
        "until": found.turns_at,
        "version": found.version,
        "conditions": [_condition(depth, node) for depth, node in found.root.walk()],
    }


def _condition(depth: int, node: Explained) -> dict[str, Any]:
    figure = node.figure
    return {
        "depth": min(depth, 9),
        "group": bool(node.parts),
        "sentence": node.sentence,
        "holds": node.holds,
        "value": "" if figure is None else words(figure),
        "at": None if figure is None else why.moment(figure.at),
        "turns_at": why.moment(node.turns_at),
    }


def words(figure: Figure) -> str:
    """Return the value of a figure for people."""
    value = why.moment(figure.value) if figure.is_time else figure.value
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, float):
        value = f"{value:.6f}".rstrip("0").rstrip(".")
    return f"{value} of {figure.of}" if figure.of is not None else f"{value}"[:200]
