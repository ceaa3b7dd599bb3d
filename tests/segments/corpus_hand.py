"""Cases of leaves and groups that a person thought of, with that person's word on members."""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.segments.casefiles import Case
from tests.segments.corpus_grid import COMPARISONS
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
    case,
    closely_around,
    counted,
    last,
    worked,
)


def windows() -> Iterator[Case]:
    """The edges of every window, to the microsecond."""
    one = [Sent("u", T0)]
    yield worked(
        "last-us",
        counted(HOUR_BACK),
        {T0: "u", T0 + HOUR - US: "u", T0 + HOUR: "", T0 + HOUR + US: ""},
        sent=one,
        clock=[T0 - US],
    )
    between = {"type": "between", "from_seconds": 2 * HOUR, "to_seconds": HOUR}
    yield worked(
        "between-us",
        counted(between),
        {
            T0 + HOUR - US: "",
            T0 + HOUR: "u",
            T0 + 2 * HOUR - US: "u",
            T0 + 2 * HOUR: "",
        },
        sent=one,
    )
    yield worked(
        "between-to-now",
        counted({"type": "between", "from_seconds": 10, "to_seconds": 0}),
        {T0: "u", T0 + 10 - US: "u", T0 + 10: ""},
        sent=one,
    )
    yield worked(
        "between-late-into-the-middle",
        counted(between, "eq", 2),
        {T0 + 1.5 * HOUR: "u", T0 + 2 * HOUR: ""},
        sent=[Sent("u", T0), Sent("u", T0 + 60, late=HOUR), Sent("u", T0 - DAY, late=DAY)],
    )
    absolute = {"type": "absolute", "from": T0, "to": T0 + 10}
    yield worked(
        "absolute-us",
        counted(absolute, "eq", 2),
        {T0 - US: "", T0: "", T0 + 10: "u", T0 + 10 + US: "u", T0 + DAY: "u"},
        sent=[Sent("u", at) for at in (T0 - US, T0, T0 + 10, T0 + 10 + US)],
    )
    yield worked(
        "absolute-in-the-future",
        counted({"type": "absolute", "from": T0 + HOUR, "to": T0 + 2 * HOUR}, "eq", 0),
        {T0: "u", T0 + HOUR - 1: "u", T0 + HOUR: "", T0 + DAY: ""},
        sent=[Sent("u", T0), Sent("u", T0 + HOUR)],
    )
    # 2026-09-21 14:13:20 UTC is 16:13:20 in Berlin: midnight is 22:00 UTC.
    midnight = 1_790_028_000
    yield worked(
        "calendar-us",
        counted({"type": "calendar_days", "days": 1}),
        {T0: "u", midnight - US: "u", midnight: "v", midnight + DAY - US: "v", midnight + DAY: ""},
        sent=[Sent("u", T0), Sent("v", midnight)],
        clock=around(midnight, midnight + DAY),
        timezone="Europe/Berlin",
    )
    yield worked(
        "ever-without-retention",
        counted(EVER),
        {T0: "u", T0 + 3000 * DAY: "u"},
        sent=one,
    )
    for kind in ("count", "distinct_days"):
        yield worked(
            f"absence-{kind}",
            counted(HOUR_BACK, "eq", 0, kind=kind),
            {T0 - 1: "u v", T0: "v", T0 + HOUR - 1: "v", T0 + HOUR: "u v"},
            sent=one,
            profiles={"u": {}, "v": {}},
        )


