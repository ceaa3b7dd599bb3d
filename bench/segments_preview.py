"""Previews of rules over a large base: sampled above 100,000 customers, exact up to there."""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from bench import harness
from bench.harness import Figure

CUSTOMERS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
EXACT = 100_000
_STATED = 1_000_000
_GOAL_MS = 1_500
ROUNDS = 8
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PROTOCOL = (
    f"{CUSTOMERS} customers with 20 facts on average (5 to 380) over a year, profiles, consents, "
    "ten segments in force with 2 million memberships, made inside PostgreSQL. A preview is "
    "everything that the rule builder shows: count, what each condition removes, ten people, "
    f"overlaps, the sentence. {ROUNDS} rounds over a dozen rules, each once a round; the first "
    "round, which may read from disk, is in the figures. Sampled: whole buckets of 1/64. Exact: "
    f"the same with the first {EXACT} customers alone in the base. The ceiling is a bare count of "
    "the events of one name in the same partitions, measured in the same rounds; ratio is how many "
    "previews' time it takes."
)
DAY = 86_400
VIEWED, ADDED, ORDERED = "Product Viewed", "Product Added", "Order Completed"


def last(days: int) -> dict[str, Any]:
    """Return the window of the last days."""
    return {"type": "last", "seconds": days * DAY}


def did(event: Any, days: int, value: int = 1, op: str = "gte", **more: Any) -> dict[str, Any]:
    """Return a count."""
    window = last(days)
    return {"kind": "count", "event": event, "window": window, "op": op, "value": value, **more}


def spent(agg: str, value: float, days: int = 365, prop: str = "price") -> dict[str, Any]:
    """Return an aggregate of orders."""
    window = last(days)
    leaf = {"kind": "aggregate", "event": ORDERED, "window": window, "prop": prop}
    return {**leaf, "agg": agg, "op": "gte", "value": value}


def where(key: str, op: str, value: Any) -> list[dict[str, Any]]:
    """Return one condition on a property."""
    return [{"key": key, "op": op, "value": value}]


def trait(key: str, op: str, value: Any) -> dict[str, Any]:
    """Return a condition on a trait."""
    return {"kind": "profile", "key": key, "op": op, "value": value}


RULES: Mapping[str, Any] = {
    "buyers": did(ORDERED, 90),
    "interested": did(VIEWED, 30, 3, where=where("category", "eq", "c1")),
    "abandoned cart": {
        "and": [did(ADDED, 7), {"not": did(ORDERED, 7)}, trait("country", "eq", "DE")]
    },
    "mobile shoppers": {
        "and": [
            did(VIEWED, 14, 2, where=where("$context.device.type", "eq", "mobile")),
            trait("tier", "in", ["gold", "silver"]),
            trait("age", "between", [20, 40]),
        ]
    },
    "big spenders": spent("sum", 200),
    "big baskets": spent("max", 150, prop="products[].price"),
    "any element": did(ORDERED, 180, where=where("products[].category", "in", ["c1", "c2"])),
    "in order": {
        "kind": "sequence",
        "window": last(30),
        "steps": [
            {"event": VIEWED},
            {"event": ADDED, "within": DAY},
            {"event": ORDERED, "within": 3 * DAY},
        ],
    },
    "added, then nothing": {
        "kind": "then_not",
        "a": {"event": ADDED},
        "b": {"event": ORDERED},
        "after": 3600,
        "window": last(7),
    },
    "loyal but lapsing": {
        "and": [
            did(ORDERED, 365, 2),
            {
                "kind": "stopped",
                "event": VIEWED,
                "before_seconds": 90 * DAY,
                "inactive_seconds": 30 * DAY,
            },
        ]
    },
    "days and weeks": {
        "or": [
            {
                "kind": "distinct_days",
                "event": VIEWED,
                "window": {"type": "calendar_days", "days": 30},
                "op": "gte",
                "value": 4,
            },
            {
                "kind": "regularly",
                "event": VIEWED,
                "period": 7 * DAY,
                "periods": 8,
                "min_periods": 4,
            },
        ]
    },
    "six conditions": {
        "and": [
            did(VIEWED, 60, 3),
            did("Products Searched", 60),
            {"not": did({"prefix": "Product R"}, 60)},
            spent("avg", 50),
            {"kind": "first_time", "event": ORDERED, "window": last(180)},
            trait("orders", "gte", 1),
        ]
    },
}


def main() -> None:
    """Measure and write the result."""
    harness.prepare()
    from bench import segments_base
    from segments.engine.values import instant_us

    exact = min(EXACT, CUSTOMERS)
    facts = segments_base.build(1, exact, instant_us(NOW))
    of_exact, bare_exact = _measured(range(segments_base.BUCKETS))
    if exact < CUSTOMERS:
        facts += segments_base.build(exact + 1, CUSTOMERS, instant_us(NOW))
    sampled, bare = _measured(range(1))
    figures = {
        "facts": Figure(facts, "facts"),
        **_figures("sampled", sampled, bare, goal="<= 1500 ms over 1,000,000 customers"),
        **_figures("exact", of_exact, bare_exact),
    }
    harness.write("segments_preview", figures, PROTOCOL)


def _figures(
    name: str, times: Mapping[str, list[float]], bare: list[float], *, goal: str = ""
) -> dict[str, Figure]:
    every = [one for own in times.values() for one in own]
    middle, late, ceiling = np.median(every), np.percentile(every, 95), np.median(bare)
    slowest = max(times, key=lambda rule: float(np.median(times[rule])))
    holds = bool(late <= _GOAL_MS) if goal and CUSTOMERS >= _STATED else None
    return {
        f"{name}_p50_ms": Figure(middle, "ms", middle / ceiling, ceiling),
        f"{name}_p95_ms": Figure(late, "ms", late / ceiling, ceiling, goal, holds),
        f"{name}_slowest_rule_p50_ms ({slowest})": Figure(float(np.median(times[slowest])), "ms"),
    }


def _measured(buckets: range) -> tuple[dict[str, list[float]], list[float]]:
    """Return (rule -> milliseconds of its previews, milliseconds of the bare count)."""
    from segments.preview import preview

    times: dict[str, list[float]] = {name: [] for name in RULES}
    bare: list[float] = []
    for _ in range(ROUNDS):
        bare.append(_timed(partial(_count, buckets)))
        for name, rule in RULES.items():
            times[name].append(_timed(partial(preview, rule, now=NOW)))
    for name, own in times.items():
        said = preview(RULES[name], now=NOW)
        kind = "exact" if said.exact else f"± {said.margin}, {said.share:.4f} of the base"
        print(f"{name:20} {np.median(own):6.0f} ms  {said.count} of {said.total} ({kind})")
    return times, bare


def _timed(run: Callable[[], object]) -> float:
    from segments.errors import PreviewTooSlow

    began = time.perf_counter()
    # one that runs into its limit took that long
    with contextlib.suppress(PreviewTooSlow):
        run()
    return 1000 * (time.perf_counter() - began)


def _count(buckets: range) -> None:
    from django.db import connection

    from personalization.events import facttable

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM events_fact WHERE bucket = ANY(%s::smallint[]) AND name_id = %s",
            [list(buckets), facttable.ids([VIEWED])[VIEWED]],
        )


if __name__ == "__main__":
    main()
