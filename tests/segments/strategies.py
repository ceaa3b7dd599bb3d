"""Hypothesis strategies for cases: random rules, histories and clocks, of the shape of all cases.

Everything is drawn from small pools, so that times tie, sums meet the values of rules and the
clock stops exactly at edges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.segments.casefiles import Case
from tests.segments.corpus_tools import DAY, HOUR, T0, US, Sent, case, exact
from tests.segments.corpus_zones import local_s
from tests.segments.edges import edges_us
from tests.segments.oracle_operators import SECOND
from tests.segments.strategies_rules import (
    ADDRESSES,
    NUMBERS,
    SCALARS,
    VERSIONS,
    Rules,
    moments,
    numbers,
)

# A zone and a midnight near which its clocks change (or not).
_PLACES = (
    ("UTC", T0),
    ("Europe/Berlin", local_s("Europe/Berlin", 2026, 3, 29)),
    ("Europe/Berlin", local_s("Europe/Berlin", 2026, 10, 25)),
    ("America/New_York", local_s("America/New_York", 2026, 3, 8)),
    ("America/New_York", local_s("America/New_York", 2026, 11, 1)),
    ("Asia/Kolkata", local_s("Asia/Kolkata", 2026, 10, 25)),
    ("Australia/Lord_Howe", local_s("Australia/Lord_Howe", 2026, 4, 5)),
    ("Australia/Lord_Howe", local_s("Australia/Lord_Howe", 2026, 10, 4)),
    ("America/Havana", local_s("America/Havana", 2026, 11, 1)),
)
_PEOPLE = ("u", "v", "w")


class _Pool:
    """Properties and traits put together once: to draw each part of each event takes long."""

    def __init__(self, start: int) -> None:
        self._rng = np.random.default_rng(start)
        self._start = start
        self.events = [({"price": 1, "cat": "a"}, {}), *(self._event() for _ in range(120))]
        self.traits = [{}, *(self._traits() for _ in range(60))]

    def _one(self, values: Sequence[Any]) -> Any:
        return values[int(self._rng.integers(len(values)))]

    def _some(self, values: Sequence[Any], most: int) -> list[Any]:
        return [self._one(values) for _ in range(int(self._rng.integers(most + 1)))]

    def _may(self, **members: Any) -> dict[str, Any]:
        return {key: value for key, value in members.items() if self._rng.random() < 0.6}

    def _subject(self) -> Any:
        moment = self._start + self._one([0, 1, -1, HOUR, DAY, -DAY])
        kinds = (SCALARS, SCALARS, VERSIONS, ADDRESSES, [None, moment, float(moment)])
        return self._some(SCALARS, 3) if self._rng.random() < 0.15 else self._one(self._one(kinds))

    def _event(self) -> tuple[dict[str, Any], dict[str, Any]]:
        products = [
            self._may(price=self._one(SCALARS), category=self._one(["a", "b", None]))
            for _ in range(int(self._rng.integers(4)))
        ]
        price = self._one(NUMBERS) if self._rng.random() < 0.8 else self._one(SCALARS)
        cat = self._one(["a", "b", "shoes"])
        props = self._may(
            x=self._subject(),
            a=self._may(b=self._one(SCALARS)),
            tags=self._some(SCALARS, 3),
            products=products,
        )
        stamps = [
            {"category": "a", **self._may(brand="b", price_minor=self._one([0, 1, 2, 10]))}
            for _ in range(int(self._rng.integers(3)))
        ]
        device, source = (
            {"type": self._one(["a", "b"])},
            self._may(source=self._one(["a", "shoes"])),
        )
        more = self._may(
            context=self._may(device=device, campaign=source),
            session=self._one(["a", "b"]),
            products=stamps,
        )
        told = {"price": price, "cat": cat} if self._rng.random() < 0.9 else {}
        return {**told, **props}, more

    def _traits(self) -> dict[str, Any]:
        moment = self._start + self._one([0, 1, -1, HOUR, DAY, -DAY])
        allows = {"consent.marketing": self._one([True, False, False, "yes"])}
        return self._may(tier=self._subject(), seen_at=moment, **allows)


@cache
def _pool(start: int) -> _Pool:
    return _Pool(start)


_PLOTS: Sequence[Sequence[Mapping[str, Any]]] = (
    (),
    (),
    ({"merge": [["u", "v"]]},),
    ({"merge": [["u", "v"]]}, {"unmerge": [["u", "v"]]}),
    ({"merge": [["u", "v"]]}, {"unmerge": [["u", "v"]]}, {"merge": [["u", "w"]]}),
    ({"withdraw": ["u"]},),
    ({"withdraw": ["u"]}, {"grant": ["u"]}),
    ({"withdraw": ["u"]}, {"grant": ["u"]}, {"withdraw": ["u"]}),
    ({"traits": {"u": {"tier": "a"}}}, {"traits": {"u": {"tier": 1}, "v": {"tier": "a"}}}),
)


@cache
def _rules(start: int, depth: int) -> Any:
    return Rules(start).rules(depth)


@cache
def _other_rules(start: int) -> Any:
    """Return rules that refer to no segment: what they are for is to be referred to."""
    kinds = Rules(start)
    return kinds.rules(2, leaves=kinds.leaves.filter(lambda leaf: leaf["kind"] != "segment"))


@st.composite
def cases(draw: st.DrawFn, depth: int = 3) -> Case:
    """Return a case whose members the oracle has said."""
    zone, start = draw(st.sampled_from(_PLACES))
    rule, other = draw(_rules(start, depth)), draw(_other_rules(start))
    retention = draw(st.sampled_from([None, None, 1, 2]))
    # What is older than the retention when it comes was never seen: `order.json` has that.
    sent = draw(_histories(start, latest=12 * HOUR if retention else 3 * DAY))
    happens = draw(_happenings(start, sent))
    times = [round(event.ts * SECOND) for event in sent]
    edges = edges_us([rule, other], times, zone=zone, retention_days=retention)
    clock = draw(_clocks([edge / SECOND for edge in edges] or [start], happens))
    return case(
        "drawn",
        rule,
        sent=sent,
        clock=[at for at in clock if at > start - 4 * DAY],
        timezone=zone,
        happens=happens,
        retention_days=retention,
        profiles=draw(_traits(start)),
        segments={"other": other},
        lists={"vip": draw(st.lists(st.sampled_from(_PEOPLE), unique=True))},
        scores=draw(st.dictionaries(st.sampled_from(_PEOPLE), st.builds(_churn, numbers))),
    )


def _churn(score: float) -> dict[str, float]:
    return {"churn": score}


@cache
def _traits(start: int) -> st.SearchStrategy[dict[str, Any]]:
    one = st.sampled_from(_pool(start).traits)
    return st.fixed_dictionaries(dict.fromkeys(_PEOPLE, one))


@cache
def _events(start: int, latest: int) -> st.SearchStrategy[list[Sent]]:
    """Return events of two people whose times tie more often than not."""

    def at_some(pool: list[float]) -> st.SearchStrategy[list[Sent]]:
        one = st.builds(
            lambda user, ts, name, told, late: Sent(user, ts, name, told[0], late, more=told[1]),
            st.sampled_from(["u", "u", "u", "v"]),
            st.sampled_from(pool),
            st.sampled_from(["view", "view", "cart", "vote"]),
            st.sampled_from(_pool(start).events),
            st.sampled_from([0, 0, 0, 0, 1, HOUR, latest]),
        )
        return st.lists(one, min_size=3, max_size=9)

    return st.lists(moments(start), min_size=2, max_size=6).flatmap(at_some)


@st.composite
def _histories(draw: st.DrawFn, start: int, *, latest: int) -> list[Sent]:
    first, *rest = draw(_events(start, latest))
    repeat = draw(st.sampled_from([None, 0, 1, HOUR]))
    if repeat is None:
        return [first, *rest]
    return [replace(first, again=exact(first.arrives + repeat)), *rest]


@st.composite
def _happenings(
    draw: st.DrawFn, start: int, sent: Sequence[Sent]
) -> dict[float, Mapping[str, Any]]:
    """Return what else happens, at moments at which nothing arrives."""
    plot = draw(st.sampled_from(_PLOTS))
    busy = {event.arrives for event in sent} | {event.again for event in sent}
    at = draw(
        st.lists(
            moments(start).filter(lambda moment: moment not in busy),
            min_size=len(plot),
            max_size=len(plot),
            unique=True,
        )
    )
    return dict(zip(sorted(at), plot, strict=True))


def _clocks(
    edges: Sequence[float], happens: Mapping[float, object]
) -> st.SearchStrategy[list[float]]:
    stop = st.builds(
        lambda edge, by: exact(edge + by),
        st.sampled_from(edges),
        st.sampled_from([0, 0, 0, -1, 1, US, -US]),
    )
    return st.lists(stop.filter(lambda at: at not in happens), min_size=8, max_size=20)
