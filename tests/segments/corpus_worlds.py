"""Cases of order, merges and retention, with a person's word on the members."""

from collections.abc import Iterator

from tests.segments.casefiles import Case
from tests.segments.corpus_tools import (
    DAY,
    EVER,
    HOUR,
    HOUR_BACK,
    T0,
    US,
    Rule,
    Sent,
    around,
    counted,
    last,
    worked,
)


def order() -> Iterator[Case]:
    """Ties, repeats and what comes long after it happened."""
    pair: Rule = {
        "kind": "sequence",
        "window": HOUR_BACK,
        "steps": [{"event": "view"}, {"event": "cart"}],
    }
    yield worked(
        "tie-sequence-by-arrival",
        pair,
        {T0: "in", T0 + HOUR - 1: "in", T0 + HOUR: ""},
        sent=[
            Sent("in", T0),
            Sent("in", T0, "cart"),
            Sent("out", T0, "cart"),
            Sent("out", T0),
        ],
    )
    yield worked(
        "tie-sequence-late-start-comes-after",
        pair,
        {T0: "", T0 + 5: "", T0 + 6: "v", T0 + HOUR: "v", T0 + HOUR + 6: ""},
        sent=[
            Sent("u", T0, "cart"),
            Sent("u", T0, late=5),
            Sent("v", T0 + 6),
            Sent("v", T0 + 6, "cart"),
        ],
    )
    lost: Rule = {
        "kind": "then_not",
        "a": {"event": "view"},
        "b": {"event": "cart"},
        "after": 0,
        "window": HOUR_BACK,
    }
    yield worked(
        "tie-then-not",
        {**lost, "after": 1},
        {T0: "", T0 + 1: "before", T0 + HOUR - 1: "before", T0 + HOUR: ""},
        sent=[
            Sent("before", T0, "cart"),
            Sent("before", T0),
            Sent("after", T0),
            Sent("after", T0, "cart"),
        ],
    )
    for agg, value in (("first", 1), ("last", 2)):
        yield worked(
            f"tie-{agg}",
            {
                "kind": "aggregate",
                "event": "view",
                "window": HOUR_BACK,
                "prop": "n",
                "agg": agg,
                "op": "eq",
                "value": value,
            },
            {T0: "u", T0 + 1: "u", T0 + HOUR: ""},
            sent=[
                Sent("u", T0, props={"n": 1}),
                Sent("u", T0, props={"n": 2}),
                Sent("v", T0, props={"n": 2}),
                Sent("v", T0, props={"n": 1}),
                Sent("w", T0, props={"n": 3}, late=1),
                Sent("w", T0, props={"n": 4}),
            ],
        )
        yield worked(
            f"elements-{agg}",
            {
                "kind": "aggregate",
                "event": "view",
                "window": HOUR_BACK,
                "prop": "products[].n",
                "agg": agg,
                "op": "eq",
                "value": value,
            },
            {T0 + 2: "u", T0 + HOUR + 1: "", T0 + HOUR + 2: ""},
            # events without a value are passed over
            sent=[
                Sent("u", T0 + 1, props={"products": [{}, {"n": 1}, {"n": 2}, {"n": None}]}),
                Sent("u", T0, props={"products": []}),
                Sent("u", T0 + 2, props={}),
                Sent("v", T0 + 1, props={"products": [{"n": 2}, {"n": 1}]}),
            ],
        )
    yield worked(
        "repeat-counts-once",
        counted(HOUR_BACK, "gte", 2),
        {T0 + 2: "", T0 + 3: "u", T0 + HOUR - 1: "u", T0 + HOUR: ""},
        sent=[Sent("u", T0, again=T0 + 1), Sent("u", T0 + 3, again=T0 + HOUR - 1)],
    )
    for name, rule in _each_window():
        yield worked(
            f"late-beyond-{name}",
            rule,
            {T0: "v", T0 + 100: "v", T0 + 200: "v"},
            sent=[
                Sent("u", T0 - 30 * DAY, late=30 * DAY + 100),
                Sent("v", T0 - 30 * DAY, late=30 * DAY + 200),
                Sent("v", T0),
            ],
            clock=[T0 - 1, *around(T0 + HOUR, T0 + DAY)],
            retention_days=20,
        )
    yield worked(
        "late-changes-the-past",
        counted(HOUR_BACK, "eq", 1),
        {T0: "u", T0 + 10: "", T0 + HOUR - 60: "u", T0 + HOUR: ""},
        sent=[Sent("u", T0), Sent("u", T0 - 60, late=70)],
    )


def _each_window() -> Iterator[tuple[str, Rule]]:
    for window in (
        HOUR_BACK,
        {"type": "between", "from_seconds": HOUR, "to_seconds": 0},
        {"type": "calendar_days", "days": 1},
        {"type": "absolute", "from": T0 - 60, "to": T0 + DAY},
        EVER,
    ):
        yield str(window["type"]), counted(window)


