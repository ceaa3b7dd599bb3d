"""What each leaf means: from entries and what is known of a customer to (truth, until).

`until` is the moment up to which the truth holds if no event comes: at `until` it may be another,
never before. `NEVER` says that time alone does not change it.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from hashlib import sha256
from typing import Any, Protocol

from segments.engine.events import names
from segments.engine.language import Leaf
from segments.engine.streams import Entries
from segments.engine.values import compared, condition, distinct_key, rounded, time_us
from segments.engine.windows import NEVER, Calendar, Span

Verdict = tuple[bool, int]
# Boundaries that are tried for the one at which the truth changes; after that many the next one is
# given, at which it may still be the same.
_MOST_STEPS = 64
_LAST_PLACE = 1 << 62


class Spilled(LookupError):  # noqa: N818 -- not a fault: the caller reads the facts and asks again
    """The stream of this place has more entries than are remembered."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class View(Protocol):
    """What is known of one customer.

    `entries` by the place of the stream in the program; an empty list for none, None when spilled.
    `members` holds the verdicts on segments that come earlier.
    """

    entries: Sequence[Entries | None]
    traits: Mapping[str, Any]
    scores: Mapping[str, float]
    lists: frozenset[str]
    first_seen: Mapping[str, int]
    members: Mapping[str, Verdict]
    request: Mapping[str, Any]
    product: Mapping[str, Any]
    assignment_key: str


Evaluate = Callable[[Any, int], Verdict]


