"""A small base written straight into the tables, and the truth of it by the oracle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from django.db import connection

from personalization.events import facttable
from tests.segments.oracle import truth
from tests.segments.oracle_leaves import Event, Rule

DAY = 86_400
NOW = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
NAMES = ("view", "view", "cart", "buy")


@dataclass
class Customer:
    """What is known of one customer; `props` as `events.engine` reads them."""

    id: int
    traits: dict[str, Any] = field(default_factory=dict)
    consents: bool = True
    absorbed: bool = False
    events: list[Event] = field(default_factory=list)


def grown(count: int, *, seed: int = 1, first_id: int = 1) -> list[Customer]:
    """Return customers with a random past; some refuse, some are absorbed, some did nothing."""
    rng = np.random.default_rng(seed)

    def one_of(values: Sequence[Any]) -> Any:
        return values[int(rng.integers(len(values)))]

    def below(high: int, low: int = 0) -> int:
        return int(rng.integers(low, high))

    people = [
        Customer(
            first_id + place,
            {"tier": one_of(["gold", "silver", 1, None]), "age": below(60, 18)},
            consents=rng.random() > 0.1,
            absorbed=rng.random() < 0.05,
        )
        for place in range(count)
    ]
    seq = 0
    for one in people:
        for _ in range(one_of([0, 1, 3, 8])):
            seq += 1
            at = (NOW_S - below(40 * DAY, 1)) * 1_000_000 + below(2)
            props = {
                "cat": one_of(["shoes", "Straße", "HATS", 1, None]),
                "price": one_of([1, 2.5, 10, 0.1, "10"]),
                "products": [{"price": below(5), "cat": one_of("ab")} for _ in range(below(3))],
            }
            name = one_of(NAMES)
            one.events.append(_event(f"e{seq}", seq, str(one.id), name, at, props))
    return people


def _event(its_id: str, seq: int, user: str, name: str, at: int, props: dict[str, Any]) -> Event:
    return Event(
        id=its_id,
        seq=seq,
        user=user,
        name=name,
        us=at,
        props=props,
        context={},
        session=None,
        products=[],
    )


def write(people: Sequence[Customer]) -> None:
    """Write the customers and everything of them."""
    target = next(one.id for one in people if not one.absorbed)
    ids = facttable.names(sorted({*NAMES}))
    params: dict[str, Any] = {
        "ids": [one.id for one in people],
        "merged": [target if one.absorbed else None for one in people],
        "granted": [7 if one.consents else 5 for one in people],
        "denied": [0 if one.consents else 2 for one in people],
        "events": [len(one.events) for one in people],
        "traits": [orjson.dumps(one.traits).decode() for one in people],
    }
    with connection.cursor() as cursor:
        for statement in _WRITE:
            cursor.execute(statement, params)
    rows = [(one.id, e.us, e.seq, ids[e.name], e.props) for one in people for e in one.events]
    facttable.write(rows)
    facttable.note_first_seen((customer, name, at) for customer, at, _, name, _ in rows)


_WRITE = (
    """
    INSERT INTO customers_customer (id, uuid, assignment_key, created_at, version, merged_into_id)
    SELECT id, gen_random_uuid(), 'k' || id, now(), 1, merged
    FROM unnest(%(ids)s::bigint[], %(merged)s::bigint[]) AS t (id, merged)
    """,
    """
    INSERT INTO customers_identity (kind, value, generation, customer_id, origin_id, created_at)
    SELECT 1, 'user-' || id, 1, id, id, now() FROM unnest(%(ids)s::bigint[]) AS t (id)
    """,
    """
    INSERT INTO consent_consentstate (customer_id, granted, denied, updated_at)
    SELECT id, granted, denied, now()
    FROM unnest(%(ids)s::bigint[], %(granted)s::int[], %(denied)s::int[]) AS t (id, granted, denied)
    """,
    """
    INSERT INTO customers_profile (customer_id, events, sessions, orders, revenue_minor, country,
        region, locale, timezone, device_type, traits, state, updated_at)
    SELECT id, events, 0, 0, 0, 'DE', '', '', '', '', traits, '{}', now()
    FROM unnest(%(ids)s::bigint[], %(events)s::int[], %(traits)s::jsonb[]) AS t (id, events, traits)
    """,
)


def known(people: Sequence[Customer]) -> list[Customer]:
    return [one for one in people if one.consents and not one.absorbed]


def holds(rule: Rule, one: Customer, segments: Mapping[str, Rule] | None = None) -> bool:
    """Return whether the rule holds for the customer, as the oracle says."""
    return truth(
        rule,
        events=one.events,
        traits={**one.traits, "events": len(one.events), "country": "DE"},
        now_us=NOW_S * 1_000_000,
        timezone="UTC",
        assignment_key=f"k{one.id}",
        segments=segments or {},
        lists={},
        scores={},
        consents={},
        retention_days=400,
    )


def count(
    op: str = "gte", value: int = 1, days: float = 7, event: Any = "view", **more: Any
) -> Rule:
    window = {"type": "last", "seconds": days * DAY}
    return {"kind": "count", "event": event, "window": window, "op": op, "value": value, **more}


def trait(op: str, value: Any, key: str = "tier") -> Rule:
    return {"kind": "profile", "key": key, "op": op, "value": value}


def where(op: str, value: Any, key: str = "cat") -> list[dict[str, Any]]:
    return [{"key": key, "op": op, "value": value}]
