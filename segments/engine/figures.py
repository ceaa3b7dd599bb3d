"""The figure that decided a leaf: how often, how much, when last; with the event it rests on.

For people to read. What holds is decided elsewhere (`leaves`); a test compares both.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from typing import Any

from segments.engine.decimals import divided, exact, millionths
from segments.engine.events import Event, names
from segments.engine.language import Leaf, Matcher
from segments.engine.leaves import bucket
from segments.engine.program import Person, Program
from segments.engine.streams import Entries, Need, Stream
from segments.engine.values import distinct_key
from segments.engine.windows import Span

_MILLION = 1_000_000
_SCALE = Decimal(_MILLION)


@dataclass(frozen=True, slots=True)
class Figure:
    """What a leaf compared. Times are microseconds; None: there is none.

    `value` is JSON, or a moment in microseconds where `is_time`. `of`: what it counts up to (steps,
    periods). `at`: when the newest event that counts happened, or the fact became what it is.
    `last_at`: the newest match of all that are kept, in the window or not. `then_at`: the event
    that undid it (`then_not`).
    """

    value: Any = None
    at: int | None = None
    is_time: bool = False
    of: int | None = None
    last_at: int | None = None
    then_at: int | None = None


class History:
    """A customer's events by name: most leaves ask for few of them."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._all = events
        self._named: dict[str, list[Event]] = {}
        for event in events:
            self._named.setdefault(event.name, []).append(event)

    def of(self, matcher: Matcher) -> Sequence[Event]:
        """Return the events that a matcher may mean, in order."""
        return self._all if matcher.prefix else self._named.get(matcher.event, [])


@dataclass(frozen=True, slots=True)
class Reading:
    """What figures are read from: one customer at one moment."""

    program: Program
    person: Person
    history: History
    now: int
    since: Mapping[tuple[str, str], int]
    _matches: dict[str, list[int]] = field(default_factory=dict)

    def entries(self, leaf: Leaf) -> list[Entries]:
        """Return the entries of each of a leaf's matchers, up to now."""
        found = []
        for place in self.program.places(leaf):
            held = self.person.entries[place] or []
            times = _times(held)
            found.append(held[: bisect_right(times, self.now)])
        return found

    def matches(self, matcher: Matcher) -> list[int]:
        """Return the times of all matching events that are kept, up to now."""
        name = repr(matcher)
        if name not in self._matches:
            stream = Stream(Need(matcher), self.program.calendar)
            kept = self.program.setting.retention
            found = stream.gathered(self.history.of(matcher), self.now)
            low = 0 if kept is None else bisect_right(found, self.now - kept)
            self._matches[name] = found[low : bisect_right(found, self.now)]
        return self._matches[name]

    def span(self, leaf: Leaf) -> Span:
        """Return the window of a leaf."""
        return Span(leaf.window, self.program.calendar, self.program.setting.retention)


def figure(leaf: Leaf, reading: Reading, reached: int = 0) -> Figure | None:
    """Return what decided a leaf; `reached`: how many steps of a sequence happened."""
    if leaf.kind == "sequence":
        return _sequence(leaf, reading, reached)
    make = _FIGURES.get(leaf.kind)
    return None if make is None else make(leaf, reading)


def _count(leaf: Leaf, reading: Reading) -> Figure:
    (times,) = reading.entries(leaf)
    start, stop = reading.span(leaf).piece(times, reading.now)
    return _dated(Figure(stop - start), times[start:stop], leaf, reading)


def _distinct_days(leaf: Leaf, reading: Reading) -> Figure:
    (times,) = reading.entries(leaf)
    start, stop = reading.span(leaf).piece(times, reading.now)
    days = {reading.program.calendar.day(at) for at in times[start:stop]}
    return _dated(Figure(len(days)), times[start:stop], leaf, reading)


def _aggregate(leaf: Leaf, reading: Reading) -> Figure:
    (entries,) = reading.entries(leaf)
    start, stop = reading.span(leaf).piece(_times(entries), reading.now)
    held = entries[start:stop]
    values = [value for entry in held for value in entry[2:]]
    return _dated(Figure(_AGGREGATES[leaf.agg](values)), _times(held), leaf, reading)


def _dated(found: Figure, times: Sequence[int], leaf: Leaf, reading: Reading) -> Figure:
    """Return a figure with the newest event that counts, and the newest match of all."""
    matches = reading.matches(leaf.matchers[0])
    return replace(found, at=times[-1] if times else None, last_at=matches[-1] if matches else None)