def sequence() -> Iterator[Case]:
    steps = [{"event": "view"}, {"event": "cart", "within": 10}]
    rule: Rule = {"kind": "sequence", "window": last(100), "steps": steps}
    yield worked(
        "sequence-within-us",
        rule,
        {T0 + 11: "edge", T0 + 100 - US: "edge", T0 + 100: ""},
        sent=[
            Sent("edge", T0),
            Sent("edge", T0 + 10, "cart"),
            Sent("over", T0),
            Sent("over", T0 + 10 + US, "cart"),
            Sent("back", T0 + 1),
            Sent("back", T0, "cart"),
        ],
        clock=around(T0 + 100),
    )
    yield worked(
        "sequence-later-steps-outlive-the-window",
        {
            "kind": "sequence",
            "window": {"type": "absolute", "from": T0, "to": T0 + 5},
            "steps": [{"event": "view"}, {"event": "cart"}],
        },
        {T0 + 6: "", T0 + DAY - 1: "", T0 + DAY: "u", T0 + 2 * DAY: "u"},
        sent=[
            Sent("u", T0 + 5),
            Sent("u", T0 + DAY, "cart"),
            Sent("v", T0 + 6),
            Sent("v", T0 + 7, "cart"),
        ],
    )
    yield worked(
        "sequence-needs-the-second-start",
        {
            "kind": "sequence",
            "window": last(100),
            "steps": [
                {"event": "view"},
                {"event": "cart", "within": 5},
                {"event": "order", "within": 5},
            ],
        },
        {T0 + 13: "", T0 + 14: "u", T0 + 107: "u", T0 + 108: ""},
        # view cart(too early for the order) view cart order
        sent=[
            Sent("u", T0),
            Sent("u", T0 + 4, "cart"),
            Sent("u", T0 + 8),
            Sent("u", T0 + 10, "cart"),
            Sent("u", T0 + 14, "order"),
        ],
    )
    yield worked(
        "sequence-same-event-serves-one-step",
        {"kind": "sequence", "window": last(100), "steps": [{"event": "view"}, {"event": "view"}]},
        {T0: "", T0 + 1: "", T0 + 2: "u", T0 + 99: "u", T0 + 100: ""},
        sent=[Sent("u", T0, again=T0 + 1), Sent("u", T0 + 2)],
    )
    yield worked(
        "sequence-late-first-step",
        rule,
        {T0 + 5: "", T0 + 50: "u", T0 + 99: "u", T0 + 100: ""},
        sent=[Sent("u", T0 + 5, "cart"), Sent("u", T0, late=50)],
    )
    # "Has no price" is said of the event: one element that has one is enough for it to be there.
    unpriced = [{"key": "products[].price", "op": "not_exists"}]
    baskets = {
        "bare": [{}, {"category": "a"}],
        "empty": [],
        "mixed": [{}, {"category": "a"}, {"price": False}],
        "null": [{"price": None}],
    }
    yield worked(
        "sequence-where-no-element-has-it",
        {
            "kind": "sequence",
            "window": last(2),
            "steps": [{"event": "view", "where": unpriced}, {"event": "cart"}],
        },
        {T0: "bare empty null", T0 + 2 - US: "bare empty null", T0 + 2: ""},
        sent=[
            Sent(user, T0, name, {"products": products} if name == "view" else {})
            for user, products in baskets.items()
            for name in ("view", "cart")
        ],
        clock=around(T0 + 2),
    )


def then_not() -> Iterator[Case]:
    rule: Rule = {
        "kind": "then_not",
        "a": {"event": "cart"},
        "b": {"event": "order"},
        "after": 1800,
        "window": last(DAY),
    }
    yield worked(
        "then-not-us",
        rule,
        {T0: "", T0 + 1800 - US: "", T0 + 1800: "u", T0 + DAY - US: "u", T0 + DAY: ""},
        sent=[Sent("u", T0, "cart")],
    )
    yield worked(
        "then-not-another-a-starts-anew",
        rule,
        {T0 + 1800: "u", T0 + 2000: "", T0 + 3799: "", T0 + 3800: "u", T0 + 4000: ""},
        sent=[Sent("u", T0, "cart"), Sent("u", T0 + 2000, "cart"), Sent("u", T0 + 4000, "order")],
    )
    yield worked(
        "then-not-late-b",
        rule,
        {T0 + 1800: "u", T0 + 5000: "", T0 + DAY: ""},
        sent=[Sent("u", T0, "cart"), Sent("u", T0 + 1, "order", late=4999)],
    )
    yield worked(
        "then-not-b-after-the-window",
        {**rule, "window": {"type": "between", "from_seconds": 4 * HOUR, "to_seconds": HOUR}},
        {T0 + HOUR - 1: "", T0 + HOUR: "u", T0 + 2 * HOUR: ""},
        sent=[Sent("u", T0, "cart"), Sent("u", T0 + 2 * HOUR, "order")],
    )
    yield worked(
        "then-not-last-a-of-the-window-has-no-b-but-a-newer-a-lies-outside",
        {**rule, "window": {"type": "between", "from_seconds": 4 * HOUR, "to_seconds": HOUR}},
        {T0 + HOUR: "u", T0 + 2 * HOUR - 1: "u", T0 + 2 * HOUR: "u", T0 + 5 * HOUR: ""},
        sent=[Sent("u", T0, "cart"), Sent("u", T0 + HOUR, "cart")],
    )
    yield worked(
        "then-not-itself",
        {**rule, "b": {"event": "cart"}},
        {T0 + 1800: "u", T0 + 1900: "", T0 + 3700: "u"},
        sent=[Sent("u", T0, "cart"), Sent("u", T0 + 1900, "cart")],
    )


