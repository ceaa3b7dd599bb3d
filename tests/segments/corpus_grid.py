"""Generated families: every kind over every window and every comparison, each case with turns.

A case is drawn from a seed until somebody comes in and somebody leaves, by the clock alone where
the window lets them; what it expects is the oracle's word.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from tests.segments.casefiles import Case
from tests.segments.corpus_tools import DAY, HOUR, T0, Sent, around, case, exact, turns
from tests.segments.edges import edges_us
from tests.segments.oracle_operators import SECOND

COMPARISONS = ("eq", "neq", "lt", "lte", "gt", "gte", "between")
AGGREGATES = ("sum", "avg", "min", "max", "first", "last", "distinct")
WINDOWS = ("last", "between", "calendar_days", "absolute", "ever")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
# Few values, so that sums and averages meet the values of rules; the rest are no numbers.
_PRICES: tuple[Any, ...] = (10, 20, 0.1, 0.2, 10.0, 35)
_ODD: tuple[Any, ...] = ("20", None, True, [10])
_CATS = ("shoes", "bags", "hats")
_TRIES = 60
_MOST_STEPS = 30

Generator = np.random.Generator


def window(kind: str, unit: int) -> dict[str, Any]:
    """Return a window of a kind; events of its cases lie some units apart."""
    windows: dict[str, dict[str, Any]] = {
        "last": {"type": "last", "seconds": 2 * unit},
        "between": {"type": "between", "from_seconds": 3 * unit, "to_seconds": unit},
        "calendar_days": {"type": "calendar_days", "days": 2},
        "absolute": {"type": "absolute", "from": T0 + unit, "to": T0 + 3 * unit},
        "ever": {"type": "ever"},
    }
    return windows[kind]


def count() -> Iterator[Case]:
    for kind in ("count", "distinct_days"):
        for of in WINDOWS:
            for op in COMPARISONS:
                yield _drawn(f"{kind}-{of}-{op}", kind, of, lambda rng, op=op: _counted(rng, op))


def aggregate() -> Iterator[Case]:
    for agg in AGGREGATES:
        for of in WINDOWS:
            for op in COMPARISONS:

                def members(rng: Generator, agg: str = agg, op: str = op) -> dict[str, Any]:
                    return _aggregated(rng, agg, op)

                yield _drawn(f"aggregate-{agg}-{of}-{op}", "aggregate", of, members)


def sequence() -> Iterator[Case]:
    for of in WINDOWS:
        for number in range(3):
            yield _drawn(f"sequence-{of}-{number}", "sequence", of, _steps)


def then_not() -> Iterator[Case]:
    for of in WINDOWS:
        for number in range(3):
            yield _drawn(f"then-not-{of}-{number}", "then_not", of, _then_not)


def lifecycle() -> Iterator[Case]:
    for of in WINDOWS:
        for number in range(2):
            yield _drawn(f"first-time-{of}-{number}", "first_time", of, _plain)
    for number in range(6):
        yield _drawn(f"stopped-{number}", "stopped", None, _stopped)
        yield _drawn(f"regularly-{number}", "regularly", None, _regularly)


def shared() -> Iterator[Case]:
    """Draw groups of leaves that ask different things of the same events.

    An executor that remembers the least for each may not let one leaf's least stand for another's.
    """
    for number in range(16):
        name = f"shared-{number}"
        rng = np.random.default_rng([*name.encode()])
        for _ in range(_TRIES):
            told = _shared(rng, name)
            if len(turns(told)) >= 3:
                break
        assert turns(told), f"nobody ever comes or goes in {name}"
        yield told


def _shared(rng: Generator, name: str) -> Case:
    zone, group = str(rng.choice(ZONES)), str(rng.choice(["and", "or"]))
    where = _where(rng)
    leaves = [_any_leaf(rng, where) for _ in range(int(rng.integers(2, 5)))]
    sent = _history(rng, DAY, latest=4)
    edges = rng.permutation(edges_us(leaves, [round(e.ts * SECOND) for e in sent], zone=zone))
    clock = around(*(int(edge) / SECOND for edge in edges[: (_MOST_STEPS - len(sent)) // 3]))
    return case(
        name,
        {group: leaves},
        sent=sent,
        clock=[at for at in clock if at >= T0],
        timezone=zone,
        profiles={"u0": {}, "u1": {}, "u2": {}},
    )


def _any_leaf(rng: Generator, where: Mapping[str, Any]) -> dict[str, Any]:
    """Return a leaf about the one event, over a window and with a comparison of its own."""
    kind = str(
        rng.choice(["count", "count", "distinct_days", "aggregate", "first_time", "stopped"])
    )
    op = str(rng.choice(COMPARISONS))
    leaf: dict[str, Any] = {"kind": kind, "event": "view", **where}
    if kind == "stopped":
        seconds = int(rng.choice([HOUR, DAY]))
        return {**leaf, "before_seconds": 3 * DAY, "inactive_seconds": seconds}
    leaf["window"] = window(str(rng.choice(WINDOWS)), int(rng.choice([HOUR, DAY, 2 * DAY])))
    if kind == "aggregate":
        agg = str(rng.choice(["last", "sum", "max", "distinct"]))
        value = _mark(rng, op, _marks(agg))
        return {**leaf, "prop": "price", "agg": agg, "op": op, "value": value}
    if kind == "first_time":
        return leaf
    return {**leaf, "op": op, "value": _mark(rng, op, [0, 1, 1, 2, 3])}


def _drawn(name: str, kind: str, of: str | None, members: Any) -> Case:
    """Return the first draw that turns as much as its window can, or the best of many."""
    rng = np.random.default_rng([*name.encode()])
    unit = DAY if kind == "distinct_days" or of in ("calendar_days", "ever") else HOUR
    can = {("in", False), ("out", False), ("in", True), ("out", True)}
    best: tuple[int, Case] | None = None
    for _ in range(_TRIES):
        told = _draw(rng, name, {"kind": kind, **members(rng)}, (of, unit))
        found = len(turns(told) & can)
        if best is None or found > best[0]:
            best = found, told
        if found >= _enough(kind, of):
            break
    assert best is not None
    assert turns(best[1]), f"nobody ever comes or goes in {name}"
    return best[1]


def _enough(kind: str, of: str | None) -> int:
    """Return how many ways of turning a case shows at least, where any draw can show them."""
    return 2 if of == "absolute" and kind not in ("then_not", "regularly") else 3


def _draw(rng: Generator, name: str, rule: dict[str, Any], span: tuple[str | None, int]) -> Case:
    of, unit = span
    if of is not None:
        rule["window"] = window(of, unit)
    days = 3 if of == "ever" else None
    zone = str(rng.choice(ZONES))
    # What is older than the retention when it comes was never seen: no case for `first_time`.
    sent = _history(rng, unit, latest=1 if rule["kind"] == "first_time" else 4)
    times = [round(event.ts * SECOND) for event in sent]
    edges = rng.permutation(edges_us([rule], times, zone=zone, retention_days=days))
    clock = around(*(int(edge) / SECOND for edge in edges[: (_MOST_STEPS - len(sent)) // 3]))
    return case(
        name,
        rule,
        sent=sent,
        clock=[at for at in clock if at >= T0],
        timezone=zone,
        profiles={"u0": {}, "u1": {}, "u2": {}},
        retention_days=days,
    )


def _history(rng: Generator, unit: int, *, latest: int) -> list[Sent]:
    """Return events of two customers; ties, late ones and repeats among them."""
    sent = []
    times = [exact(T0 + unit * int(rng.integers(0, 9)) / 2) for _ in range(9)]
    for ts in times:
        late = float(rng.choice([0, 0, 0, 1, unit, latest * unit]))
        again = exact(ts + late + unit) if rng.random() < 0.1 else None
        sent.append(
            Sent(
                user=str(rng.choice(["u0", "u1"])),
                ts=exact(ts + int(rng.choice([0, 0, 0, -1, 1]))),
                name=str(rng.choice(["view", "view", "view", "cart", "order"])),
                props=_props(rng),
                late=late,
                again=None if again is None else again + 1,
            )
        )
    return sent


def _props(rng: Generator) -> dict[str, Any]:
    props: dict[str, Any] = {"cat": str(rng.choice(_CATS)), "price": _price(rng)}
    if rng.random() < 0.5:
        props["products"] = [{"price": _price(rng)} for _ in range(int(rng.integers(0, 3)))]
    return {key: value for key, value in props.items() if rng.random() < 0.9}


def _price(rng: Generator) -> Any:
    pool = _PRICES if rng.random() < 0.8 else _ODD
    return pool[int(rng.integers(len(pool)))]


def _plain(rng: Generator) -> dict[str, Any]:
    return {"event": _event(rng), **_where(rng)}


def _event(rng: Generator) -> Any:
    return {"prefix": "v"} if rng.random() < 0.1 else "view"


def _where(rng: Generator) -> dict[str, Any]:
    if rng.random() < 0.6:
        return {}
    conditions: Sequence[Mapping[str, Any]] = (
        {"key": "cat", "op": "eq", "value": "shoes"},
        {"key": "cat", "op": "neq", "value": "shoes"},
        {"key": "price", "op": "gte", "value": 10},
        {"key": "products[].price", "op": "lt", "value": 20},
    )
    return {"where": [dict(conditions[int(rng.integers(len(conditions)))])]}


def _counted(rng: Generator, op: str) -> dict[str, Any]:
    return {**_plain(rng), "op": op, "value": _mark(rng, op, [0, 1, 1, 2, 2, 3])}


def _mark(rng: Generator, op: str, pool: Sequence[Any]) -> Any:
    drawn = [pool[int(i)] for i in rng.integers(len(pool), size=2)]
    return sorted(drawn) if op == "between" else drawn[0]


def _aggregated(rng: Generator, agg: str, op: str) -> dict[str, Any]:
    text = agg in ("first", "last") and rng.random() < 0.4
    prop = "cat" if text else str(rng.choice(["price", "price", "products[].price"]))
    marks = {"op": op, "value": _mark(rng, op, _CATS if text else _marks(agg))}
    return {**_plain(rng), "prop": prop, "agg": agg, **marks}


def _marks(agg: str) -> list[Any]:
    """Return the values that an aggregate of few prices can have."""
    if agg == "distinct":
        return [0, 1, 2, 3]
    if agg not in ("sum", "avg"):
        return [10, 20, 0.1, 0.2, 35]
    sums = [
        (sum(prices), len(prices))
        for size in (1, 2)
        for prices in combinations_with_replacement((10, 20, 0.1, 0.2, 35), size)
    ]
    divided = [round(total / (size if agg == "avg" else 1), 6) for total, size in sums]
    return sorted({0, *divided} if agg == "sum" else set(divided))


def _steps(rng: Generator) -> dict[str, Any]:
    names = ["view", "cart", "order", "view"][: int(rng.integers(1, 4))]
    steps: list[dict[str, Any]] = [{"event": name} for name in names]
    steps[0] |= _where(rng)
    for step in steps[1:]:
        if rng.random() < 0.5:
            step["within"] = int(rng.choice([1, HOUR, 2 * HOUR, DAY]))
    return {"steps": steps}


def _then_not(rng: Generator) -> dict[str, Any]:
    return {
        "a": _plain(rng),
        "b": {"event": str(rng.choice(["cart", "order", "view"]))},
        "after": int(rng.choice([1, HOUR // 2, HOUR, DAY // 2])),
    }


def _stopped(rng: Generator) -> dict[str, Any]:
    inactive = int(rng.choice([HOUR // 2, HOUR]))
    return {**_plain(rng), "before_seconds": 3 * HOUR, "inactive_seconds": inactive}


def _regularly(rng: Generator) -> dict[str, Any]:
    periods = int(rng.integers(2, 5))
    return {
        **_plain(rng),
        "period": int(rng.choice([HOUR // 2, HOUR])),
        "periods": periods,
        "min_periods": int(rng.integers(1, periods + 1)),
    }
