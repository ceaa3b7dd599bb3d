"""What live membership must be, by the log and the oracle alone, against what the tables say."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

from personalization.consent.serve import PERSONALIZATION, purposes
from personalization.customers import serve as customers
from personalization.customers.models import Identity
from segments import serve
from segments.models import Segment, SegmentVersion
from tests.segments.oracle import truth
from tests.segments.oracle_leaves import Event, Rule

_LOG = """
SELECT i.customer_id, e.message_id, e.seq, e.name,
    (extract(epoch FROM e.occurred_at) * 1000000)::bigint, e.purposes, e.properties::text
FROM events_event e JOIN customers_identity i ON i.id = e.identity_id
"""
_SAID = """
SELECT c.id, c.assignment_key, c.merged_into_id, COALESCE(s.granted, 0), COALESCE(s.denied, 0),
    p.customer_id IS NOT NULL
FROM customers_customer c LEFT JOIN consent_consentstate s ON s.customer_id = c.id
LEFT JOIN customers_profile p ON p.customer_id = c.id
"""
_LISTED = """
SELECT s.key, m.customer_id FROM segments_listmember m
JOIN segments_segment s ON s.id = m.segment_id WHERE m.customer_id IS NOT NULL
"""
_VERDICTS = "SELECT customer_id, verdicts FROM segments_state WHERE customer_id %% %s = 0"
_MEMBERS = """
SELECT segment_id, version_id, customer_id FROM segments_membership WHERE customer_id %% %s = 0
"""
_LIVE = ("shadow", "published", "standby")


@dataclass
class Person:
    """One customer who may be a member: known, not absorbed, consenting."""

    key: str
    events: list[Event] = field(default_factory=list)


@dataclass
class World:
    """The log, who is who and what they said, as of now."""

    people: dict[int, Person]
    rules: Mapping[str, Rule]
    lists: Mapping[str, list[str]]
    scores: Mapping[int, Mapping[str, float]]

    def holds(self, rule: Rule, customer_id: int, now_us: int) -> bool:
        """Return what the oracle says."""
        person = self.people[customer_id]
        return truth(
            rule,
            events=person.events,
            traits={"events": sum(1 for _ in person.events)},
            now_us=now_us,
            timezone=settings.SHOP_TIME_ZONE,
            assignment_key=person.key,
            segments=self.rules,
            lists=self.lists,
            scores=self.scores.get(customer_id, {}),
            consents={},
            retention_days=settings.EVENT_RETENTION_DAYS,
        )


def world() -> World:
    """Read the log and the identities."""
    in_force = purposes().in_force
    people: dict[int, Person] = {}
    keys: dict[int, str] = {}
    for customer_id, key, merged, granted, denied, known in _ask(_SAID):
        keys[customer_id] = key
        allowed = in_force(granted, denied, gpc=False) & PERSONALIZATION
        if merged is None and known and allowed:
            people[customer_id] = Person(key)
    for customer_id, message_id, seq, name, us, mask, text in _ask(_LOG):
        if customer_id in people and mask & PERSONALIZATION:
            props = orjson.loads(text)
            people[customer_id].events.append(Event(message_id, seq, "", name, us, props))
    lists: dict[str, list[str]] = {
        key: [] for key in Segment.objects.filter(kind="list").values_list("key", flat=True)
    }
    for key, customer_id in _ask(_LISTED):
        lists[key].append(keys[customer_id])
    scores: dict[int, dict[str, float]] = defaultdict(dict)
    for customer_id, key, value in _ask("SELECT customer_id, key, value FROM segments_score"):
        scores[customer_id][key] = value
    live = SegmentVersion.objects.filter(status="published").select_related("segment")
    return World(people, {row.segment.key: row.rule for row in live}, lists, scores)


def faults(
    now_us: int, *, later_s: tuple[float, ...] = (60, 3600, 86_400), one_in: int = 1
) -> list[str]:
    """Return everything that is not as it must be at a moment, when all has been folded and turned.

    Verdicts are also asked what they say of `later_s`, as far as they know. The oracle is asked of
    every so many customers; changes and facts are looked at whole.
    """
    everybody = world()
    seen = replace(everybody, people={c: p for c, p in everybody.people.items() if c % one_in == 0})
    return [
        *_verdicts(seen, now_us, later_s, one_in),
        *_members(seen, now_us, one_in),
        *_documents(seen, now_us),
        *_changes(),
        *_facts(everybody),
    ]


def _verdicts(seen: World, now_us: int, later_s: tuple[float, ...], one_in: int) -> list[str]:
    versions = list(
        SegmentVersion.objects.filter(status__in=_LIVE).select_related("segment").order_by("pk")
    )
    stored = {c: orjson.loads(v) for c, v in _ask(_VERDICTS, [one_in])}
    found = [
        f"verdicts of {c}, nobody's" for c, told in stored.items() if told and c not in seen.people
    ]
    for customer_id in seen.people:
        told = stored.get(customer_id, {})
        for version in versions:
            flags, *flips = told.get(str(version.pk), [0])
            for later in (0.0, *later_s):
                at = now_us + round(later * 1e6)
                if flags > 1 and later and (not flips or flips[-1] <= at):
                    continue
                said = bool((flags ^ sum(flip <= at for flip in flips)) & 1)
                if said != seen.holds(version.rule, customer_id, at):
                    name = f"{version.segment.key} v{version.number} {version.status}"
                    found.append(f"verdict of {customer_id} on {name} in {later} s: {said}")
    return found


def _members(seen: World, now_us: int, one_in: int) -> list[str]:
    expected = set()
    for version in SegmentVersion.objects.filter(status__in=_LIVE):
        held = {one for one in seen.people if seen.holds(version.rule, one, now_us)}
        expected |= {(version.segment_id, version.pk, one) for one in held}
    stored = set(_ask(_MEMBERS, [one_in]))
    return [f"member (segment, version, customer) too many {one}" for one in stored - expected] + [
        f"member (segment, version, customer) missing {one}" for one in expected - stored
    ]


def _documents(seen: World, now_us: int) -> list[str]:
    found = []
    at = {True: "user_id", False: "anonymous_id"}
    for row in Identity.objects.filter(ended_at=None).order_by("pk"):
        if row.customer_id not in seen.people:
            continue
        asked: Any = {"user_id": None, "anonymous_id": None}
        document = customers.read(
            **asked | {at[row.kind == Identity.Kind.USER]: row.value}
        ).document
        told = serve.members(document.parts, now_us=now_us) if document else []
        expected = sorted(
            key for key, rule in seen.rules.items() if seen.holds(rule, row.customer_id, now_us)
        )
        if [one.key for one in told] != expected:
            found.append(f"document of {row}: {[one.key for one in told]}, not {expected}")
    return found


def _changes() -> list[str]:
    """Entries and exits alternate, and the last one is what the membership in force says."""
    members = set(
        _ask(
            "SELECT m.customer_id, m.segment_id FROM segments_membership m "
            "JOIN segments_segment s ON s.id = m.segment_id AND s.published_id = m.version_id"
        )
    )
    told: dict[tuple[int, int], list[bool]] = defaultdict(list)
    rows = _ask("SELECT customer_id, segment_id, entered FROM segments_change ORDER BY id")
    for customer_id, segment_id, entered in rows:
        told[customer_id, segment_id].append(entered)
    found = [
        f"changes of (customer, segment) {key}: {entered}"
        for key, entered in told.items()
        if entered != [place % 2 == 0 for place in range(len(entered))]
    ]
    inside = {key for key, entered in told.items() if entered[-1]}
    return found + [f"changes and members differ: {one}" for one in inside ^ members]


def _facts(seen: World) -> list[str]:
    expected = Counter(
        (customer_id, event.us, event.seq, event.name)
        for customer_id, person in seen.people.items()
        for event in person.events
    )
    stored = Counter(
        _ask(
            "SELECT f.customer_id, f.at, f.seq, n.name FROM events_fact f "
            "JOIN events_factname n ON n.id = f.name_id"
        )
    )
    return [f"fact too many {one}" for one in stored - expected] + [
        f"fact missing {one}" for one in expected - stored
    ]


def _ask(statement: str, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
