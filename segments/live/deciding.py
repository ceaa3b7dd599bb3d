"""Deciding customers for the live rules: what they are known by, new verdicts, and what turned.

Works on customers that the caller has locked; writes nothing by itself but collects `Turn`s.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from django.db import connection

from personalization.consent.selectors import document_part
from personalization.consent.serve import purposes
from personalization.customers.engine import profile
from personalization.events import facttable
from segments.engine.events import Event
from segments.engine.held import FALSE, MOST_FIRST, Held
from segments.engine.program import Person
from segments.engine.streams import Entries
from segments.live.rules import Live
from segments.live.states import Turn

_KEYS = "SELECT id, assignment_key FROM customers_customer WHERE id = ANY(%s)"
_LISTS = """
SELECT m.customer_id, s.key
FROM segments_listmember m JOIN segments_segment s ON s.id = m.segment_id
WHERE m.customer_id = ANY(%s)
"""
_ABSORBED = "SELECT id FROM customers_customer WHERE id = ANY(%s) AND merged_into_id IS NOT NULL"
_SCORES = "SELECT customer_id, key, value FROM segments_score WHERE customer_id = ANY(%s)"

_NOTHING: Mapping[int, list[int]] = MappingProxyType({})


class Crowd:
    """What is known of some customers beside their streams; looked up when a rule reads it."""

    def __init__(
        self,
        live: Live,
        customer_ids: Collection[int],
        states: Mapping[int, Mapping[str, Any]],
        masks: Mapping[int, int],
    ) -> None:
        self.live = live
        self.customer_ids = list(customer_ids)
        self._states = states
        self._masks = masks
        self._histories: dict[int, list[Event]] = {}
        self._ids = [str(version.id) for version in live.versions]

    def person(self, customer_id: int, held: Held) -> Person:
        """Return what rules may read of a customer."""
        kinds = self.live.program.kinds
        found = Person(first_seen=self._first_seen(held) if "first_time" in kinds else {})
        if "profile" in kinds:
            state, mask = self._states.get(customer_id, {}), self._masks.get(customer_id, 0)
            found.traits = _Traits(state, mask)
        if "bucket" in kinds:
            found.assignment_key = self._assignment_keys.get(customer_id, "")
        if "list" in kinds:
            found.lists = frozenset(self._lists.get(customer_id, ()))
        if "score" in kinds:
            found.scores = self._scores.get(customer_id, {})
        return found

    def history(self, customer_id: int) -> list[Event]:
        """Return the events of a customer, from the facts."""
        if customer_id not in self._histories:
            self.read_histories([customer_id])
        return self._histories[customer_id]

    def read_histories(self, customer_ids: Collection[int]) -> None:
        """Read the events of several customers at once."""
        if not customer_ids:
            return
        names = self._names_of_streams()
        for customer_id, events in facttable.history(customer_ids, names).items():
            self._histories[customer_id] = [Event(*event) for event in events]

    def know(self, customer_id: int, events: list[Event]) -> None:
        """Take the events of a customer as read."""
        self._histories[customer_id] = events

    def catch_up(
        self, customer_id: int, held: Held, now: int, *, besides: Container[int] = frozenset()
    ) -> set[int]:
        """Take in rules that went live since a state was written; return the places to decide.

        `besides`: places in the log of events that the caller folds itself.
        """
        program, place_of = self.live.program, self.live.place_of
        if held.generation >= self.live.generation:
            return set()
        # versions that have ended: nobody asks for them again
        held.verdicts = {one: told for one, told in held.verdicts.items() if one in place_of}
        past = [event for event in self.history(customer_id) if event.seq not in besides]
        streams, rules = program.newer(held.generation)
        held.retake(program, streams, past, now)
        if len(held.first) >= MOST_FIRST:
            # what nobody read until now was let go
            held.first = self.by_id(facttable.first_seen([customer_id])[customer_id])
        held.generation = self.live.generation
        return rules

    def expelled(self, customer_id: int, held: Held, cause: str, at: int) -> list[Turn]:
        """Let a customer leave everything; return the turns."""
        place_of = self.live.place_of
        turns = [
            self._turn(customer_id, place_of[version], cause, at, entered=False)
            for version, told in held.verdicts.items()
            if told[0] & 1 and version in place_of
        ]
        held.verdicts = {}
        return turns

    def decide(
        self,
        customer_id: int,
        held: Held,
        places: set[int],
        now: int,
        cause: str,
        at: int,
        *,
        known: Mapping[int, list[int]] = _NOTHING,
    ) -> list[Turn]:
        """Settle what time has turned and decide the rules of these places anew; return turns.

        `at` is when whatever happened did. `known` is what other places say without being asked.
        """
        live, turns = self.live, self.turned(customer_id, held, now)
        if turns or (held.due_at is not None and held.due_at <= now):
            places = places | {live.place_of[version] for version in held.stale()}
        if not places:
            return turns

        def gather(place: int) -> Entries:
            return live.program.streams[place].gathered(self.history(customer_id), now)

        person = self.person(customer_id, held)
        fresh = {**known, **held.decide(live.program, person, places, now, gather)}
        verdicts, ids = held.verdicts, self._ids
        for place, told in fresh.items():
            version = ids[place]
            before = verdicts.get(version, FALSE)
            if told == before:
                continue
            if told == FALSE:
                del verdicts[version]
            else:
                verdicts[version] = told
            if (told[0] ^ before[0]) & 1:
                turns.append(self._turn(customer_id, place, cause, at, entered=bool(told[0] & 1)))
        return turns

    def turned(self, customer_id: int, held: Held, now: int) -> list[Turn]:
        """Let time turn what is due of a customer."""
        place_of = self.live.place_of
        return [
            self._turn(customer_id, place_of[version], "time", at, entered=truth)
            for version, at, truth in held.settle(now, place_of)
        ]

    def _turn(self, customer_id: int, place: int, cause: str, at: int, *, entered: bool) -> Turn:
        version = self.live.versions[place]
        return Turn(
            customer_id,
            version.segment_id,
            version.id,
            version.number,
            entered,
            at,
            cause,
        )

    def by_id(self, first: Mapping[str, int]) -> dict[str, int]:
        """Return first times by name as a state has them."""
        ids = self._ids_of_names
        return {str(ids[name]): at for name, at in first.items()}

    def _first_seen(self, held: Held) -> Mapping[str, int]:
        names = self._names
        return {names[key]: at for key, at in held.first.items() if key in names}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {str(its_id): name for name, its_id in self._ids_of_names.items()}

    @cached_property
    def _ids_of_names(self) -> Mapping[str, int]:
        return facttable.all_names()

    def _names_of_streams(self) -> list[int]:
        program = self.live.program
        every = self._ids_of_names
        return [its_id for name, its_id in every.items() if program.streams_of(name)]

    @cached_property
    def _assignment_keys(self) -> dict[int, str]:
        return dict(self._rows(_KEYS))

    @cached_property
    def _lists(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for customer_id, key in self._rows(_LISTS):
            found.setdefault(customer_id, []).append(key)
        return found

    @cached_property
    def _scores(self) -> dict[int, dict[str, float]]:
        found: dict[int, dict[str, float]] = {}
        for customer_id, key, value in self._rows(_SCORES):
            found.setdefault(customer_id, {})[key] = value
        return found

    def _rows(self, statement: str) -> Iterable[Any]:
        with connection.cursor() as cursor:
            cursor.execute(statement, [self.customer_ids])
            rows: Iterable[Any] = cursor.fetchall()
        return rows


class _Traits(Mapping[str, Any]):
    """Traits that are worked out when the first of them is read: most rules read none."""

    __slots__ = ("_known", "_mask", "_state")

    def __init__(self, state: Mapping[str, Any], mask: int) -> None:
        self._state, self._mask = state, mask
        self._known: dict[str, Any] | None = None

    def _all(self) -> dict[str, Any]:
        if self._known is None:
            self._known = traits(self._state, self._mask)
        return self._known

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return one trait."""
        return self._all().get(key, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def masks_of(customer_ids: Sequence[int]) -> dict[int, int]:
    """Return the purposes in force for each customer, as bitmasks: none for who is absorbed."""
    in_force = purposes().in_force
    with connection.cursor() as cursor:
        cursor.execute(_ABSORBED, [list(customer_ids)])
        absorbed = {row[0] for row in cursor.fetchall()}
    return {
        customer_id: 0 if customer_id in absorbed else in_force(granted, denied, gpc=False)
        for customer_id, (granted, denied) in document_part(customer_ids).items()
    }


def traits(state: Mapping[str, Any], mask: int) -> dict[str, Any]:
    """Return the traits that rules read of a profile: declared, computed, and consents.

    `mask`: the purposes in force.
    """
    folded = dict(state)
    orders, revenue, last_order = profile.orders(folded)
    held = any(place in folded for place, _, _ in profile.TRAITS)
    known: dict[str, Any] = profile.traits(folded) if held else {}
    known |= {
        "events": folded.get("n", 0),
        "sessions": profile.sessions(folded),
        "orders": orders,
        "revenue_minor": revenue,
        "first_seen": _seconds(folded.get("f")),
        "last_seen": _seconds(folded.get("l")),
        "last_order": _seconds(last_order),
    }
    known |= {key: value or None for key, value in profile.place(folded).items()}
    known |= {f"consent.{one.key}": bool(one.mask & mask) for one in purposes().all}
    return known


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / 1e6
