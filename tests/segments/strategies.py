"""Hypothesis strategies: random rules, histories and clocks, as cases of one shape.

Everything is drawn from small pools, so that times tie, sums meet the values of rules and the
clock stops exactly at edges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.segments.casefiles import Case
from tests.segments.corpus_tools import DAY, HOUR, T0, US, Sent, case, exact
from tests.segments.corpus_zones import local_s
from tests.segments.edges import edges_us
from tests.segments.oracle_operators import SECOND

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
_SPANS = (1, 2, HOUR, 2 * HOUR, DAY, 2 * DAY)
_TEXTS = ("a", "b", "A", "shoes", "Straße", "", "1", "\U0001f600")
_NUMBERS = (0, 1, 1.0, 2, 10, 0.1, 0.2, -1)
_SCALARS: tuple[Any, ...] = (*_TEXTS, *_NUMBERS, True, False)
_VERSIONS = ("1.0.0", "1.0.0-rc.1", "1.0.0-rc.10", "1.0.0+b", "2.0.0", "1.0", "v1.0.0")
_ADDRESSES = ("10.0.0.1", "10.1.0.0", "::1", "2001:db8::1", "10.0.0", "1")
_PATTERNS = ("a", "^a", "(?i)^SHOE", "s$", "[0-9]", "^$", "a|b")
_PEOPLE = ("u", "v", "w")
_COMPARISONS = ("eq", "neq", "lt", "lte", "gt", "gte", "between")

spans = st.sampled_from(_SPANS)
texts = st.sampled_from(_TEXTS)
numbers = st.sampled_from(_NUMBERS)
scalars = st.sampled_from(_SCALARS)
lists = st.lists(scalars, min_size=1, max_size=3)


def _pairs(of: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(of, of).map(sorted)


def _values(start: int) -> Mapping[str, st.SearchStrategy[Any]]:
    """Return operator -> values that it takes; times lie about `start`."""
    ordered = st.one_of(numbers, texts)
    versions = st.sampled_from(_VERSIONS[:5])
    networks = st.sampled_from(["10.0.0.0/8", "10.0.0.1/32", "2001:db8::/32"])
    times = st.one_of(_moments(start), st.sampled_from(["2026-10-25", "2026-03-08T05:00:00Z"]))
    return {
        **dict.fromkeys(("eq", "neq"), scalars),
        **dict.fromkeys(("lt", "lte", "gt", "gte"), ordered),
        "between": st.one_of(_pairs(numbers), _pairs(texts)),
        **dict.fromkeys(("in", "not_in", "any_of", "all_of", "none_of"), lists),
        **dict.fromkeys(
            ("contains", "not_contains", "starts_with", "ends_with"), st.sampled_from(_TEXTS[:5])
        ),
        "matches": st.sampled_from(_PATTERNS),
        **dict.fromkeys(("exists", "not_exists"), st.none()),
        **dict.fromkeys(("before", "after"), times),
        "within_last": spans,
        "weekday": st.lists(st.integers(1, 7), min_size=1, max_size=3, unique=True),
        **{f"semver_{c}": versions for c in ("eq", "lt", "lte", "gt", "gte")},
        "cidr": st.one_of(networks, st.lists(networks, min_size=1, max_size=2)),
        "size": st.integers(0, 2),
    }


@cache
def _moments(start: int) -> st.SearchStrategy[float]:
    """Return moments about a midnight: near it, an hour or a day away, to the microsecond."""
    return st.builds(
        lambda day, hour, second, us: exact(start + day * DAY + hour * HOUR + second + us * US),
        st.integers(-2, 2),
        st.integers(-1, 2),
        st.integers(-1, 2),
        st.sampled_from([0, 0, 0, 0, 1, -1]),
    )


def _subjects(start: int) -> st.SearchStrategy[Any]:
    return st.one_of(
        scalars,
        st.none(),
        st.sampled_from(_VERSIONS),
        st.sampled_from(_ADDRESSES),
        _moments(start),
        st.lists(scalars, max_size=3),
    )


def _conditions(keys: Sequence[str], start: int) -> st.SearchStrategy[dict[str, Any]]:
    values = _values(start)

    def with_value(op: str) -> st.SearchStrategy[dict[str, Any]]:
        told = {"key": st.sampled_from(keys), "op": st.just(op)}
        return st.fixed_dictionaries(
            told if op.endswith("exists") else {**told, "value": values[op]}
        )

    return st.sampled_from(sorted(values)).flatmap(with_value)


_PATHS = (
    "x",
    "cat",
    "price",
    "a.b",
    "tags",
    "tags[]",
    "products[].price",
    "products[].category",
    "$context.device.type",
    "$context.campaign.source",
    "$session.id",
    "$product.category",
    "$product.price_minor",
)
_PROPS = ("x", "cat", "price", "price", "products[].price", "tags[]", "$product.price_minor")


# What many events pass: among random conditions alone hardly a rule would ever hold.
_LIKELY = st.sampled_from(
    [
        [{"key": "cat", "op": "neq", "value": "shoes"}],
        [{"key": "cat", "op": "in", "value": ["a", "b", "shoes"]}],
        [{"key": "price", "op": "gte", "value": 1}],
        [{"key": "price", "op": "exists"}],
        [{"key": "products[].price", "op": "lt", "value": 2}],
    ]
)


class Rules:
    """Rules about events near one moment."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.conditions = _conditions(_PATHS, start)
        wheres = st.one_of(
            st.just([]), st.just([]), _LIKELY, _LIKELY, st.lists(self.conditions, max_size=2)
        )
        names = st.sampled_from(["view", "view", "cart", {"prefix": "v"}])
        self.matchers = st.builds(
            lambda name, where: {"event": name, **({"where": where} if where else {})},
            names,
            wheres,
        )
        self.windows = st.one_of(
            st.builds(lambda seconds: {"type": "last", "seconds": seconds}, spans),
            st.builds(
                lambda to, by: {"type": "between", "from_seconds": to + by, "to_seconds": to},
                st.one_of(st.just(0), spans),
                spans,
            ),
            st.builds(lambda n: {"type": "calendar_days", "days": n}, st.integers(1, 3)),
            st.lists(_moments(start), min_size=2, max_size=2, unique=True).map(
                lambda ends: {"type": "absolute", "from": min(ends), "to": max(ends)}
            ),
            st.just({"type": "ever"}),
        )
        self.leaves = st.one_of(*(build() for build in self._kinds()))

    def rules(self, depth: int, *, leaves: st.SearchStrategy[Any] | None = None) -> Any:
        leaves = self.leaves if leaves is None else leaves
        if depth <= 1:
            return leaves
        parts = self.rules(depth - 1, leaves=leaves)
        return st.one_of(
            leaves,
            st.lists(parts, min_size=1, max_size=3).map(lambda group: {"and": group}),
            st.lists(parts, min_size=1, max_size=3).map(lambda group: {"or": group}),
            parts.map(lambda part: {"not": part}),
        )

    def _kinds(self) -> Sequence[Any]:
        return (
            lambda: self._counts("count"),
            lambda: self._counts("distinct_days"),
            self._aggregates,
            self._first_times,
            self._sequences,
            self._then_nots,
            self._stops,
            self._regulars,
            self._profiles,
            self._others,
        )

    def _with(self, kind: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        told = st.fixed_dictionaries({"kind": st.just(kind), **members})
        return st.builds(lambda matcher, rest: {**matcher, **rest}, self.matchers, told)

    def _counts(self, kind: str) -> st.SearchStrategy[Any]:
        leaf = self._with(kind, window=self.windows)
        return st.builds(lambda a, b: {**a, **b}, leaf, _compared(st.integers(0, 3)))

    def _aggregates(self) -> st.SearchStrategy[Any]:
        def of(agg: str) -> st.SearchStrategy[Any]:
            marks: st.SearchStrategy[Any] = numbers
            if agg in ("first", "last"):
                marks = st.one_of(texts, numbers)
            if agg == "distinct":
                marks = st.integers(0, 3)
            compared = _compared(marks)
            leaf = self._with(
                "aggregate",
                window=self.windows,
                prop=st.sampled_from(_PROPS),
                agg=st.just(agg),
            )
            return st.builds(lambda a, b: {**a, **b}, leaf, compared)

        return st.sampled_from(["sum", "avg", "min", "max", "first", "last", "distinct"]).flatmap(
            of
        )

    def _first_times(self) -> st.SearchStrategy[Any]:
        return self._with("first_time", window=self.windows)

    def _sequences(self) -> st.SearchStrategy[Any]:
        later = st.builds(
            lambda matcher, within: {**matcher, **within},
            self.matchers,
            st.fixed_dictionaries({}, optional={"within": spans}),
        )
        return st.builds(
            lambda first, rest, window: {
                "kind": "sequence",
                "window": window,
                "steps": [first, *rest],
            },
            self.matchers,
            st.lists(later, min_size=1, max_size=3),
            self.windows,
        )

    def _then_nots(self) -> st.SearchStrategy[Any]:
        return st.fixed_dictionaries(
            {
                "kind": st.just("then_not"),
                "a": self.matchers,
                "b": self.matchers,
                "after": spans,
                "window": self.windows,
            }
        )

    def _stops(self) -> st.SearchStrategy[Any]:
        return st.builds(
            lambda leaf, inactive, by: {
                **leaf,
                "inactive_seconds": inactive,
                "before_seconds": inactive + by,
            },
            self._with("stopped"),
            spans,
            spans,
        )

    def _regulars(self) -> st.SearchStrategy[Any]:
        return st.integers(1, 4).flatmap(
            lambda periods: self._with(
                "regularly",
                period=spans,
                periods=st.just(periods),
                min_periods=st.integers(1, periods),
            )
        )

    def _profiles(self) -> st.SearchStrategy[Any]:
        return _conditions(("tier", "seen_at"), self.start).map(
            lambda condition: {"kind": "profile", **condition}
        )

    def _others(self) -> st.SearchStrategy[Any]:
        shares = st.lists(
            st.sampled_from([0, 0.25, 0.5, 0.75, 1]), min_size=2, max_size=2, unique=True
        )
        return st.one_of(
            st.just({"kind": "segment", "key": "other"}),
            st.just({"kind": "list", "key": "vip"}),
            _compared(numbers).map(lambda c: {"kind": "score", "key": "churn", **c}),
            st.builds(
                lambda salt, share: {
                    "kind": "bucket",
                    "salt": salt,
                    "from": min(share),
                    "to": max(share),
                },
                texts.filter(bool),
                shares,
            ),
        )


def _compared(marks: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def of(op: str) -> st.SearchStrategy[dict[str, Any]]:
        pair = st.tuples(marks, marks).filter(_of_one_type).map(sorted)
        return st.fixed_dictionaries(
            {"op": st.just(op), "value": pair if op == "between" else marks}
        )

    return st.sampled_from(_COMPARISONS).flatmap(of)


def _of_one_type(pair: tuple[Any, Any]) -> bool:
    return isinstance(pair[0], str) is isinstance(pair[1], str)


@cache
def _props(start: int) -> st.SearchStrategy[dict[str, Any]]:
    products = st.fixed_dictionaries(
        {}, optional={"price": scalars, "category": st.one_of(texts, st.none())}
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "x": _subjects(start),
            "cat": texts,
            "price": st.one_of(numbers, scalars),
            "a": st.fixed_dictionaries({}, optional={"b": scalars}),
            "tags": st.lists(scalars, max_size=3),
            "products": st.lists(products, max_size=3),
        },
    )


_MORE = st.fixed_dictionaries(
    {},
    optional={
        "context": st.fixed_dictionaries(
            {},
            optional={
                "device": st.fixed_dictionaries({"type": texts}),
                "campaign": st.fixed_dictionaries({}, optional={"source": texts}),
            },
        ),
        "session": st.sampled_from(["a", "b"]),
        "products": st.lists(
            st.fixed_dictionaries(
                {"category": texts},
                optional={"brand": texts, "price_minor": st.sampled_from([0, 1, 2, 10])},
            ),
            max_size=2,
        ),
    },
)
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
    one = st.fixed_dictionaries({}, optional={"tier": _subjects(start), "seen_at": _moments(start)})
    return st.fixed_dictionaries(dict.fromkeys(_PEOPLE, one))


@cache
def _events(start: int, latest: int) -> st.SearchStrategy[list[Sent]]:
    """Return events of two people whose times tie more often than not."""

    def at_some(moments: list[float]) -> st.SearchStrategy[list[Sent]]:
        one = st.builds(
            Sent,
            user=st.sampled_from(["u", "u", "v"]),
            ts=st.sampled_from(moments),
            name=st.sampled_from(["view", "view", "cart", "vote"]),
            props=_props(start),
            late=st.sampled_from([0, 0, 0, 1, HOUR, latest]),
            more=_MORE,
        )
        return st.lists(one, min_size=1, max_size=8)

    return st.lists(_moments(start), min_size=1, max_size=6).flatmap(at_some)


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
    moments = draw(
        st.lists(
            _moments(start).filter(lambda at: at not in busy),
            min_size=len(plot),
            max_size=len(plot),
            unique=True,
        )
    )
    return dict(zip(sorted(moments), plot, strict=True))


def _clocks(
    edges: Sequence[float], happens: Mapping[float, object]
) -> st.SearchStrategy[list[float]]:
    stop = st.builds(
        lambda edge, by: exact(edge + by),
        st.sampled_from(edges),
        st.sampled_from([0, 0, -1, 1, US, -US, HOUR]),
    )
    return st.lists(stop.filter(lambda at: at not in happens), min_size=4, max_size=14)
