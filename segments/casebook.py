"""Cases decided by SQL over real rows: the third executor beside `segments.engine.cases`.

Customers, profiles, facts, lists and scores are written for the case and rolled back after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection, transaction

from personalization.consent.engine.purposes import Purpose, Purposes
from personalization.consent.serve import PERSONALIZATION
from personalization.events import facttable
from personalization.events.facttable import BUCKETS, FactRow
from segments import compile as sql
from segments.engine.cases import WANTED, Case, Member, World
from segments.engine.events import Event
from segments.engine.language import Node, micros
from segments.people import Reader, names_of
from segments.population import decided
from segments.sql.known import COMPUTED, CONSENT

# Beyond every real customer, all in one bucket: one partition is planned and read.
_FIRST_ID = 1 << 41
_BUCKET = _FIRST_ID % BUCKETS
_NOW = datetime(2000, 1, 1, tzinfo=UTC)
_PURPOSES = Purposes(
    tuple(
        Purpose(key, key, mask, default_granted=True, gpc_denies=False)
        for key, mask in (("analytics", 1), ("personalization", 2), ("marketing", 4))
    )
)
# Of these a case may tell what is in force; that of personalization decides who is a member at all.
_TOLD = [one for one in _PURPOSES.all if one.mask != PERSONALIZATION]
# Computed traits that are columns: what a case's value must be to be written to one.
_COLUMNS: Mapping[str, tuple[type, int]] = {
    "events": (int, 2**63),
    "sessions": (int, 2**31),
    "orders": (int, 2**31),
    "revenue_minor": (int, 2**63),
    "country": (str, 2),
    "region": (str, 8),
    "locale": (str, 20),
    "timezone": (str, 64),
    "device_type": (str, 10),
}


def run_case_sql(case: Case) -> Iterator[list[str]]:
    """Yield the members after each step, sorted, as the compiled SQL over tables says.

    Opens a transaction that is rolled back at the end; let nobody else write in between.
    """
    with transaction.atomic():
        try:
            yield from _Book(case).steps()
        finally:
            transaction.set_rollback(True)


class _Book:
    """The rows of one case."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._world = World(case)
        program = self._world.program
        self._nodes: dict[str, Node] = {rule.key: rule.node for rule in program.rules}
        self._columns = _columns_of(case)
        self._declared = frozenset({*COMPUTED} - self._columns) | _plain_consents(case)
        self._reader = Reader(program, _PURPOSES, self._declared)
        self._ids: dict[str, int] = {}
        self._written: dict[str, list[Event]] = {}
        self._status: dict[str, tuple[bool, bool]] = {}
        self._traits: dict[str, dict[str, Any]] = {}
        self._names: dict[str, int] = {}

    def steps(self) -> Iterator[list[str]]:
        """Let each step happen in the tables and ask them."""
        _prepare(self._case)
        for step in self._case["steps"]:
            now = micros(step["at"])
            changed = self._world.take(step, now)
            self._write_people()
            self._write_events({*changed, *(self._written.keys() ^ self._ids.keys())})
            yield self._members(now)

    def _members(self, now: int) -> list[str]:
        scope = sql.Scope(
            setting=self._world.program.setting,
            now=now,
            purposes=_PURPOSES,
            names=names_of,
            segments=self._nodes,
            buckets=[_BUCKET],
            among=list(self._ids.values()),
            declared=self._declared,
        )
        found = set(decided(WANTED, scope, self._reader))
        return sorted(name for name, its_id in self._ids.items() if its_id in found)

    def _write_people(self) -> None:
        new = [member for name, member in self._world.people.items() if name not in self._ids]
        if new:
            self._insert(new)
        for name, member in self._world.people.items():
            if self._status[name] != (member.alive, member.consents):
                self._update_status(name, member)
            if self._traits[name] != member.traits:
                self._update_traits(name, member)

    def _insert(self, members: Sequence[Member]) -> None:
        for member in members:
            self._ids[member.name] = _FIRST_ID + len(self._ids) * BUCKETS
            self._status[member.name] = (True, True)
            self._traits[member.name] = {}
        ids = [self._ids[member.name] for member in members]
        keys = [member.name for member in members]
        with connection.cursor() as cursor:
            cursor.execute(_CUSTOMERS, {"ids": ids, "keys": keys, "now": _NOW})
            self._put_on_lists(cursor, members)

    def _put_on_lists(self, cursor: Any, members: Sequence[Member]) -> None:
        for member in members:
            its_id = self._ids[member.name]
            for key, users in self._case.get("lists", {}).items():
                if member.name in users:
                    cursor.execute(_LISTED, [member.name, its_id, _NOW, key])
            for key, value in self._case.get("scores", {}).get(member.name, {}).items():
                cursor.execute(_SCORED, [its_id, key, value])

    def _update_status(self, name: str, member: Member) -> None:
        self._status[name] = (member.alive, member.consents)
        target = None if member.alive else self._ids[self._world.holder(name)]
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE customers_customer SET merged_into_id = %s WHERE id = %s",
                [target, self._ids[name]],
            )
            self._write_consent(cursor, name, member)

    def _update_traits(self, name: str, member: Member) -> None:
        self._traits[name] = dict(member.traits)
        columns = {key: member.traits[key] for key in self._columns if key in member.traits}
        traits = {key: value for key, value in member.traits.items() if key not in columns}
        columns["traits"] = orjson.dumps(traits).decode()
        names = sorted(columns)
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE customers_profile SET {', '.join(f'{key} = %s' for key in names)} "  # noqa: S608 -- columns named above
                "WHERE customer_id = %s",
                [*(columns[key] for key in names), self._ids[name]],
            )
            self._write_consent(cursor, name, member)

    def _write_consent(self, cursor: Any, name: str, member: Member) -> None:
        """Consent is told by withdrawals and, as rules read it, among the traits."""
        denied = 0 if member.consents else PERSONALIZATION
        for purpose in _TOLD:
            if member.traits.get(CONSENT + purpose.key) is False:
                denied |= purpose.mask
        cursor.execute(_CONSENT, {"id": self._ids[name], "denied": denied, "now": _NOW})

    def _write_events(self, changed: set[str]) -> None:
        rewritten: list[int] = []
        rows: list[FactRow] = []
        first: list[tuple[int, int, int]] = []
        for name in sorted(changed):
            held, before = self._world.history(name), self._written.get(name, [])
            self._written[name] = held
            known = {(event.at, event.seq) for event in before}
            fresh = [event for event in held if (event.at, event.seq) not in known]
            if len(held) != len(before) + len(fresh):
                rewritten.append(self._ids[name])
                fresh = held
            missing = {event.name for event in fresh} - self._names.keys()
            self._names |= facttable.names(missing) if missing else {}
            its_id = self._ids[name]
            rows += [
                FactRow(its_id, event.at, event.seq, self._names[event.name], event.props)
                for event in fresh
            ]
            first += [(its_id, self._names[event.name], event.at) for event in fresh]
        if rewritten:
            facttable.rewrite(rewritten, ())
            facttable.forget_first_seen(rewritten)
        facttable.write(rows)
        if "first_time" in self._world.program.kinds:
            facttable.note_first_seen(first)