def compiled(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Return the function that decides a leaf; `places` are those of its streams, one a need."""
    return _MAKE[leaf.kind](leaf, places, calendar, retention)


def known(view: View, place: int) -> Entries:
    """Return the entries of a stream; raise Spilled where they must be read first."""
    entries = view.entries[place]
    if entries is None:
        raise Spilled(place)
    return entries


def bucket(salt: str, assignment_key: str) -> float:
    """Return the customer's stable share in [0, 1) for a salt (docs/rules.md, Computed traits)."""
    first = sha256(f"{salt}:{assignment_key}".encode("utf-8", "surrogatepass")).digest()[:8]
    return int.from_bytes(first) / 2**64


def by_pieces(
    span: Span, times: Sequence[int], now: int, holds: Callable[[int, int], bool]
) -> Verdict:
    """Decide what depends on which piece [start, stop) of the times lies in the window."""
    start, stop = span.piece(times, now)
    truth = holds(start, stop)
    count = len(times)
    at = NEVER
    for _ in range(_MOST_STEPS):
        goes = span.leaves(times[start]) if start < stop else NEVER
        comes = span.enters(times[stop]) if stop < count else NEVER
        at = min(goes, comes)
        if at >= NEVER:
            return truth, NEVER
        while start < stop and span.leaves(times[start]) <= at:
            start += 1
        while stop < count and span.enters(times[stop]) <= at:
            stop += 1
        while start < stop and span.leaves(times[start]) <= at:
            start += 1
        if holds(start, stop) != truth:
            return truth, at
    return truth, at


def by_boundaries(
    now: int, truth_at: Callable[[int], bool], next_after: Callable[[int], int]
) -> Verdict:
    """Decide what can only change at certain moments, by trying them in turn."""
    truth, at = truth_at(now), now
    for _ in range(_MOST_STEPS):
        at = next_after(at)
        if at >= NEVER or truth_at(at) != truth:
            return truth, min(at, NEVER)
    return truth, at


# --- Leaves that count ----------------------------------------------------------------------------


def _count(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
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


def _distinct_days(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
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


def _aggregate(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
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


# --- Leaves about order and habit -----------------------------------------------------------------


def _first_time(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    (matcher,) = leaf.matchers
    # what is remembered for good is not bound by what is kept; "ever" is
    kept = retention if places or leaf.window.type == "ever" else None
    span = Span(leaf.window, calendar, kept)

    def first_seen(view: View) -> Sequence[int]:
        if not matcher.prefix:
            at = view.first_seen.get(matcher.event)
            return () if at is None else (at,)
        found = [at for name, at in view.first_seen.items() if names(matcher, name)]
        return (min(found),) if found else ()

    def evaluate(view: View, now: int) -> Verdict:
        times = known(view, places[0]) if places else first_seen(view)
        if not times:
            return False, NEVER
        gone = retention if places else None

        def first(at: int) -> int | None:
            place = bisect_right(times, at - gone) if gone is not None else 0
            return times[place] if place < len(times) and times[place] <= at else None

        def truth_at(at: int) -> bool:
            found = first(at)
            return found is not None and span.enters(found) <= at < span.leaves(found)

        def next_after(at: int) -> int:
            found = first(at)
            edges = [] if found is None else [span.enters(found), span.leaves(found)]
            if found is not None and gone is not None:
                edges.append(found + gone)
            place = bisect_right(times, at)
            if found is None and place < len(times):
                edges.append(times[place])
            return min((edge for edge in edges if edge > at), default=NEVER)

        return by_boundaries(now, truth_at, next_after)

    return evaluate


def _sequence(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    span, withins = Span(leaf.window, calendar, retention), leaf.withins

    def evaluate(view: View, now: int) -> Verdict:
        steps = [known(view, place) for place in places]
        if not all(steps):
            return False, NEVER
        starts = [entry[0] for entry in steps[0]]

        def truth_at(at: int) -> bool:
            start, stop = span.piece(starts, at)
            reached = steps[0][start:stop]
            for entries, within in zip(steps[1:], withins[1:], strict=True):
                reached = _followed(reached, _until(entries, at), within)
            return bool(reached)

        def next_after(at: int) -> int:
            low, high = span.bounds(at)
            edges = [
                edge
                for place in {bisect_right(starts, low), bisect_right(starts, high)}
                if place < len(starts)
                for edge in (span.enters(starts[place]), span.leaves(starts[place]))
                if edge > at
            ]
            for entries in steps[1:]:
                place = bisect_right(entries, [at, _LAST_PLACE])
                if place < len(entries):
                    edges.append(entries[place][0])
            return min(edges, default=NEVER)

        return by_boundaries(now, truth_at, next_after)

    return evaluate


def _followed(before: Entries, entries: Entries, within: int | None) -> Entries:
    """Return the entries that follow one of those before, soon enough.

    The latest before is the best: if any is near enough, it is.
    """
    found: Entries = []
    place, last = 0, None
    for entry in entries:
        while place < len(before) and before[place][:2] < entry[:2]:
            last = before[place]
            place += 1
        if last is not None and (within is None or entry[0] - last[0] <= within):
            found.append(entry)
    return found


def _until(entries: Entries, now: int) -> Entries:
    """Return the entries that are not ahead."""
    if not entries or entries[-1][0] <= now:
        return entries
    return entries[: bisect_right(entries, [now, _LAST_PLACE])]


def _then_not(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    span, after = Span(leaf.window, calendar, retention), leaf.after
    did, since = places

    def evaluate(view: View, now: int) -> Verdict:
        first, second = known(view, did), known(view, since)
        if not first:
            return False, NEVER
        times = [entry[0] for entry in first]

        def last_at(at: int) -> list[Any] | None:
            start, stop = span.piece(times, at)
            found: list[Any] | None = first[stop - 1] if stop > start else None
            return found

        def truth_at(at: int) -> bool:
            last = last_at(at)
            if last is None or at - last[0] < after:
                return False
            later = _until(second, at)
            return not later or later[-1][:2] <= last[:2]

        def next_after(at: int) -> int:
            place = bisect_right(times, span.bounds(at)[1])
            edges = [span.enters(times[place])] if place < len(times) else []
            last = last_at(at)
            if last is not None:
                edges += [last[0] + after, span.leaves(last[0])]
            place = bisect_right(second, [at, _LAST_PLACE])
            if place < len(second):
                edges.append(second[place][0])
            return min((edge for edge in edges if edge > at), default=NEVER)

        return by_boundaries(now, truth_at, next_after)

    return evaluate


def _stopped(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    span = Span(leaf.window, calendar, retention)
    (place,) = places

    def evaluate(view: View, now: int) -> Verdict:
        times = known(view, place)

        def last_at(at: int) -> int | None:
            stop = bisect_right(times, at)
            return times[stop - 1] if stop else None

        def truth_at(at: int) -> bool:
            last = last_at(at)
            return last is not None and span.enters(last) <= at < span.leaves(last)

        def next_after(at: int) -> int:
            last = last_at(at)
            edges = [] if last is None else [span.enters(last), span.leaves(last)]
            ahead = bisect_right(times, at)
            if ahead < len(times):
                edges.append(times[ahead])
            return min((edge for edge in edges if edge > at), default=NEVER)

        return by_boundaries(now, truth_at, next_after) if times else (False, NEVER)

    return evaluate


def _regularly(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    period, periods, least = leaf.after, leaf.periods, leaf.min_periods
    (place,) = places

    def evaluate(view: View, now: int) -> Verdict:
        times = known(view, place)

        def truth_at(at: int) -> bool:
            oldest = at - period * periods
            if retention is not None:
                oldest = max(oldest, at - retention)
            met = {(at - time) // period for time in times if oldest < time <= at}
            return len(met) >= least

        def next_after(at: int) -> int:
            """Return when the next event comes, or passes into an older period or out of all."""
            edges = [
                time if time > at else time + ((at - time) // period + 1) * period
                for time in times
                if at - time < period * periods
            ]
            if retention is not None:
                edges += [time + retention for time in times if time + retention > at]
            return min(edges, default=NEVER)

        return by_boundaries(now, truth_at, next_after) if times else (False, NEVER)

    return evaluate


# --- Leaves about what is known beside events -----------------------------------------------------


def _profile(
    leaf: Leaf, _places: Sequence[int], calendar: Calendar, _retention: int | None
) -> Evaluate:
    test, key = condition(leaf.op, leaf.value, calendar.zone), leaf.key
    if leaf.op != "within_last":
        return lambda view, now: (test(view.traits.get(key), now), NEVER)
    span = round(leaf.value * 1_000_000)

    def within(view: View, now: int) -> Verdict:
        at = time_us(view.traits.get(key))
        if at is None:
            return False, NEVER
        until = min((edge for edge in (at, at + span) if edge > now), default=NEVER)
        return now - span < at <= now, until

    return within


def _score(leaf: Leaf, *_: Any) -> Evaluate:
    holds, key = compared(leaf.op, leaf.value), leaf.key
    return lambda view, _now: (holds(view.scores.get(key)), NEVER)


def _segment(leaf: Leaf, *_: Any) -> Evaluate:
    key = leaf.key
    return lambda view, _now: view.members.get(key, (False, NEVER))


def _list(leaf: Leaf, *_: Any) -> Evaluate:
    key = leaf.key
    return lambda view, _now: (key in view.lists, NEVER)


def _bucket(leaf: Leaf, *_: Any) -> Evaluate:
    salt, (low, high) = leaf.key, leaf.value
    return lambda view, _now: (low <= bucket(salt, view.assignment_key) < high, NEVER)


def _of(source: Callable[[View], Mapping[str, Any]]) -> Callable[..., Evaluate]:
    """Return the maker of leaves about the request or the product at hand."""

    def make(leaf: Leaf, _places: Sequence[int], calendar: Calendar, _retention: Any) -> Evaluate:
        test, key = condition(leaf.op, leaf.value, calendar.zone), leaf.key
        return lambda view, now: (test(source(view).get(key), now), NEVER)

    return make


_MAKE: Mapping[str, Callable[..., Evaluate]] = {
    "count": _count,
    "distinct_days": _distinct_days,
    "aggregate": _aggregate,
    "first_time": _first_time,
    "sequence": _sequence,
    "then_not": _then_not,
    "stopped": _stopped,
    "regularly": _regularly,
    "profile": _profile,
    "score": _score,
    "segment": _segment,
    "list": _list,
    "bucket": _bucket,
    "context": _of(lambda view: view.request),
    "product": _of(lambda view: view.product),
}
