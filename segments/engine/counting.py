"""Leaves that count, or put a figure on, the events of a window: to (truth, until)."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import localcontext
from math import ceil, floor
from operator import le
from typing import Any

from segments.engine.decimals import EXACT, divided, exact, millionths, stored
from segments.engine.language import Leaf
from segments.engine.values import compared, distinct_key
from segments.engine.verdicts import Evaluate, Spilled, Verdict, View, by_pieces, known
from segments.engine.windows import NEVER, Calendar, Span

Holds = Callable[[int, int], bool]
# More than anybody does.
_MANY = 1 << 62
# Comparisons with a level that a figure is above or below.
_LEVELS = frozenset({"lt", "lte", "gt", "gte"})


def count(leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None) -> Evaluate:
    """Decide how many events lie in the window."""
    holds = compared(leaf.op, leaf.value)
    return _counted(
        leaf, Span(leaf.window, calendar, retention), places[0], lambda times: _pieces(holds)
    )


def distinct_days(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Decide on how many local dates events lie in the window."""
    holds = compared(leaf.op, leaf.value)

    def by_days(times: Sequence[int]) -> Holds:
        days = [calendar.day(at) for at in times]
        # a set: a zone that sets its clocks back over midnight has a day come again
        return lambda start, stop: holds(len(set(days[start:stop])))

    # not by the number of events, even of a stream that holds one a day: one that was ahead of the
    # clock stands beside another of its day until the stream is trimmed
    return _counted(leaf, Span(leaf.window, calendar, retention), places[0], by_days, counts=False)


def _pieces(holds: Callable[[int], bool]) -> Holds:
    return lambda start, stop: holds(stop - start)


def _counted(
    leaf: Leaf,
    span: Span,
    place: int,
    by_piece: Callable[[Sequence[int]], Holds],
    *,
    counts: bool = True,
) -> Evaluate:
    """Decide a number of events (or what is counted like them), or let `by_piece` do it."""
    nothing = compared(leaf.op, leaf.value)(0), NEVER
    low, high = _range(leaf)
    within = leaf.op != "neq"
    bounds, leaves, sliding, once = span.bounds, span.leaves, span.sliding, leaf.op in _LEVELS

    def evaluate(view: View, now: int) -> Verdict:
        times = view.entries[place]
        if not times:
            if times is None:
                raise Spilled(place)
            return nothing
        oldest, newest = bounds(now) if sliding is None else (now - sliding, now)
        if times[-1] > newest:
            return by_pieces(span, times, now, by_piece(times), once=once)
        # nothing is still to come, so the number only falls
        number = len(times) - bisect_right(times, oldest)
        if not counts and number >= low:
            return by_pieces(span, times, now, by_piece(times), once=once)
        if number > high:
            return not within, leaves(times[-high - 1]) if high >= 0 else NEVER
        if number >= low:
            return within, leaves(times[-low]) if low > 0 else NEVER
        return not within, NEVER

    return evaluate


def _range(leaf: Leaf) -> tuple[int, int]:
    """Return the whole numbers (least, most) between which a comparison holds; `neq`: does not."""
    value = leaf.value
    if leaf.op == "between":
        return ceil(value[0]), floor(value[1])
    least = {"gte": ceil, "gt": lambda n: floor(n) + 1, "eq": ceil, "neq": ceil}.get(leaf.op)
    most = {"lte": floor, "lt": lambda n: ceil(n) - 1, "eq": floor, "neq": floor}.get(leaf.op)
    return least(value) if least else 0, most(value) if most else _MANY