def _plain_consents(case: Case) -> frozenset[str]:
    """Return the consents that are plain traits of the case: not told, or as no boolean, of some.

    What is in force in the tables is known of everybody; what a profile does not tell is missing.
    """
    told, strangers = _told(case)
    held = {f"{CONSENT}{one.key}" for one in _TOLD}
    columns = {
        key
        for key in held
        if not strangers
        and all(key in traits for traits in case["profiles"].values())
        and all(isinstance(traits.get(key, True), bool) for traits in told)
    }
    others = {key for traits in told for key in traits if key.startswith(CONSENT)}
    return frozenset({*held, f"{CONSENT}personalization", *others} - columns)


def _told(case: Case) -> tuple[list[Mapping[str, Any]], set[str]]:
    """Return the traits that a case tells, first and later; the users it tells none of."""
    told: list[Mapping[str, Any]] = [*case["profiles"].values()]
    told += [traits for step in case["steps"] for traits in step.get("traits", {}).values()]
    users = {event["user"] for step in case["steps"] for event in step["ingest"]}
    return told, users - case["profiles"].keys()


def _columns_of(case: Case) -> frozenset[str]:
    """Return the computed traits whose values in the case fit their columns, for everybody."""
    told, strangers = _told(case)

    def fits(key: str) -> bool:
        kind, most = _COLUMNS[key]
        held = [traits[key] for traits in told if key in traits]
        if kind is int:
            complete = len(held) == len(told) and not strangers
            return complete and all(type(one) is int and 0 <= one < most for one in held)
        return all(type(one) is str and 0 < len(one) <= most for one in held)

    return frozenset(key for key in _COLUMNS if fits(key))


def _prepare(case: Case) -> None:
    with connection.cursor() as cursor:
        for key in case.get("lists", {}):
            cursor.execute(_LIST, [key, key, _NOW, _NOW])


_CUSTOMERS = """
WITH made AS (
    INSERT INTO customers_customer (id, uuid, assignment_key, created_at, version)
    SELECT id, gen_random_uuid(), key, %(now)s, 1
    FROM unnest(%(ids)s::bigint[], %(keys)s::text[]) AS t (id, key) RETURNING id
)
INSERT INTO customers_profile (customer_id, events, sessions, orders, revenue_minor, country,
    region, locale, timezone, device_type, traits, state, updated_at)
SELECT id, 0, 0, 0, 0, '', '', '', '', '', '{}', '{}', %(now)s FROM made
"""
_CONSENT = """
INSERT INTO consent_consentstate (customer_id, granted, denied, updated_at)
VALUES (%(id)s, 7, %(denied)s, %(now)s)
ON CONFLICT (customer_id) DO UPDATE SET denied = excluded.denied
"""
_LIST = """
INSERT INTO segments_segment (key, title, description, kind, built_in, created_at, updated_at)
VALUES (%s, %s, '', 'list', FALSE, %s, %s) ON CONFLICT (key) DO NOTHING
"""
_LISTED = """
INSERT INTO segments_listmember (segment_id, value, customer_id, added_at)
SELECT id, %s, %s, %s FROM segments_segment WHERE key = %s
"""
_SCORED = "INSERT INTO segments_score (customer_id, key, value) VALUES (%s, %s, %s)"