def _first_time(leaf: Leaf, reading: Reading) -> Figure:
    (matcher,) = leaf.matchers
    if matcher.where:
        matches = reading.matches(matcher)
        first = matches[0] if matches else None
    else:
        known = reading.person.first_seen.items()
        found = [at for name, at in known if names(matcher, name) and at <= reading.now]
        first = min(found, default=None)
    return Figure(first, first, is_time=True)


def _sequence(leaf: Leaf, reading: Reading, reached: int) -> Figure:
    """Return how many steps happened, and the newest event that the last of them can be."""
    matches = reading.matches(leaf.matchers[reached - 1]) if reached else []
    first = reading.matches(leaf.matchers[0])
    return Figure(
        reached,
        matches[-1] if matches else None,
        of=len(leaf.matchers),
        last_at=first[-1] if first else None,
    )


def _then_not(leaf: Leaf, reading: Reading) -> Figure:
    did, since = reading.entries(leaf)
    start, stop = reading.span(leaf).piece(_times(did), reading.now)
    last = did[stop - 1] if stop > start else None
    after = [entry[0] for entry in since if last is not None and entry[:2] > last[:2]]
    at = None if last is None else last[0]
    return Figure(at, at, is_time=True, then_at=after[-1] if after else None)


def _stopped(leaf: Leaf, reading: Reading) -> Figure:
    matches = reading.matches(leaf.matchers[0])
    last = matches[-1] if matches else None
    return Figure(last, last, is_time=True)


def _regularly(leaf: Leaf, reading: Reading) -> Figure:
    now, period = reading.now, leaf.after
    oldest = now - period * leaf.periods
    times = [at for at in reading.matches(leaf.matchers[0]) if at > oldest]
    met = {(now - at) // period for at in times}
    return _dated(Figure(len(met), of=leaf.periods), times, leaf, reading)


def _known(source: Callable[[Person], Mapping[str, Any]]) -> Callable[[Leaf, Reading], Figure]:
    """Return the figure of leaves that read one fact by key."""

    def make(leaf: Leaf, reading: Reading) -> Figure:
        value = source(reading.person).get(leaf.key)
        return Figure(value, reading.since.get((leaf.kind, leaf.key)))

    return make


def _segment(leaf: Leaf, reading: Reading) -> Figure:
    inside = reading.person.members.get(leaf.key, (False, 0))[0]
    return Figure(inside, reading.since.get((leaf.kind, leaf.key)) if inside else None)


def _list(leaf: Leaf, reading: Reading) -> Figure:
    return Figure(leaf.key in reading.person.lists, reading.since.get((leaf.kind, leaf.key)))


def _bucket(leaf: Leaf, reading: Reading) -> Figure:
    return Figure(bucket(leaf.key, reading.person.assignment_key))


_FIGURES: Mapping[str, Callable[[Leaf, Reading], Figure]] = {
    "count": _count,
    "distinct_days": _distinct_days,
    "aggregate": _aggregate,
    "first_time": _first_time,
    "then_not": _then_not,
    "stopped": _stopped,
    "regularly": _regularly,
    "profile": _known(lambda person: person.traits),
    "score": _known(lambda person: person.scores),
    "context": _known(lambda person: person.request),
    "product": _known(lambda person: person.product),
    "segment": _segment,
    "list": _list,
    "bucket": _bucket,
}


def _number(scaled: int | Decimal) -> float:
    """Return millionths as a number: an integer where it is whole."""
    with localcontext(prec=400):
        value = Decimal(scaled) / _SCALE
        return int(value) if value == int(value) else float(value)


def _sum(values: Sequence[Any]) -> float:
    return _number(millionths(_total(values)))


def _avg(values: Sequence[Any]) -> float | None:
    return _number(divided(_total(values), len(values))) if values else None


def _total(values: Sequence[Any]) -> Any:
    with localcontext(prec=400):
        return sum(map(exact, values))


def _extreme(pick: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], float | None]:
    return lambda values: _number(pick([exact(one) for one in values])) if values else None


_AGGREGATES: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _extreme(min),
    "max": _extreme(max),
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "distinct": lambda values: len({distinct_key(value) for value in values}),
}


def _times(entries: Entries) -> list[int]:
    return [one[0] if isinstance(one, list) else one for one in entries]
