"""The processor's fold for segments: facts, streams and verdicts, with the customers locked.

In the transaction that moves the watermark. An event asks only the rules that it can change; a
customer whose state is older than the live rules takes the new ones in first, from the facts; one
who is folded anew is decided from the whole log, and only the net changes are told.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import connection

from personalization.consent.serve import PERSONALIZATION
from personalization.customers.engine.facts import Fact, FoldedBatch
from personalization.events import facttable
from personalization.events.facttable import FactRow
from personalization.lib import clock
from segments.engine.events import Event
from segments.engine.held import Held
from segments.learning import scores
from segments.live import states
from segments.live.deciding import Crowd
from segments.live.rules import Live, rules_for
from segments.live.states import Turn

# Cause of a rebuild (customers.services.touch, events.processor) -> cause of a change.
_CAUSES = {"late": "event", "event": "event", "consent": "consent", "replay": "replay"}
_ORDERS = frozenset({"order", "refund", "cancel"})
_ALWAYS = ("events", "sessions", "first_seen", "last_seen")
_OF_ORDERS = ("orders", "revenue_minor", "last_order")
_PLACE = ("country", "region", "locale", "timezone", "device_type")
# A profile older than segments: its past is not among the facts yet.
_DUE = """
INSERT INTO customers_rebuild_due (customer_id, cause, at)
SELECT id, 'replay', %s FROM unnest(%s::bigint[]) AS t (id) ORDER BY id ON CONFLICT DO NOTHING
"""
# What the log still tells is told by the log: a merge that was undone may have left it.
_FORGET_KNOWN = "DELETE FROM events_firstseen WHERE customer_id = ANY(%s) AND at > %s"
# Beyond the log: what was another customer's goes back with them when they are parted.
_GIVE_BACK = """
DELETE FROM events_firstseen f
USING customers_merge m, customers_customer c, events_firstseen o
WHERE f.customer_id = ANY(%s) AND m.target_id = f.customer_id AND m.undone_at IS NOT NULL
    AND c.id = m.source_id AND c.merged_into_id IS DISTINCT FROM f.customer_id
    AND o.customer_id = c.id AND o.name_id = f.name_id AND o.at = f.at
