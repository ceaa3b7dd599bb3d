"""Leaves that count, or put a figure on, the events of a window: to (truth, until)."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

from segments.engine.language import Leaf
from segments.engine.values import compared, distinct_key, rounded
from segments.engine.verdicts import Evaluate, Spilled, Verdict, View, by_pieces, known
from segments.engine.windows import NEVER, Calendar, Span


def count(leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None) -> Evaluate:
    """Decide how many events lie in the window."""
    span, holds = Span(leaf.window, calendar, retention), compared(leaf.op, leaf.value)
    bounds, leaves = span.bounds, span.leaves
    nothing = holds(0), NEVER
    enough, negated = _enough(leaf)
    (place,) = places

    def evaluate(view: View, now: int) -> Verdict:
        times = view.entries[place]
        if not times:
            if times is None:
                raise Spilled(place)
            return nothing
        low, high = bounds(now)
        if enough < 1 or times[-1] > high:
            return by_pieces(span, times, now, lambda start, stop: holds(stop - start))
        # nothing is still to come, so the number only falls
        if len(times) - bisect_right(times, low) >= enough:
            return not negated, leaves(times[-enough])
        return negated, NEVER

    return evaluate


def _enough(leaf: Leaf) -> tuple[int, bool]:
    """Return (n, negated) of a comparison that says "at least n" or the opposite; 0: neither."""
    if leaf.op not in ("gte", "gt", "lt", "lte"):
        return 0, False
    least = -(-leaf.value // 1) if leaf.op in ("gte", "lt") else leaf.value // 1 + 1
    return int(least), leaf.op in ("lt", "lte")


def distinct_days(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Decide on how many local dates events lie in the window."""
    span, holds = Span(leaf.window, calendar, retention), compared(leaf.op, leaf.value)
    nothing = holds(0), NEVER
    (place,) = places

    def evaluate(view: View, now: int) -> Verdict:
        times = known(view, place)
        if not times:
            return nothing
        days = [calendar.day(at) for at in times]

        def holds_of(start: int, stop: int) -> bool:
            # a set: a zone that sets its clocks back over midnight has a day come again
            return holds(len(set(days[start:stop])))

        return by_pieces(span, times, now, holds_of)

    return evaluate


def aggregate(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Decide a figure of what the events of the window say."""
    span, total = Span(leaf.window, calendar, retention), _TOTALS[leaf.agg](leaf)
    nothing = total(()), NEVER
    (place,) = places

    def evaluate(view: View, now: int) -> Verdict:
        entries = known(view, place)
        if not entries:
            return nothing
        times = [entry[0] for entry in entries]
        return by_pieces(span, times, now, lambda start, stop: total(entries[start:stop]))

    return evaluate


Total = Callable[[Sequence[list[Any]]], bool]


def _sum(leaf: Leaf) -> Total:
    holds = _rounded(leaf)
    return lambda entries: holds(_added(entries)[0])


def _avg(leaf: Leaf) -> Total:
    holds = _rounded(leaf)

    def total(entries: Sequence[list[Any]]) -> bool:
        added, count = _added(entries)
        if not count:
            return False
        with localcontext(prec=400):
            return holds(added / count)

    return total


def _added(entries: Sequence[list[Any]]) -> tuple[Decimal, int]:
    values = [value for entry in entries for value in entry[2:]]
    with localcontext(prec=400):
        return sum((Decimal(repr(value)) for value in values), Decimal(0)), len(values)


def _rounded(leaf: Leaf) -> Callable[[Decimal], bool]:
    """Return the comparison of a number rounded to six places with the value, rounded too."""
    value = leaf.value
    wanted = [rounded(one) for one in value] if isinstance(value, list) else rounded(value)
    holds = _DECIMAL[leaf.op]
    return lambda number: bool(holds(rounded(number), wanted))


_DECIMAL: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "between": lambda a, b: b[0] <= a <= b[1],
}


def _extreme(pick: Callable[[Sequence[Any]], Any]) -> Callable[[Leaf], Total]:
    def make(leaf: Leaf) -> Total:
        holds = compared(leaf.op, leaf.value)

        def total(entries: Sequence[list[Any]]) -> bool:
            values = [value for entry in entries for value in entry[2:]]
            return bool(values) and holds(pick(values))

        return total

    return make


def _distinct(leaf: Leaf) -> Total:
    holds = compared(leaf.op, leaf.value)
    return lambda entries: holds(len({distinct_key(v) for entry in entries for v in entry[2:]}))


_TOTALS: Mapping[str, Callable[[Leaf], Total]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _extreme(min),
    "max": _extreme(max),
    "first": _extreme(lambda values: values[0]),
    "last": _extreme(lambda values: values[-1]),
    "distinct": _distinct,
}
