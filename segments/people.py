"""Customers as rules see them, read from tables: for those whom SQL leaves undecided.

Histories come from the facts table in chunks; everything else in one statement a table.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
from django.db import connection

from personalization.consent.serve import Purposes
from personalization.events import facttable
from segments.engine.events import Event
from segments.engine.language import Matcher
from segments.engine.program import Person, Program
from segments.engine.values import SECOND_US, instant_us
from segments.sql.known import COMPUTED, CONSENT

# Histories of so many customers are in memory at once.
CHUNK = 500

_TRAITS = """
SELECT c.id, c.assignment_key, COALESCE(s.granted, 0), COALESCE(s.denied, 0),
    COALESCE(p.traits, '{}')::text,
    COALESCE(p.events, 0), COALESCE(p.sessions, 0), COALESCE(p.orders, 0),
    COALESCE(p.revenue_minor, 0), p.country, p.region, p.locale, p.timezone, p.device_type,
    p.first_seen_at, p.last_seen_at, p.last_order_at
FROM customers_customer c
LEFT JOIN consent_consentstate s ON s.customer_id = c.id
LEFT JOIN customers_profile p ON p.customer_id = c.id
WHERE c.id = ANY(%s)
"""
_SCORES = "SELECT customer_id, key, value FROM segments_score WHERE customer_id = ANY(%s)"
_LISTS = """
SELECT m.customer_id, l.key FROM segments_listmember m JOIN segments_segment l
    ON l.id = m.segment_id
WHERE m.customer_id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads people for one program. `declared`: as in `compile.Scope`."""

    program: Program
    purposes: Purposes
    declared: Collection[str] = frozenset()

    def chunks(self, customer_ids: Sequence[int], now: int) -> Iterator[dict[int, Person]]:
        """Yield the customers as the program sees them at a moment, a chunk at a time."""
        ids = iter(customer_ids)
        while chunk := list(islice(ids, CHUNK)):
            yield self.people(chunk, now)

    def people(self, customer_ids: Sequence[int], now: int) -> dict[int, Person]:
        """Return the customers that exist, with everything that the program's rules read."""
        ids = list(customer_ids)
        kinds = self.program.kinds
        histories = self._histories(ids, now)
        found: dict[int, Person] = {}
        for customer, assignment_key, traits in self._traits(ids):
            events = histories[customer]
            entries = [stream.gathered(events, now) for stream in self.program.streams]
            found[customer] = Person(
                entries=entries, traits=traits, assignment_key=assignment_key, lists=frozenset()
            )
        if "score" in kinds:
            for customer, scores in _grouped(_SCORES, ids).items():
                found[customer].scores = dict(scores)
        if "list" in kinds:
            for customer, lists in _grouped(_LISTS, ids).items():
                found[customer].lists = frozenset(key for (key,) in lists)
        if "first_time" in kinds:
            for customer, first in facttable.first_seen(ids).items():
                found[customer].first_seen = first
        return found

    def _histories(self, ids: Sequence[int], now: int) -> Mapping[int, Sequence[Event]]:
        needs = [stream.need for stream in self.program.streams]
        if not needs:
            return {customer: [] for customer in ids}
        names = {name for need in needs for name in names_of(need.matcher)}
        horizons = [need.horizon for need in needs]
        far = None if None in horizons else max(one for one in horizons if one is not None)
        kept = self.program.setting.retention
        reach = kept if far is None else far if kept is None else min(far, kept)
        # a stored event is what rules call an event
        return facttable.history(ids, sorted(names), None if reach is None else now - reach)  # type: ignore[return-value]

    def _traits(self, ids: Sequence[int]) -> Iterator[tuple[int, str, dict[str, Any]]]:
        with connection.cursor() as cursor:
            cursor.execute(_TRAITS, [list(ids)])
            rows = cursor.fetchall()
        for customer, assignment_key, granted, denied, told, *computed in rows:
            traits: dict[str, Any] = orjson.loads(told)
            for key, value in zip(COMPUTED, computed, strict=True):
                if key not in self.declared:
                    traits[key] = _plain(value)
            mask = self.purposes.in_force(granted, denied, gpc=False)
            for purpose in self.purposes.all:
                if CONSENT + purpose.key not in self.declared:
                    traits[CONSENT + purpose.key] = bool(mask & purpose.mask)
            yield customer, assignment_key, traits


def names_of(matcher: Matcher) -> list[int]:
    """Return the ids of the event names that a matcher means."""
    if matcher.prefix:
        return facttable.ids_beginning(matcher.event)
    return list(facttable.ids([matcher.event]).values())


def _plain(value: Any) -> Any:
    """Return a column as the JSON that rules read: times in seconds, no text for an empty one."""
    if isinstance(value, datetime):
        return instant_us(value) / SECOND_US
    return None if value == "" else value


def _grouped(statement: str, ids: Sequence[int]) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(ids)])
        for customer, *row in cursor.fetchall():
            found.setdefault(customer, []).append(tuple(row))
    return found