def aggregate(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Decide a figure of what the events of the window say."""
    span, figure = Span(leaf.window, calendar, retention), _FIGURES[leaf.agg](leaf)
    nothing = figure(())[0](0, 0), NEVER
    (place,) = places

    def evaluate(view: View, now: int) -> Verdict:
        entries = known(view, place)
        if not entries:
            return nothing
        holds, once = figure(entries)
        return by_pieces(span, [entry[0] for entry in entries], now, holds, once=once)

    return evaluate


# From entries to the function that says whether the figure of a piece of them holds, and whether
# that turns at most once while events only leave.
Figure = Callable[[Sequence[list[Any]]], tuple[Holds, bool]]


def _sum(leaf: Leaf) -> Figure:
    holds, levels = _compared_millionths(leaf), leaf.op in _LEVELS

    def figure(entries: Sequence[list[Any]]) -> tuple[Holds, bool]:
        sums, _ = _running(entries)
        # what only grows with each event only falls as they leave
        once = levels and all(map(le, sums, sums[1:]))
        return lambda start, stop: holds(millionths(sums[stop] - sums[start])), once

    return figure


def _avg(leaf: Leaf) -> Figure:
    holds = _compared_millionths(leaf)

    def figure(entries: Sequence[list[Any]]) -> tuple[Holds, bool]:
        sums, counts = _running(entries)

        def of_piece(start: int, stop: int) -> bool:
            count = counts[stop] - counts[start]
            return bool(count) and holds(divided(sums[stop] - sums[start], count))

        return of_piece, False

    return figure


def _running(entries: Sequence[list[Any]]) -> tuple[list[Any], list[int]]:
    """Return the sums and counts of the values of the first n entries, in millionths."""
    try:
        return _added(entries)
    except TypeError:
        # some have more places than millionths have: those are remembered as texts
        with localcontext(prec=400):
            return _added([[at, tie, *map(exact, values)] for at, tie, *values in entries])


def _added(entries: Iterable[Sequence[Any]]) -> tuple[list[Any], list[int]]:
    """Return the same of numbers, in the context that holds."""
    sums, counts = [0], [0]
    total = count = 0
    for entry in entries:
        for value in entry[2:]:
            total += value
            count += 1
        sums.append(total)
        counts.append(count)
    return sums, counts


def _compared_millionths(leaf: Leaf) -> Callable[[int], bool]:
    """Return the comparison of whole millionths with the value, rounded to them too."""
    value = leaf.value
    if isinstance(value, list):
        return compared(leaf.op, [millionths(stored(one)) for one in value])
    return compared(leaf.op, millionths(stored(value)))


def _extreme(pick: Callable[[Sequence[Any]], Any]) -> Callable[[Leaf], Figure]:
    """Return the makers of `min` and `max`: numbers, exact in millionths."""

    def make(leaf: Leaf) -> Figure:
        value = leaf.value
        wanted = (
            [exact(stored(v)) for v in value] if isinstance(value, list) else exact(stored(value))
        )
        holds = EXACT[leaf.op]
        # "some value is above" (below) is lost with that value, and does not come back
        once = leaf.op in (("gt", "gte") if pick is max else ("lt", "lte"))

        def figure(entries: Sequence[list[Any]]) -> tuple[Holds, bool]:
            def of_piece(start: int, stop: int) -> bool:
                found = [exact(v) for entry in entries[start:stop] for v in entry[2:]]
                return bool(found) and bool(holds(pick(found), wanted))

            return of_piece, once

        return figure

    return make


def _end(place: int) -> Callable[[Leaf], Figure]:
    """Return the makers of `first` and `last`: the value at one end, of any type."""

    def make(leaf: Leaf) -> Figure:
        holds = compared(leaf.op, leaf.value)

        def figure(entries: Sequence[list[Any]]) -> tuple[Holds, bool]:
            def of_piece(start: int, stop: int) -> bool:
                if start == stop:
                    return False
                return holds(entries[start][2] if place == 0 else entries[stop - 1][-1])

            return of_piece, False

        return figure

    return make


def _distinct(leaf: Leaf) -> Figure:
    holds, once = compared(leaf.op, leaf.value), leaf.op in _LEVELS

    def figure(entries: Sequence[list[Any]]) -> tuple[Holds, bool]:
        keys = [[distinct_key(value) for value in entry[2:]] for entry in entries]
        return lambda start, stop: holds(
            len({key for own in keys[start:stop] for key in own})
        ), once

    return figure


_FIGURES: Mapping[str, Callable[[Leaf], Figure]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _extreme(min),
    "max": _extreme(max),
    "first": _end(0),
    "last": _end(-1),
    "distinct": _distinct,
}