def identity() -> Iterator[Case]:
    merge, unmerge = {"merge": [["s", "t"]]}, {"unmerge": [["s", "t"]]}
    people: Rule = {"profiles": {"s": {}, "t": {}, "x": {}}}
    yield worked(
        "merge-is-the-union",
        counted(HOUR_BACK, "gte", 2),
        {T0 + 1: "", T0 + 2: "t", T0 + 3: "t", T0 + 4: "s", T0 + HOUR: "s", T0 + HOUR + 1: ""},
        sent=[Sent("s", T0 + 1), Sent("t", T0), Sent("s", T0 + 3), Sent("x", T0)],
        happens={T0 + 2: merge, T0 + 4: unmerge},
        clock=[T0 + HOUR + 3],
        **people,
    )
    yield worked(
        "merged-absence",
        counted(HOUR_BACK, "eq", 0),
        {T0: "t x", T0 + 2: "x", T0 + 4: "t x", T0 + HOUR: "s t x"},
        sent=[Sent("s", T0)],
        happens={T0 + 2: merge, T0 + 4: unmerge},
        **people,
    )
    yield worked(
        "merged-events-go-to-the-target-and-back",
        counted(HOUR_BACK),
        {T0 + 1: "", T0 + 2: "t", T0 + 3: "s", T0 + 4: "t", T0 + HOUR + 1: "t", T0 + HOUR + 2: ""},
        sent=[Sent("s", T0 + 2)],
        happens={T0 + 1: merge, T0 + 3: unmerge, T0 + 4: merge},
        **people,
    )
    yield worked(
        "merged-sequence",
        {"kind": "sequence", "window": HOUR_BACK, "steps": [{"event": "view"}, {"event": "cart"}]},
        {T0 + 1: "", T0 + 2: "t", T0 + 3: ""},
        sent=[Sent("s", T0), Sent("t", T0 + 1, "cart")],
        happens={T0 + 2: merge, T0 + 3: unmerge},
        **people,
    )
    yield worked(
        "merged-sequence-tie",
        {"kind": "sequence", "window": HOUR_BACK, "steps": [{"event": "view"}, {"event": "cart"}]},
        {T0: "", T0 + 2: "t", T0 + HOUR - 1: "t", T0 + HOUR: ""},
        sent=[Sent("s", T0), Sent("t", T0, "cart"), Sent("x", T0, "cart"), Sent("x", T0)],
        happens={T0 + 2: merge},
        **people,
    )
    yield worked(
        "merged-first-time",
        {"kind": "first_time", "event": "view", "window": HOUR_BACK},
        {T0: "t", T0 + 2: "", T0 + 3: "t", T0 + HOUR: ""},
        sent=[Sent("s", T0 - HOUR), Sent("t", T0)],
        happens={T0 + 2: merge, T0 + 3: unmerge},
        **people,
    )
    yield worked(
        "merged-then-not",
        {
            "kind": "then_not",
            "a": {"event": "view"},
            "b": {"event": "order"},
            "after": 60,
            "window": HOUR_BACK,
        },
        {T0 + 60: "s", T0 + 70: "", T0 + 80: "s", T0 + HOUR: ""},
        sent=[Sent("s", T0), Sent("t", T0 + 5, "order")],
        happens={T0 + 70: merge, T0 + 80: unmerge},
        **people,
    )
    yield worked(
        "merged-distinct",
        {
            "kind": "aggregate",
            "event": "view",
            "window": HOUR_BACK,
            "prop": "cat",
            "agg": "distinct",
            "op": "eq",
            "value": 2,
        },
        {T0: "", T0 + 2: "t", T0 + 3: "t", T0 + 4: "s", T0 + HOUR - 1: "s", T0 + HOUR: ""},
        sent=[
            Sent("s", T0, props={"cat": "a"}),
            Sent("t", T0, props={"cat": "b"}),
            Sent("s", T0 + 3, props={"cat": "b"}),
        ],
        happens={T0 + 2: merge, T0 + 4: unmerge},
        **people,
    )
    yield worked(
        "merged-in-a-chain",
        counted(HOUR_BACK, "eq", 3),
        {T0: "", T0 + 1: "", T0 + 2: "x", T0 + 3: "", T0 + 4: ""},
        sent=[Sent("s", T0), Sent("t", T0), Sent("x", T0)],
        happens={
            T0 + 1: merge,
            T0 + 2: {"merge": [["t", "x"]]},
            T0 + 3: {"unmerge": [["t", "x"]]},
            T0 + 4: unmerge,
        },
        **people,
    )


