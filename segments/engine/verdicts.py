"""What leaves are decided by: a view of one customer in, (truth, until) out.

`until` is the moment up to which the truth holds if no event comes: at `until` it may be another,
never before. `NEVER` says that time alone does not change it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from segments.engine.streams import Entries
from segments.engine.windows import NEVER, Span

Verdict = tuple[bool, int]
# Boundaries that are tried for the one at which the truth changes; after that many the next one is
# given, at which it may still be the same.
_MOST_STEPS = 64


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


def known(view: View, place: int) -> Entries:
    """Return the entries of a stream; raise Spilled where they must be read first."""
    entries = view.entries[place]
    if entries is None:
        raise Spilled(place)
    return entries


def by_pieces(
    span: Span,
    times: Sequence[int],
    now: int,
    holds: Callable[[int, int], bool],
    *,
    once: bool = False,
) -> Verdict:
    """Decide what depends on which piece [start, stop) of the times lies in the window.

    `once`: while events only leave, it turns at most once, to what it is without any.
    """
    start, stop = span.piece(times, now)
    truth = holds(start, stop)
    count = len(times)
    if once and stop == count:
        return truth, NEVER if truth == holds(stop, stop) else _turn(span, times, start, holds)
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


def _turn(span: Span, times: Sequence[int], start: int, holds: Callable[[int, int], bool]) -> int:
    """Return when so many have left that it turns: by halves, for it does so once."""
    stop = len(times)
    after, low, high = holds(stop, stop), start + 1, stop
    while low < high:
        middle = (low + high) // 2
        if holds(middle, stop) == after:
            high = middle
        else:
            low = middle + 1
    return min(span.leaves(times[low - 1]), NEVER)


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


def opposite(decide: Evaluate) -> Evaluate:
    """Return what says the contrary, for as long."""

    def evaluate(view: Any, now: int) -> Verdict:
        truth, until = decide(view, now)
        return not truth, until

    return evaluate


def joined(children: Sequence[Evaluate], *, all_of: bool) -> Evaluate:
    """Return all (or any) of the children.

    What makes it false (true for any) holds it as long as the longest of them.
    """

    def evaluate(view: Any, now: int) -> Verdict:
        until, decided = NEVER, -1
        for child in children:
            truth, holds = child(view, now)
            if truth is not all_of:
                if holds >= NEVER:
                    return truth, NEVER
                decided = max(decided, holds)
            elif holds < until:
                until = holds
        return (all_of, until) if decided < 0 else (not all_of, decided)

    return evaluate
