"""Leaves about the order and the habit of events: first times, sequences, stopping."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from segments.engine.events import names
from segments.engine.language import Leaf, Matcher
from segments.engine.streams import Entries
from segments.engine.verdicts import Evaluate, Verdict, View, by_boundaries, known
from segments.engine.windows import NEVER, Calendar, Span

# Larger than every place in the log: [t, _LAST_PLACE] comes after all that happened at t.
_LAST_PLACE = 1 << 62


def first_time(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Decide whether the first match ever lies in the window."""
    (matcher,) = leaf.matchers
    # what is remembered for good is not bound by what is kept; "ever" is
    kept = retention if places or leaf.window.type == "ever" else None
    span = Span(leaf.window, calendar, kept)

    def evaluate(view: View, now: int) -> Verdict:
        times = known(view, places[0]) if places else _remembered(view, matcher)
        if not times:
            return False, NEVER
        if not places and times[0] <= now:
            return _between(now, span.enters(times[0]), span.leaves(times[0]))
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


def _remembered(view: View, matcher: Matcher) -> Sequence[int]:
    """Return when the customer first did it ever; nothing for never."""
    if not matcher.prefix:
        at = view.first_seen.get(matcher.event)
        return () if at is None else (at,)
    found = [at for name, at in view.first_seen.items() if names(matcher, name)]
    return (min(found),) if found else ()


def sequence(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Decide whether the steps happened in order, the first of them in the window."""
    span, withins, anchored = (
        Span(leaf.window, calendar, retention),
        leaf.withins,
        leaf.window.anchored,
    )

    def evaluate(view: View, now: int) -> Verdict:
        steps = [known(view, place) for place in places]
        if not all(steps):
            return False, NEVER
        starts = [entry[0] for entry in steps[0]]

        def begun(at: int) -> int | None:
            """Return when the latest of the sequences that are whole at a moment began."""
            start, stop = span.piece(starts, at)
            reached = [(entry, entry[0]) for entry in steps[0][start:stop]]
            for entries, within in zip(steps[1:], withins[1:], strict=True):
                reached = _followed(reached, _until(entries, at), within)
            return reached[-1][1] if reached else None

        if anchored and all(entries[-1][0] <= now for entries in steps):
            # nothing is still to come: the latest to begin is the last to leave
            latest = begun(now)
            return (False, NEVER) if latest is None else (True, span.leaves(latest))

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

        return by_boundaries(now, lambda at: begun(at) is not None, next_after)

    return evaluate


_Reached = list[tuple[list[Any], int]]


def _followed(before: _Reached, entries: Entries, within: int | None) -> _Reached:
    """Return the entries that follow one of those before soon enough, with where that one began.

    The latest before is the best: if any is near enough it is, and none began later.
    """
    found: _Reached = []
    place = 0
    last: tuple[list[Any], int] | None = None
    for entry in entries:
        while place < len(before) and before[place][0] < entry:
            last = before[place]
            place += 1
        if last is not None and (within is None or entry[0] - last[0][0] <= within):
            found.append((entry, last[1]))
    return found


def _between(now: int, start: int, end: int) -> Verdict:
    """Return the verdict of what is true from one moment to another."""
    if now >= end or start >= end:
        return False, NEVER
    return (True, end) if now >= start else (False, start)


def _until(entries: Entries, now: int) -> Entries:
    """Return the entries that are not ahead."""
    if not entries or entries[-1][0] <= now:
        return entries
    return entries[: bisect_right(entries, [now, _LAST_PLACE])]


def then_not(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Decide whether the last A of the window is old enough and no B came after it."""
    span, after = Span(leaf.window, calendar, retention), leaf.after
    anchored = leaf.window.anchored
    did, since = places

    def evaluate(view: View, now: int) -> Verdict:
        first, second = known(view, did), known(view, since)
        if not first:
            return False, NEVER
        if anchored and first[-1][0] <= now and (not second or second[-1][0] <= now):
            # nothing is still to come
            at, missed = first[-1][0], not second or second[-1] <= first[-1]
            return _between(now, at + after, span.leaves(at)) if missed else (False, NEVER)
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


def stopped(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Decide whether the last match is old enough, and not too old."""
    span = Span(leaf.window, calendar, retention)
    (place,) = places

    def evaluate(view: View, now: int) -> Verdict:
        times = known(view, place)
        if times and times[-1] <= now:
            return _between(now, span.enters(times[-1]), span.leaves(times[-1]))

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


def regularly(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Decide whether enough of the last periods have a match."""
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
