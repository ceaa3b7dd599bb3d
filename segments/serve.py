"""Membership at the moment of a decision: from the profile document, exact without any worker.

No query, nothing raised for missing data: no document, no membership.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from segments.engine.program import INCOMPLETE
from segments.live.rules import PART, Live, live

__all__ = ["PART", "Live", "Member", "live", "members"]

_VERDICTS = "SELECT customer_id, verdicts FROM segments_state WHERE customer_id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Member:
    """Membership of one segment: which version says so, and until when if no event comes.

    `until` is seconds since the epoch, None: by the clock alone for good. `known` is False where a
    worker should have looked since.
    """

    key: str
    title: str
    version: int
    until: float | None
    known: bool = True


def members(document: Mapping[str, Any], *, now_us: int) -> list[Member]:
    """Return the segments in force that the customer of a document is in at a moment."""
    told: Mapping[str, Sequence[int]] = document.get(PART, {})
    if not told:
        return []
    rules = live()
    found = []
    for version_id, (flags, *flips) in told.items():
        place = rules.place_of.get(version_id)
        if place is None or not rules.versions[place].in_force:
            continue
        past = sum(1 for flip in flips if flip <= now_us)
        if (flags ^ past) & 1:
            version, rest = rules.versions[place], flips[past:]
            found.append(
                Member(
                    version.key,
                    version.title,
                    version.number,
                    rest[0] / 1e6 if rest else None,
                    known=flags < INCOMPLETE or bool(rest),
                )
            )
    return sorted(found, key=lambda one: one.key)


def document_part(customer_ids: Sequence[int]) -> Mapping[int, Any]:
    """Return {customer: verdicts} for the profile document."""
    with connection.cursor() as cursor:
        cursor.execute(_VERDICTS, [list(customer_ids)])
        return {
            customer_id: orjson.Fragment(verdicts)
            for customer_id, verdicts in cursor.fetchall()
            if verdicts != "{}"
        }
