"""Membership and audiences at the moment of a decision: exact from the profile document alone.

No worker, no query, nothing raised for missing data: no document, no membership.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from django.db import connection

from personalization.consent.serve import purposes
from segments.engine.audience import Audience
from segments.engine.language import Rule
from segments.engine.program import INCOMPLETE
from segments.engine.verdicts import Verdict
from segments.engine.windows import NEVER
from segments.live.rules import PART, Live, live, setting

__all__ = [
    "PART",
    "Audience",
    "Live",
    "Member",
    "Seen",
    "audience",
    "known_traits",
    "live",
    "members",
    "unsure",
]

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
                    known=not _is_over(flags, flips, now_us),
                )
            )
    return sorted(found, key=lambda one: one.key)


def unsure(document: Mapping[str, Any], *, now_us: int) -> bool:
    """Return whether a segment in force may have turned beyond what its verdict says.

    That takes more turns by the clock alone than a verdict foretells (`MOST_FLIPS`), and nobody at
    work since the last of them.
    """
    told: Mapping[str, Sequence[int]] = document.get(PART, {})
    late = [one for one, (flags, *flips) in told.items() if _is_over(flags, flips, now_us)]
    if not late:
        return False
    rules = live()
    places = [rules.place_of[one] for one in late if one in rules.place_of]
    return any(rules.versions[place].in_force for place in places)


def _is_over(flags: int, flips: Sequence[int], now_us: int) -> bool:
    return flags >= INCOMPLETE and not (flips and now_us < flips[-1])


def audience(rule: Rule | None) -> Audience | None:
    """Return the audience of a published rule; None: everybody, which costs a decision nothing.

    Raises KeyError, TypeError or ValueError for what cannot be decided.
    """
    return None if rule is None else Audience.of(rule, setting())


class Seen:
    """A customer as audiences read one, worked out when asked for: implements `verdicts.View`.

    `profile` is the document's, `held` the segments at this moment, `mask` the purposes in force
    for this very call, `request` what it says of the page. Made for one decision.
    """

    entries = ()
    scores: Mapping[str, float] = {}
    lists: frozenset[str] = frozenset()
    first_seen: Mapping[str, int] = {}
    product: Mapping[str, Any] = {}

    def __init__(
        self,
        profile: Mapping[str, Any],
        held: Sequence[Member],
        *,
        assignment_key: str,
        mask: int,
        request: Callable[[], Mapping[str, Any]],
        now_us: int,
    ) -> None:
        self.assignment_key = assignment_key
        self.members: Mapping[str, Verdict] = {one.key: (True, NEVER) for one in held}
        self._profile, self._mask, self._request, self._now_us = profile, mask, request, now_us

    @cached_property
    def traits(self) -> Mapping[str, Any]:
        """Return what the document says, and what was consented to."""
        return known_traits(self._profile, self._mask)

    @cached_property
    def request(self) -> Mapping[str, Any]:
        """Return what the page says."""
        return self._request()

    def admitted(self, audience: Audience) -> bool:
        """Whether an audience takes in the customer.

        Never by a segment that is not in force here: nobody is in it, nor known not to be.
        """
        return audience.names <= live().in_force.keys() and audience.holds(self, self._now_us)


def known_traits(profile: Mapping[str, Any], mask: int) -> dict[str, Any]:
    """Return what rules read of a profile, from its document: as `live.deciding.traits` does.

    Personal traits are no part of it.
    """
    known = {**profile.get("traits", {})}
    known |= {key: profile.get(key, 0) for key in _FIGURES}
    known |= {key: profile.get(key) for key in _TIMES_AND_PLACES}
    return known | {f"consent.{one.key}": bool(one.mask & mask) for one in purposes().all}


_FIGURES = ("events", "sessions", "orders", "revenue_minor")
_TIMES_AND_PLACES = (
    "first_seen",
    "last_seen",
    "last_order",
    "device_type",
    "country",
    "region",
    "locale",
    "timezone",
)


def document_part(customer_ids: Sequence[int]) -> Mapping[int, Any]:
    """Return {customer: verdicts} for the profile document."""
    with connection.cursor() as cursor:
        cursor.execute(_VERDICTS, [list(customer_ids)])
        return {
            customer_id: orjson.Fragment(verdicts)
            for customer_id, verdicts in cursor.fetchall()
            if verdicts != "{}"
        }
