"""What segments hold of a customer, for access and erasure."""

from collections.abc import Iterable
from typing import Any

import orjson

from personalization.customers.models import Customer, Identity
from personalization.events import facttable
from segments.models import Change, ListMember, Membership, Score, Segment, SegmentVersion, State


class SegmentsHeld:
    """Memberships, what led to them, and what is remembered to decide them."""

    def export(self, customer_id: int) -> dict[str, Any]:
        """Return all of it; facts are copies of events, so only how many, and from when to when."""
        keys = dict(Segment.objects.values_list("pk", "key"))
        numbers = dict(SegmentVersion.objects.values_list("pk", "number"))
        held = State.objects.filter(pk=customer_id).first()
        members = Membership.objects.filter(customer_id=customer_id).order_by("entered_at")
        changes = Change.objects.filter(customer_id=customer_id).order_by("at", "id")
        listed = ListMember.objects.filter(customer_id=customer_id).order_by("added_at")
        scores = Score.objects.filter(customer_id=customer_id).order_by("key")
        return {
            "memberships": [
                {
                    "segment": keys.get(one.segment_id),
                    "version": numbers.get(one.version_id),
                    "entered_at": one.entered_at.isoformat(),
                }
                for one in members
            ],
            "changes": [
                {
                    "segment": keys.get(one.segment_id),
                    "version": one.version,
                    "entered": one.entered,
                    "at": one.at.isoformat(),
                    "cause": one.cause,
                }
                for one in changes
            ],
            "lists": [
                {
                    "list": keys.get(one.segment_id),
                    "value": one.value,
                    "added_at": one.added_at.isoformat(),
                }
                for one in listed
            ],
            "scores": {one.key: one.value for one in scores},
            "state": orjson.loads(held.state) if held else {},
            "verdicts": orjson.loads(held.verdicts) if held else {},
            "first_seen": facttable.first_seen([customer_id])[customer_id],
            "facts": _facts(customer_id),
        }

    def erase(self, customer_id: int) -> int:
        """Delete it; return how many rows went. In the caller's transaction."""
        mine: Iterable[Any] = (State, Membership, Change, ListMember, Score)
        gone: int = sum(one.objects.filter(customer_id=customer_id).delete()[0] for one in mine)
        # lines that nobody has looked up yet
        gone += ListMember.objects.filter(value__in=_ids_of(customer_id)).delete()[0]
        gone += _facts(customer_id)["count"]
        facttable.rewrite([customer_id], ())
        gone += len(facttable.first_seen([customer_id])[customer_id])
        facttable.forget_first_seen([customer_id])
        return gone


def _ids_of(customer_id: int) -> list[str]:
    """Return what a customer goes by: the values of identities, and our uuid."""
    values = Identity.objects.filter(customer_id=customer_id).values_list("value", flat=True)
    uuids = Customer.objects.filter(pk=customer_id).values_list("uuid", flat=True)
    return [*values, *map(str, uuids)]


def _facts(customer_id: int) -> dict[str, Any]:
    events = facttable.history([customer_id])[customer_id]
    times = [event.at for event in events]
    return {
        "count": len(times),
        "first_us": min(times, default=None),
        "last_us": max(times, default=None),
    }