"""
# Those whom a customer has absorbed, at any remove.
_ABSORBED = """
WITH RECURSIVE held AS (
    SELECT id FROM customers_customer WHERE merged_into_id = ANY(%s)
    UNION SELECT c.id FROM held h JOIN customers_customer c ON c.merged_into_id = h.id
)
SELECT id FROM held
"""
_PARTS = "SELECT id FROM customers_customer WHERE id = ANY(%s) AND merged_into_id IS NOT NULL"
# What those whom a customer has absorbed did first is the customer's too, beyond the log.
_FIRST_OF_ALL = """
INSERT INTO events_firstseen AS held (customer_id, name_id, at)
SELECT c.merged_into_id, f.name_id, min(f.at)
FROM customers_customer c JOIN events_firstseen f ON f.customer_id = c.id
WHERE c.merged_into_id = ANY(%s) GROUP BY 1, 2
ON CONFLICT (customer_id, name_id) DO UPDATE SET at = excluded.at WHERE excluded.at < held.at
"""


def fold(batch: FoldedBatch, now: datetime) -> None:
    """Take a batch in: write facts, streams, verdicts, memberships and what changed."""
    facts = _by_customer(batch.facts)
    customers = sorted({*batch.causes, *facts})
    if not customers:
        return
    held = states.load(customers)
    folding = _Folding(batch, rules_for(held.values()), now)
    if batch.causes:
        folding.anew({one: facts.pop(one, []) for one in batch.causes}, held)
    if facts:
        folding.further(facts, held)


class _Folding:
    """One batch being folded."""

    def __init__(self, batch: FoldedBatch, rules: Live, now: datetime) -> None:
        self._batch = batch
        self._live = rules
        self._now = now
        self._us = clock.to_us(now)
        self._names: Mapping[str, int] = {}

    def further(self, facts: Mapping[int, list[Fact]], held: Mapping[int, Held]) -> None:
        """Take in what is new of some customers."""
        kept = {one: _above(own, held.get(one)) for one, own in facts.items()}
        kept = {one: own for one, own in kept.items() if own}
        if not kept:
            return
        self._names = facttable.names({fact.name for own in kept.values() for fact in own})
        facttable.write(self._row(fact) for own in kept.values() for fact in own)
        self._ask_for_past(kept, held)
        mine = {one: held.get(one) or Held(generation=self._live.generation) for one in kept}
        first = [row for one, own in kept.items() for row in self._first(one, mine[one], own)]
        facttable.note_first_seen(first)
        crowd = self._crowd(kept)
        behind = [one for one in kept if mine[one].generation < self._live.generation]
        crowd.read_histories(behind)
        turns: list[Turn] = []
        newly = {customer_id for customer_id, _, _ in first}
        for customer_id, own in kept.items():
            state = mine[customer_id]
            # the facts of the batch are in the history already
            fresh = {fact.position[2] for fact in own}
            places = crowd.catch_up(customer_id, state, self._us, besides=fresh)
            places |= state.take(self._live.program, map(_event, own), self._us)
            places |= self._by_profile(own, first=customer_id in newly)
            known: Mapping[int, list[int]] = {}
            if customer_id not in held:
                # whoever is new has done nothing but this
                known = self._live.program.blank
                places |= set(range(len(self._live.versions))) - known.keys()
            at = min(max(fact.occurred_us for fact in own), self._us)
            turns += crowd.decide(customer_id, state, places, self._us, "event", at, known=known)
        self._write(mine, turns)

    def anew(self, facts: Mapping[int, list[Fact]], before: Mapping[int, Held]) -> None:
        """Decide some customers from their whole logs; nobody without consent is a member."""
        causes = self._batch.causes
        customers = sorted(causes)
        self._names = facttable.names({fact.name for own in facts.values() for fact in own})
        facttable.rewrite(customers, (self._row(fact) for own in facts.values() for fact in own))
        mine = {one: Held(generation=self._live.generation) for one in customers}
        for one in customers:
            mine[one].floor = self._batch.horizon
        allowed = [one for one in customers if self._consents(one)]
        self._remember_first(customers, allowed)
        scores.forget(sorted({*customers} - {*allowed}))
        facttable.note_first_seen(
            row for one in allowed for row in self._first(one, mine[one], facts[one])
        )
        remembered = facttable.first_seen(allowed)
        crowd = self._crowd(customers)
        turns: list[Turn] = []
        program = self._live.program
        for one in customers:
            state, old = mine[one], before.get(one, Held())
            state.first = crowd.by_id(remembered.get(one, {}))
            events = sorted(map(_event, facts[one]), key=lambda e: (e.at, e.seq))
            crowd.know(one, events)
            cause = _CAUSES.get(causes[one], "merge")
            turns += crowd.turned(one, old, self._us)
            # what is decided is compared with what held until now
            place_of = self._live.place_of
            state.verdicts = {v: told for v, told in old.verdicts.items() if v in place_of}
            if self._consents(one):
                state.retake(program, range(len(program.streams)), events, self._us)
                places = set(range(len(self._live.versions)))
                turns += crowd.decide(one, state, places, self._us, cause, self._us)
            else:
                turns += crowd.expelled(one, state, cause, self._us)
        self._write(mine, turns)

    def _remember_first(self, customers: list[int], allowed: list[int]) -> None:
        """Have the allowed know what happened first beyond the log, and the others forget it.

        Who is part of another customer keeps it, for the day when they are parted.
        """
        retention = self._live.program.setting.retention
        with connection.cursor() as cursor:
            cursor.execute(_PARTS, [customers])
            refused = {*customers} - {*allowed} - {row[0] for row in cursor.fetchall()}
            cursor.execute(_ABSORBED, [sorted(refused)])
            refused |= {row[0] for row in cursor.fetchall()}
            if retention is not None:
                cursor.execute(_FORGET_KNOWN, [allowed, self._us - retention])
            parted = [one for one in allowed if self._batch.causes[one] == "unmerge"]
            cursor.execute(_GIVE_BACK, [parted])
            cursor.execute(_FIRST_OF_ALL, [allowed])
        facttable.forget_first_seen(refused)

    def _ask_for_past(self, kept: Mapping[int, list[Fact]], held: Mapping[int, Held]) -> None:
        counted = self._batch.states
        due = [
            one
            for one, own in kept.items()
            if one not in held and counted.get(one, {}).get("n", 0) > len(own)
        ]
        if due:
            with connection.cursor() as cursor:
                cursor.execute(_DUE, [self._now, due])

    def _first(self, one: int, state: Held, facts: Iterable[Fact]) -> list[tuple[int, int, int]]:
        """Note what a customer did for the first time; return (customer, name, time) of it."""
        found: dict[str, tuple[int, int, int]] = {}
        for fact in facts:
            name = self._names[fact.name]
            key, at = str(name), fact.occurred_us
            if at < state.first.get(key, at + 1):
                state.first[key] = at
                found[key] = one, name, at
        return list(found.values())

    def _by_profile(self, facts: Iterable[Fact], *, first: bool) -> set[int]:
        """Return the places of rules that read what the facts change of a profile."""
        program = self._live.program
        places = program.reading("first_seen") if first else set()
        if "profile" not in program.kinds:
            return places
        keys = {*_ALWAYS}
        for fact in facts:
            if fact.kind in _ORDERS:
                keys.update(_OF_ORDERS)
            if fact.traits:
                keys.update(fact.traits)
            keys.update(key for key in _PLACE if getattr(fact, key))
        return places | program.reading("profile", keys)

    def _consents(self, customer_id: int) -> bool:
        return bool(self._batch.purposes.get(customer_id, 0) & PERSONALIZATION)

    def _crowd(self, customers: Iterable[int]) -> Crowd:
        batch = self._batch
        return Crowd(self._live, list(customers), batch.states, batch.purposes)

    def _row(self, fact: Fact) -> FactRow:
        return FactRow(
            fact.customer_id,
            fact.occurred_us,
            fact.position[2],
            self._names[fact.name],
            fact.props,
        )

    def _write(self, mine: Mapping[int, Held], turns: list[Turn]) -> None:
        states.save(mine, self._live.program)
        states.record(turns, now=self._now)


def _by_customer(facts: Iterable[Fact]) -> dict[int, list[Fact]]:
    found: dict[int, list[Fact]] = {}
    for fact in facts:
        found.setdefault(fact.customer_id, []).append(fact)
    return found


def _above(facts: list[Fact], held: Held | None) -> list[Fact]:
    """Return the facts that the state has not folded yet."""
    if held is None or held.floor is None:
        return facts
    floor = held.floor
    return [fact for fact in facts if fact.position[:2] >= floor]


def _event(fact: Fact) -> Event:
    return Event(fact.occurred_us, fact.position[2], fact.name, fact.props or {})