def lifecycle() -> Iterator[Case]:
    stopped: Rule = {
        "kind": "stopped",
        "event": "view",
        "before_seconds": 2 * HOUR,
        "inactive_seconds": HOUR,
    }
    yield worked(
        "stopped-us",
        stopped,
        {T0 + HOUR - US: "", T0 + HOUR: "u", T0 + 2 * HOUR - US: "u", T0 + 2 * HOUR: ""},
        sent=[Sent("u", T0)],
        profiles={"u": {}, "v": {}},
    )
    yield worked(
        "stopped-comes-back",
        stopped,
        {T0 + HOUR: "u", T0 + 1.5 * HOUR: "", T0 + 2.5 * HOUR: "u", T0 + 3.5 * HOUR: ""},
        sent=[Sent("u", T0), Sent("u", T0 + 1.5 * HOUR)],
    )
    regularly: Rule = {
        "kind": "regularly",
        "event": "view",
        "period": HOUR,
        "periods": 3,
        "min_periods": 3,
    }
    yield worked(
        "regularly-us",
        regularly,
        {
            T0 + 2 * HOUR - 1: "",
            T0 + 2 * HOUR: "u",
            T0 + 3 * HOUR - US: "u",
            T0 + 3 * HOUR: "",
        },
        sent=[Sent("u", T0), Sent("u", T0 + HOUR), Sent("u", T0 + 2 * HOUR)],
        clock=closely_around(T0 + 2 * HOUR),
    )
    # Two in one period, none in the next: three events are two periods.
    yield worked(
        "regularly-uneven",
        {**regularly, "min_periods": 2},
        {T0 + 30: "", T0 + HOUR + 59: "u", T0 + HOUR + 60: "u", T0 + 3 * HOUR: ""},
        sent=[Sent("u", T0), Sent("u", T0 + 30), Sent("u", T0 + HOUR)],
        clock=closely_around(T0 + HOUR + 30, T0 + 2 * HOUR, T0 + 2 * HOUR + 30, T0 + 3 * HOUR + 30),
    )
    first: Rule = {"kind": "first_time", "event": "view", "window": HOUR_BACK}
    yield worked(
        "first-time-us",
        first,
        {T0: "u", T0 + HOUR - US: "u", T0 + HOUR: "", T0 + 2 * HOUR: ""},
        sent=[Sent("u", T0), Sent("u", T0 + 2 * HOUR)],
    )
    yield worked(
        "first-time-late-first",
        first,
        {T0: "u", T0 + 10: "", T0 + HOUR: ""},
        sent=[Sent("u", T0), Sent("u", T0 - HOUR, late=HOUR + 10)],
    )