def retention() -> Iterator[Case]:
    """Thirty days are kept, whatever the window asks for."""
    kept = 30 * DAY
    edge = {T0: "u", T0 + kept - US: "u", T0 + kept: "", T0 + kept + US: ""}
    one: Rule = {"sent": [Sent("u", T0)], "retention_days": 30, "clock": around(T0 + kept)}
    for name, window in (
        ("ever", EVER),
        ("last", last(365 * DAY)),
        ("absolute", {"type": "absolute", "from": T0 - 1, "to": T0 + 365 * DAY}),
        ("calendar-days", {"type": "calendar_days", "days": 365}),
    ):
        yield worked(f"kept-{name}", counted(window), edge, **one)
    yield worked(
        "kept-between",
        counted({"type": "between", "from_seconds": 365 * DAY, "to_seconds": DAY}),
        {T0: "", T0 + DAY: "u", T0 + kept - US: "u", T0 + kept: ""},
        **one,
    )
    yield worked(
        "kept-regularly",
        {
            "kind": "regularly",
            "event": "view",
            "period": 20 * DAY,
            "periods": 2,
            "min_periods": 1,
        },
        {T0: "u", T0 + 20 * DAY: "u", T0 + kept - US: "u", T0 + kept: "", T0 + 40 * DAY: ""},
        **one,
    )
    yield worked(
        "kept-stopped",
        {
            "kind": "stopped",
            "event": "view",
            "before_seconds": 60 * DAY,
            "inactive_seconds": 10 * DAY,
        },
        {T0: "", T0 + 10 * DAY: "u", T0 + kept - US: "u", T0 + kept: "", T0 + 50 * DAY: ""},
        **one,
    )
    yield worked(
        "kept-distinct-days",
        counted(EVER, "eq", 2, kind="distinct_days"),
        {T0 + DAY: "u", T0 + kept - US: "u", T0 + kept: "", T0 + kept + DAY: ""},
        sent=[Sent("u", T0), Sent("u", T0 + DAY)],
        retention_days=30,
    )
    yield worked(
        "kept-first-time-of-an-old-span-is-remembered",
        {
            "kind": "first_time",
            "event": "view",
            "window": {"type": "absolute", "from": T0 - 1, "to": T0 + 1},
        },
        {T0 - 1: "", T0: "u", T0 + kept: "u", T0 + 100 * DAY: "u"},
        **one,
    )
    yield worked(
        "kept-first-time-ever-ends-with-ever",
        {"kind": "first_time", "event": "view", "window": EVER},
        {T0: "u", T0 + kept - US: "u", T0 + kept: "", T0 + kept + DAY: ""},
        sent=[Sent("u", T0), Sent("u", T0 + DAY)],
        retention_days=30,
    )
    yield worked(
        "kept-sequence",
        {"kind": "sequence", "window": EVER, "steps": [{"event": "view"}, {"event": "cart"}]},
        {T0 + 1: "", T0 + DAY: "u", T0 + kept - US: "u", T0 + kept: ""},
        sent=[Sent("u", T0), Sent("u", T0 + DAY, "cart")],
        retention_days=30,
    )
    yield worked(
        "kept-then-not",
        {
            "kind": "then_not",
            "a": {"event": "view"},
            "b": {"event": "cart"},
            "after": DAY,
            "window": EVER,
        },
        {T0 + DAY - US: "", T0 + DAY: "u", T0 + kept - US: "u", T0 + kept: ""},
        **one,
    )
    yield worked(
        "kept-first-time-with-where-begins-anew",
        {
            "kind": "first_time",
            "event": "view",
            "window": last(DAY),
            "where": [{"key": "cat", "op": "eq", "value": "a"}],
        },
        {
            T0: "u",
            T0 + DAY: "",
            T0 + kept - HOUR: "",
            T0 + kept - US: "",
            T0 + kept: "u",
            T0 + kept - HOUR + DAY: "",
        },
        sent=[
            Sent("u", T0, props={"cat": "a"}),
            Sent("u", T0 + kept - HOUR, props={"cat": "a"}),
        ],
        retention_days=30,
    )
    yield worked(
        "kept-first-time-remembers-for-good",
        {"kind": "first_time", "event": "view", "window": last(DAY)},
        {T0: "u", T0 + DAY: "", T0 + kept - HOUR: "", T0 + kept: "", T0 + 2 * kept: ""},
        sent=[Sent("u", T0), Sent("u", T0 + kept - HOUR), Sent("u", T0 + 2 * kept)],
        retention_days=30,
    )
    yield worked(
        "kept-absence",
        counted(EVER, "eq", 0),
        {T0 - 1: "u", T0: "", T0 + kept - US: "", T0 + kept: "u"},
        **one,
    )
    yield worked(
        "kept-sum",
        {
            "kind": "aggregate",
            "event": "view",
            "window": EVER,
            "prop": "n",
            "agg": "sum",
            "op": "gte",
            "value": 0.3,
        },
        {T0: "", T0 + DAY: "u", T0 + kept - US: "u", T0 + kept: ""},
        sent=[Sent("u", T0, props={"n": 0.1}), Sent("u", T0 + DAY, props={"n": 0.2})],
        retention_days=30,
    )
    yield worked(
        "kept-late-beyond",
        counted(EVER),
        {T0: "", T0 + 1: "u", T0 + 2 - US: "u", T0 + 2: "", T0 + 3: ""},
        sent=[
            Sent("u", T0 - kept, late=kept),
            Sent("u", T0 - kept + 2, late=kept - 1),
            Sent("v", T0 - 2 * kept, late=2 * kept + 3),
        ],
        retention_days=30,
    )
