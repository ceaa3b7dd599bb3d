"""Hypothesis strategies for rules: all kinds, small constants, so that they meet what happens."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.segments.corpus_tools import DAY, HOUR, US, exact

_SPANS = (1, 2, HOUR, 2 * HOUR, DAY, 2 * DAY)
TEXTS = ("a", "b", "A", "shoes", "Straße", "", "1", "\U0001f600")
NUMBERS = (0, 1, 1.0, 2, 10, 0.1, 0.2, -1)
SCALARS: tuple[Any, ...] = (*TEXTS, *NUMBERS, True, False)
VERSIONS = ("1.0.0", "1.0.0-rc.1", "1.0.0-rc.10", "1.0.0+b", "2.0.0", "1.0", "v1.0.0")
ADDRESSES = ("10.0.0.1", "10.1.0.0", "::1", "2001:db8::1", "10.0.0", "1")
_PATTERNS = ("a", "^a", "(?i)^SHOE", "s$", "[0-9]", "^$", "a|b")
_COMPARISONS = ("eq", "neq", "lt", "lte", "gt", "gte", "between")

spans = st.sampled_from(_SPANS)
# Windows that hold more than one of the moments.
wide = st.sampled_from((2, HOUR, HOUR + 1, 2 * HOUR, DAY, DAY, 2 * DAY, 1.5))
texts = st.sampled_from(TEXTS)
numbers = st.sampled_from(NUMBERS)
scalars = st.sampled_from(SCALARS)
lists = st.lists(scalars, min_size=1, max_size=3)


def _pairs(of: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(of, of).map(sorted)


def _values(start: int) -> Mapping[str, st.SearchStrategy[Any]]:
    """Return operator -> values that it takes; times lie about `start`."""
    ordered = st.one_of(numbers, texts)
    versions = st.sampled_from(VERSIONS[:5])
    networks = st.sampled_from(["10.0.0.0/8", "10.0.0.1/32", "2001:db8::/32"])
    times = st.one_of(moments(start), st.sampled_from(["2026-10-25", "2026-03-08T05:00:00Z"]))
    return {
        **dict.fromkeys(("eq", "neq"), scalars),
        **dict.fromkeys(("lt", "lte", "gt", "gte"), ordered),
        "between": st.one_of(_pairs(numbers), _pairs(texts)),
        **dict.fromkeys(("in", "not_in", "any_of", "all_of", "none_of"), lists),
        **dict.fromkeys(
            ("contains", "not_contains", "starts_with", "ends_with"), st.sampled_from(TEXTS[:5])
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
def moments(start: int) -> st.SearchStrategy[float]:
    """Return moments about a midnight: near it, an hour or a day away, to the microsecond."""
    return st.builds(
        lambda day, hour, second, us: exact(start + day * DAY + hour * HOUR + second + us * US),
        st.sampled_from([0, 0, -1, 1, -2, 2]),
        st.sampled_from([0, 0, 1, -1, 2]),
        st.sampled_from([0, 0, 1, -1, 2]),
        st.sampled_from([0, 0, 0, 0, 0, 1, -1]),
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
_PROPS = (
    "price",
    "price",
    "price",
    "products[].price",
    "cat",
    "x",
    "tags",
    "a",
    "tags[]",
    "$product.price_minor",
)
# What sums, averages and single prices of a few events are.
_FIGURES = (1, 2, 0, 3, 10, 11, 12, 0.1, 0.2, 0.3, 0.5, 1.5, 5.5, 1.1)


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
        some = st.one_of(_LIKELY, _LIKELY, st.lists(self.conditions, min_size=1, max_size=2))
        wheres = st.sampled_from([False, False, False, True]).flatmap(
            lambda given: some.map(lambda where: {"where": where}) if given else st.just({})
        )
        self.matchers = self._matchers(["view", "view", "view", "cart", {"prefix": "v"}], wheres)
        self.others = self._matchers(["cart", "cart", "view"], wheres)
        self.windows = st.one_of(
            st.builds(lambda seconds: {"type": "last", "seconds": seconds}, wide),
            st.builds(
                lambda to, by: {"type": "between", "from_seconds": to + by, "to_seconds": to},
                st.one_of(st.just(0), spans),
                wide,
            ),
            st.builds(lambda n: {"type": "calendar_days", "days": n}, st.integers(1, 3)),
            st.lists(moments(start), min_size=2, max_size=2, unique=True).map(
                lambda ends: {"type": "absolute", "from": min(ends), "to": max(ends)}
            ),
            st.just({"type": "ever"}),
        )
        self.leaves = st.one_of(*(build() for build in self._kinds()))

    def _matchers(self, names: Sequence[Any], wheres: st.SearchStrategy[Any]) -> Any:
        return st.builds(
            lambda name, where: {"event": name, **where}, st.sampled_from(names), wheres
        )

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
            self._then_nots,
            self._sequences,
            self._aggregates,
            self._aggregates,
            lambda: self._counts("distinct_days"),
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
            marks: st.SearchStrategy[Any] = st.sampled_from(_FIGURES)
            if agg in ("first", "last"):
                marks = st.one_of(marks, st.sampled_from(("a", "b", "shoes")))
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
            lambda matcher, within: {**matcher, **({"within": within} if within else {})},
            self.others,
            st.one_of(st.none(), wide),
        )
        return st.builds(
            lambda first, rest, window: {
                "kind": "sequence",
                "window": window,
                "steps": [first, *rest],
            },
            self.matchers,
            st.lists(later, min_size=1, max_size=2),
            self.windows,
        )

    def _then_nots(self) -> st.SearchStrategy[Any]:
        return st.fixed_dictionaries(
            {
                "kind": st.just("then_not"),
                "a": self.matchers,
                "b": self.others,
                "after": st.sampled_from((1, 2, HOUR, 2 * HOUR)),
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
                min_periods=st.integers(1, min(2, periods)),
            )
        )

    def _profiles(self) -> st.SearchStrategy[Any]:
        return _conditions(("tier", "seen_at", "consent.marketing"), self.start).map(
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