# (values of one event each, aggregate, operator, value, whether it holds)
FIGURES: Sequence[tuple[Sequence[Any], str, str, Any, bool]] = (
    ((0.1, 0.1, 0.1), "sum", "eq", 0.3, True),
    ((0.1, 0.2), "sum", "lte", 0.3, True),
    ((0.1, 0.2), "sum", "gt", 0.3, False),
    # half to even: not up, and not by what the nearest float is
    ((0.0000005,), "sum", "eq", 0, True),
    ((0.0000015,), "sum", "eq", 0.000002, True),
    ((0.0000025,), "sum", "eq", 0.000002, True),
    ((-0.0000005,), "sum", "gte", 0, True),
    ((-0.0000015,), "sum", "eq", -0.000002, True),
    ((1.0000005, 0), "sum", "eq", 1, True),
    ((0.000001, 0), "avg", "eq", 0, True),
    ((0.000003, 0), "avg", "eq", 0.000002, True),
    ((1, 0, 0), "avg", "eq", 0.333333, True),
    ((2, 0, 0), "avg", "eq", 0.666667, True),
    # the value is rounded as well
    ((1, 0, 0), "avg", "eq", 0.33333334, True),
    ((1,), "sum", "lt", 1.0000004, False),
    ((10**15, 0.1), "sum", "eq", 1000000000000000.1, True),
    ((9007199254740993, 1), "sum", "gt", 9007199254740993, True),
    ((1e15, -1e15, 0.000001), "sum", "eq", 0.000001, True),
    # what is no number is passed over by four of them
    ((1, "2", True, None, [3], {"a": 4}), "sum", "eq", 1, True),
    ((1, "2", True, None, [3], {"a": 4}), "avg", "eq", 1, True),
    (("2", True, 0.5), "min", "eq", 0.5, True),
    (("2", True, 0.5), "max", "eq", 0.5, True),
    (("2", True), "sum", "eq", 0, True),
    (("2", True), "avg", "neq", 7, False),
    (("2", True), "min", "neq", 7, False),
    (("2", True), "max", "lt", 7, False),
    ((None, "a", 5, None), "first", "eq", "a", True),
    ((None, "a", 5, None), "last", "eq", 5, True),
    ((None, "a", 5, None), "last", "gte", 5.0, True),
    ((True, 5), "first", "eq", True, True),
    ((True, 5), "first", "eq", 1, False),
    ((5, False), "last", "neq", 0, True),
    ((5, "m"), "last", "between", ["l", "n"], True),
    ((5, "m"), "last", "lt", 9, True),
    (([1], {"a": 1}, None), "first", "neq", 9, False),
    ((1, 1.0, "1", True, -0.0, 0, None, "a", "A"), "distinct", "eq", 6, True),
    ((None, [1], {"a": 1}), "distinct", "eq", 2, True),
    (([1], [1.0], ["1"], [1, 2], [2, 1], [True], [[1]], []), "distinct", "eq", 7, True),
    (({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, {"a": 1}, {"a": None}, {}), "distinct", "eq", 4, True),
    (([{"a": [1]}], [{"a": [1.0]}], [{"a": "1"}], "[]"), "distinct", "eq", 3, True),
    ((None, None), "distinct", "eq", 0, True),
    # by first and last as well, where they are compared with numbers
    (("abc", 7), "first", "lte", 10, True),
    ((7, True), "last", "eq", 7, True),
    ((6, "7"), "last", "between", [5, 6], True),
    (("abc", True), "last", "neq", 7, False),
    ((5, "m"), "last", "eq", "m", True),
    (("m", 5), "last", "eq", "m", False),
)


def figures() -> Iterator[Case]:
    """What an aggregate is of odd values, an hour long."""
    for number, (values, agg, op, value, holds) in enumerate(FIGURES):
        leaf: Rule = {"prop": "n", "agg": agg, "op": op, "value": value}
        yield worked(
            f"figure-{number}-{agg}",
            counted(HOUR_BACK, kind="aggregate", **leaf),
            {T0: "u" if holds else ""},
            sent=[Sent("u", T0, props={"n": one}) for one in values],
            clock=[T0 - 1, T0 + HOUR - 1, T0 + HOUR],
        )


def composition() -> Iterator[Case]:
    seen, ordered = counted(HOUR_BACK), counted(last(2 * HOUR), event="order")
    sent = [Sent("a", T0), Sent("b", T0, "order"), Sent("c", T0), Sent("c", T0, "order")]
    people: Rule = {"profiles": {name: {"tier": name} for name in "abcd"}}
    at, after = T0, T0 + HOUR
    for name, rule, first, later in (
        ("and", {"and": [seen, ordered]}, "c", ""),
        ("or", {"or": [seen, ordered]}, "a b c", "b c"),
        ("not", {"not": seen}, "b d", "a b c d"),
        ("and-not", {"and": [ordered, {"not": seen}]}, "b", "b c"),
        ("not-and", {"not": {"and": [seen, ordered]}}, "a b d", "a b c d"),
        ("not-or", {"not": {"or": [seen, ordered]}}, "d", "a d"),
        ("not-not", {"not": {"not": seen}}, "a c", ""),
        ("and-of-one", {"and": [seen]}, "a c", ""),
        ("or-of-one", {"or": [ordered]}, "b c", "b c"),
        (
            "deep",
            {"or": [{"and": [seen, {"not": {"or": [ordered, _tier("c")]}}]}, _tier("d")]},
            "a d",
            "d",
        ),
    ):
        yield worked(
            f"composed-{name}",
            rule,
            {at: first, after: later},
            sent=sent,
            **people,
            clock=[T0 - 1, *around(T0 + 2 * HOUR), T0 + HOUR - 1],
        )
    referred = {"seen": seen, "both": {"and": [{"kind": "segment", "key": "seen"}, ordered]}}
    yield worked(
        "segment-of-segments",
        {"or": [{"kind": "segment", "key": "both"}, _tier("d")]},
        {at: "c d", T0 + HOUR - 1: "c d", after: "d"},
        sent=sent,
        segments=referred,
        **people,
    )
    yield worked(
        "segment-alone",
        {"kind": "segment", "key": "seen"},
        {T0 - 1: "", at: "a c", T0 + HOUR - 1: "a c", after: ""},
        sent=sent,
        segments=referred,
        **people,
    )
    yield worked(
        "list-and-event",
        {"and": [{"kind": "list", "key": "vip"}, seen]},
        {at: "a", after: ""},
        sent=sent,
        lists={"vip": ["a", "b", "d", "stranger"]},
        **people,
    )
    yield worked(
        "list-but-event",
        {"and": [{"kind": "list", "key": "vip"}, {"not": seen}]},
        {at: "b d", after: "a b d"},
        sent=sent,
        lists={"vip": ["a", "b", "d"]},
        **people,
    )
    yield from _scores()
    yield from _buckets()
    yield worked(
        "traits-and-events",
        {"and": [seen, {"kind": "profile", "key": "tier", "op": "eq", "value": "gold"}]},
        {T0: "", T0 + 5: "a", T0 + 6: "", T0 + 7: "a", T0 + HOUR: ""},
        sent=[Sent("a", T0)],
        happens={
            T0 + 5: {"traits": {"a": {"tier": "gold"}}},
            T0 + 6: {"traits": {"a": {"tier": "silver"}}},
            T0 + 7: {"traits": {"a": {"tier": "gold"}}},
        },
    )


def _tier(value: str) -> Rule:
    return {"kind": "profile", "key": "tier", "op": "eq", "value": value}


def _scores() -> Iterator[Case]:
    scores = {"a": {"churn": 0.1}, "b": {"churn": 0.5}, "c": {"churn": 0.9}, "d": {"other": 0.5}}
    passing = {
        "eq": "b",
        "neq": "a c",
        "lt": "a",
        "lte": "a b",
        "gt": "c",
        "gte": "b c",
        "between": "b c",
    }
    for op in COMPARISONS:
        leaf = {
            "kind": "score",
            "key": "churn",
            "op": op,
            "value": [0.5, 0.9] if op == "between" else 0.5,
        }
        yield worked(
            f"score-{op}",
            {"and": [leaf, counted(HOUR_BACK, "eq", 0)]},
            {T0 - 1: passing[op], T0: "", T0 + HOUR - 1: "", T0 + HOUR: passing[op]},
            sent=[Sent(name, T0) for name in "abcd"],
            scores=scores,
            profiles={name: {} for name in "abcd"},
        )


def _buckets() -> Iterator[Case]:
    # sha256("s:u0") begins with ... ; the shares are in `test_oracle.py`, worked out by sha256sum.
    people = [f"u{i}" for i in range(8)]
    for low, high in ((0, 0.5), (0.5, 1), (0.25, 0.75)):
        yield case(
            f"bucket-{low}-{high}",
            {"and": [{"kind": "bucket", "salt": "s", "from": low, "to": high}, counted(HOUR_BACK)]},
            sent=[Sent(name, T0) for name in people],
            clock=[T0 - 1, T0 + HOUR - 1, T0 + HOUR],
        )
