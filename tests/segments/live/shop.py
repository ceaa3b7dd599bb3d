"""A shop of many live segments, and what its visitors do in any order: for tests under stress."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
import orjson
from django.db import connection, transaction

from personalization.consent import services as consent
from personalization.consent.selectors import resolved
from personalization.consent.serve import purposes
from personalization.customers import services as people
from personalization.customers.errors import MergeConflict, MergeRefused
from personalization.customers.models import Identity, Merge
from personalization.events import epoch
from personalization.events.engine.shards import shard_of
from segments import lists
from tests.events.processor.log import DEVICE, USER
from tests.segments.live.world import DAY_S, count, go_live

Who = tuple[int, str]
T = TypeVar("T")

_INSERT = """
INSERT INTO events_event (day, trust, message_id, epoch, shard, identity_id, type, name,
    occurred_at, received_at, purposes, flags, properties, traits, context)
VALUES (%s, 1, %s, (SELECT epoch FROM events_logepoch), %s, %s, 'track', %s, %s, %s, %s, 0, %s,
    NULL, '{}') ON CONFLICT DO NOTHING
"""
_NAMES = ("Product Viewed", "Product Viewed", "Product Added", "Order Completed", "Page Scrolled")


def _last(days: float) -> dict[str, Any]:
    return {"type": "last", "seconds": days * DAY_S}


def _event(name: str, **more: Any) -> dict[str, Any]:
    return {"event": name, **more}


RULES: dict[str, Any] = {
    "fans": count(days=2, op="gte", value=3),
    "here": count({"prefix": "Product "}, days=20 / DAY_S),  # type: ignore[arg-type]
    "regulars": {
        "kind": "distinct_days",
        **_event("Order Completed"),
        "window": _last(7),
        "op": "gte",
        "value": 2,
    },
    "spenders": {
        "kind": "aggregate",
        **_event("Order Completed"),
        "window": _last(5),
        "prop": "total",
        "agg": "sum",
        "op": "gt",
        "value": 60,
    },
    "dear": {
        "kind": "aggregate",
        **_event("Product Added"),
        "window": _last(9),
        "prop": "price",
        "agg": "last",
        "op": "gte",
        "value": 25,
    },
    "walkers": {
        "kind": "sequence",
        "window": _last(4),
        "steps": [
            _event("Product Viewed"),
            _event("Product Added", within=2 * DAY_S),
            _event("Order Completed", within=2 * DAY_S),
        ],
    },
    "abandoned": {
        "kind": "then_not",
        "a": _event("Product Added"),
        "b": _event("Order Completed"),
        "after": 10,
        "window": _last(3),
    },
    "lapsed": {
        "kind": "stopped",
        **_event("Product Viewed"),
        "before_seconds": 6 * DAY_S,
        "inactive_seconds": DAY_S,
    },
    "quiet": count("Order Completed", days=8, op="eq", value=0),
    "new": {"kind": "first_time", **_event("Product Viewed"), "window": _last(1)},
    "others": {
        "and": [
            {"not": {"kind": "segment", "key": "fans"}},
            {"kind": "profile", "key": "events", "op": "gte", "value": 3},
        ]
    },
    "half": {
        "and": [
            {"kind": "bucket", "salt": "s", "from": 0, "to": 0.5},
            count("Product Viewed", days=6, op="between", value=[1, 4]),  # type: ignore[arg-type]
        ]
    },
}
# What comes of `fans` and `dear` in the middle.
EDITED: dict[str, Any] = {
    "fans": count(days=3, op="gte", value=2),
    "dear": {**RULES["dear"], "agg": "max", "value": 28},
}


def open_shop(*, listed: Sequence[str] = ()) -> None:
    """Have all segments live, and a list."""
    for key, rule in RULES.items():
        go_live(key, rule)
    if listed:
        lists.upload_list(key="vips", title="", lines=[f"{one}\n" for one in listed], actor="test")


@dataclass(frozen=True)
class Sent:
    """One event as a client sends it."""

    message_id: str
    who: Who
    name: str
    at: datetime
    props: dict[str, Any] = field(default_factory=dict)


def send(events: Sequence[Sent], *, now: datetime) -> None:
    """Write events as ingestion does: whoever is new gets an id, consents count as they are now."""
    in_force = purposes().in_force
    with transaction.atomic(), connection.cursor() as cursor:
        keys = sorted({one.who for one in events}, key=lambda who: (who[1], who[0]))
        people.create_identities(keys, now=now)
        epoch.ensure()
        owners = resolved(keys)
        for one in sorted(events, key=lambda one: one.message_id):
            owner = owners[one.who]
            cursor.execute(
                _INSERT,
                [
                    date(2026, 3, 1),
                    one.message_id,
                    shard_of(*one.who),
                    owner.identity_id,
                    one.name,
                    one.at,
                    now,
                    in_force(owner.granted, owner.denied, gpc=False),
                    orjson.dumps(one.props).decode(),
                ],
            )


class Dice:
    """Draws of one seed."""

    def __init__(self, seed: int) -> None:
        self._draws = np.random.default_rng(seed)

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return float(self._draws.random())

    def below(self, end: int) -> int:
        """Return a whole number in [0, end)."""
        return int(self._draws.integers(end))

    def choice(self, among: Sequence[T]) -> T:
        """Return one of them."""
        return among[self.below(len(among))]

    def sample(self, among: Sequence[T], number: int) -> list[T]:
        """Return some of them, in any order."""
        places = self._draws.permutation(len(among))[:number]
        return [among[int(place)] for place in places]

    def shuffled(self, what: Sequence[T]) -> list[T]:
        """Return all of them in any order."""
        return self.sample(what, len(what))


class Visitors:
    """People who do things at random: `who` by number, at times up to nine days ago."""

    def __init__(self, seed: int, *, users: int, devices: int) -> None:
        self.dice = Dice(seed)
        self.users: list[Who] = [(USER, f"u{n}") for n in range(users)]
        self.devices: list[Who] = [(DEVICE, f"d{n}") for n in range(devices)]
        # who is asked for consent and does nothing else
        self.silent: list[Who] = [(DEVICE, f"s{n}") for n in range(3)]

    def events(self, number: int, *, now: datetime, prefix: str = "m") -> list[Sent]:
        """Return events in random order, times all different."""
        return self.dice.shuffled([self._event(f"{prefix}{n}", now) for n in range(number)])

    def act(self, *, now: datetime) -> None:
        """Do one thing that is no event: log in, join, part, withdraw, grant."""
        roll = self.dice.random()
        if roll < 0.4:
            user, device = self.dice.choice(self.users), self.dice.choice(self.devices)
            people.create_identities([user, device], now=now)
            people.log_in(user=user[1], device=device[1], now=now)
        elif roll < 0.85:
            self._say(now)
        elif roll < 0.93:
            self._join(now)
        else:
            self._part(now)

    def _event(self, message_id: str, now: datetime) -> Sent:
        pick = self.dice
        ago = pick.choice((0.0, 5.0, 60.0)) + pick.random() * pick.choice((20, DAY_S, 9 * DAY_S))
        name = pick.choice(_NAMES)
        props: dict[str, Any] = {}
        if name in ("Product Viewed", "Product Added"):
            props = {"product_id": f"sku{pick.below(9)}", "price": 10 + pick.below(30)}
        elif name == "Order Completed":
            props = {"order_id": message_id, "total": 10 + pick.below(30), "currency": "EUR"}
        who = pick.choice(self.users if pick.random() < 0.6 else self.devices)
        return Sent(message_id, who, name, now - timedelta(seconds=ago), props)

    def _say(self, now: datetime) -> None:
        who = self.dice.choice(self.users + self.devices + self.silent)
        granted = self.dice.random() < 0.6
        consent.record(
            identity=who,
            purposes={"personalization": granted},
            source="test",
            policy_version="1",
            now=now,
        )

    def _join(self, now: datetime) -> None:
        pair = self.dice.sample(self.users, 2)
        people.create_identities(pair, now=now)
        rows = Identity.objects.filter(kind=USER, value__in=[who[1] for who in pair], ended_at=None)
        owners = list(rows.order_by("value").values_list("customer_id", flat=True))
        try:
            people.merge(owners[0], owners[1], cause="staff", actor="test", now=now)
        except (MergeConflict, MergeRefused):
            return

    def _part(self, now: datetime) -> None:
        done = list(Merge.objects.filter(undone_at=None).values_list("pk", flat=True))
        if not done:
            return
        try:
            people.unmerge(self.dice.choice(done), actor="test", now=now)
        except MergeConflict:
            return


def batches(events: Sequence[Sent], pick: Dice, most: int = 20) -> Iterator[list[Sent]]:
    """Yield the events in batches of any size, some of them sent twice."""
    start = 0
    while start < len(events):
        stop = start + 1 + pick.below(most)
        again = pick.sample(events[:stop], min(2, start)) if pick.random() < 0.3 else []
        yield list({one.message_id: one for one in [*events[start:stop], *again]}.values())
        start = stop
