"""Streams: the least that must be remembered of a customer's events so that leaves can be decided.

A stream keeps, of the events that one matcher takes, what its leaves may still ask for: times in
ascending order, with the place in the log where order matters, with values where they are
aggregated. Leaves of any rule that ask the same share one stream. Adding is commutative: late
events take their place, and what is thrown away could not have mattered whatever comes.

A stream that outgrows `CAP` is *spilled*: it is None, and who evaluates reads the facts instead.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from segments.engine.decimals import stored
from segments.engine.events import (
    Event,
    Get,
    Takes,
    getter,
    is_many,
    names,
    steps_of,
    takes,
    values_at,
)
from segments.engine.language import NUMERIC, Leaf, Matcher, Window, digest, takes_numbers
from segments.engine.values import is_number
from segments.engine.windows import NEVER, Calendar, Span

# Entries that a stream keeps (docs/guides/segments.md, For operators).
CAP = 256
# A longer text, or more values of one event, is not remembered but read from the facts.
_MAX_TEXT = 200
_MAX_VALUES = 50
# [time] or, with order or values, [time, place in the log, *values]
Entries = list[Any]
_SCALARS = (str, int, float, bool)


@dataclass(frozen=True, slots=True)
class Need:
    """What one leaf asks of one matcher's events.

    `numbers`: only numbers count; `scaled`: they are remembered in millionths (`decimals`).
    `nested`: lists and objects are values too.
    `keep`: how many of the newest suffice (0: all). `by_day`: of each local day, the newest.
    `horizon`: microseconds after which an event cannot matter (None: as long as kept). `low` and
    `high` bound the time of events that matter at all.
    """

    matcher: Matcher
    ordered: bool = False
    prop: str = ""
    numbers: bool = False
    scaled: bool = False
    by_day: bool = False
    newest: bool = False
    keep: int = 0
    horizon: int | None = None
    low: int = -NEVER
    high: int = NEVER
    nested: bool = False

    @property
    def key(self) -> str:
        """Name of the stream that serves it: the same for needs that differ in extent alone."""
        matcher = self.matcher
        return digest(
            [
                [matcher.event, matcher.prefix],
                [[one.key, one.op, one.value] for one in matcher.where],
                [self.ordered, self.prop, self.numbers, self.scaled, self.by_day, self.newest],
                [self.low, self.high],
                # states know the others by their names without it
                *(["nested"] if self.nested else ()),
            ]
        )

    def covers(self, other: "Need") -> bool:
        """Whether what is kept for this need is enough for the other, of the same key."""
        far = self.horizon is None or (other.horizon is not None and self.horizon >= other.horizon)
        return far and (self.keep == 0 or 0 < other.keep <= self.keep)

    def joined(self, other: "Need") -> "Need":
        """Return the least need, of the same key, that covers both."""
        far = None
        if self.horizon is not None and other.horizon is not None:
            far = max(self.horizon, other.horizon)
        keep = max(self.keep, other.keep) if self.keep and other.keep else 0
        return replace(self, horizon=far, keep=keep)


class Stream:
    """A need that is kept: takes events into entries, and forgets what cannot matter any more."""

    __slots__ = ("_calendar", "_read", "_steps", "key", "need", "takes", "tupled")

    def __init__(self, need: Need, calendar: Calendar) -> None:
        self.need = need
        self.key = need.key
        self.takes: Takes | None = takes(need.matcher.where, calendar.zone)
        self.tupled = need.ordered or bool(need.prop)
        self._calendar = calendar
        self._read: Get | None = None
        self._steps: tuple[str, ...] = ()
        if need.prop:
            if is_many(need.prop):
                self._steps = steps_of(need.prop)
            else:
                self._read = getter(need.prop)

    def add(self, entries: Entries | None, event: Event) -> tuple[Entries | None, bool]:
        """Return the entries with the event in them, and whether it changed anything.

        The caller knows that the matcher means events of that name. `entries` is changed in place.
        """
        entry = self._taken(event)
        if entry is None:
            return entries, False
        if entries is None or (self.tupled and _is_large(entry)):
            return None, True
        insort(entries, entry, key=_place if self.tupled else None)
        return entries, True

    def trim(self, entries: Entries | None, now: int) -> Entries | None:
        """Forget what no leaf can ask for at `now` or later; None when too much is left."""
        if entries is None:
            return None
        need = self.need
        if need.by_day:
            self._one_a_day(entries, now)
        cut = 0
        if need.horizon is not None:
            cut = self._count(entries, now - need.horizon)
        if need.keep:
            # what lies ahead (clocks that run fast) does not count yet
            cut = max(cut, self._count(entries, now) - need.keep)
        if cut > 0:
            del entries[:cut]
        return entries if len(entries) <= CAP else None

    def gathered(self, events: Iterable[Event], now: int) -> Entries:
        """Return the entries of a whole history, however many: what a spilled one is judged by."""
        matcher = self.need.matcher
        taken = (self._taken(event) for event in events if names(matcher, event.name))
        entries = [entry for entry in taken if entry is not None]
        entries.sort(key=_place if self.tupled else None)
        if self.need.horizon is not None:
            del entries[: self._count(entries, now - self.need.horizon)]
        if self.need.by_day:
            self._one_a_day(entries, now)
        return entries

    def kept(self, events: Iterable[Event], now: int) -> Entries | None:
        """Return what is remembered of a whole history."""
        entries = self.gathered(events, now)
        if self.tupled and any(map(_is_large, entries)):
            return None
        return self.trim(entries, now)

    def _taken(self, event: Event) -> Any:
        """Return the entry of an event; None when it does not count here."""
        need = self.need
        if not need.low <= event.at <= need.high:
            return None
        if self.takes is not None and not self.takes(event.props, event.at):
            return None
        return self._entry(event) if self.tupled else event.at

    def _one_a_day(self, entries: Entries, now: int) -> None:
        """Keep of each local day the newest event: the last of its day to leave any window.

        What lies ahead stays: it does not count yet, and what it would replace does.
        """
        day = self._calendar.day
        past = self._count(entries, now)
        kept = sorted({day(at): at for at in entries[:past]}.values())
        entries[:past] = kept

    def _entry(self, event: Event) -> list[Any] | None:
        """Return what is kept of an event; None when it has no value to aggregate."""
        if not self.need.prop:
            return [event.at, event.seq]
        if self._read is not None:
            value = self._read(event.props)
            found = [] if value is None else [value]
        else:
            found = values_at(event.props, self._steps)
        if self.need.numbers:
            found = [value for value in found if is_number(value)]
            if self.need.scaled:
                found = [stored(value) for value in found]
        elif not self.need.nested:
            found = [value for value in found if type(value) in _SCALARS]
        return [event.at, event.seq, *found] if found else None

    def _count(self, entries: Entries, until: int) -> int:
        """Return how many entries are at or before a moment."""
        if self.tupled:
            return bisect_right(entries, until, key=_time)
        return bisect_right(entries, until)


def _is_large(entry: list[Any]) -> bool:
    """Whether an event has more to remember than a stream should."""
    return len(entry) > _MAX_VALUES or any(
        len(one if isinstance(one, str) else repr(one)) > _MAX_TEXT
        for one in entry
        if isinstance(one, str | list | dict)
    )


def _time(entry: list[Any]) -> int:
    at: int = entry[0]
    return at


def _place(entry: list[Any]) -> tuple[int, int]:
    return entry[0], entry[1]


def needs(leaf: Leaf, calendar: Calendar, retention: int | None) -> tuple[Need, ...]:
    """Return what a leaf that reads events asks for, one need a matcher; () for others."""
    make = _NEEDS.get(leaf.kind)
    if make is None:
        return ()
    if leaf.kind == "first_time":
        # which is the first is not known from the window alone
        return make(leaf, retention)
    return make(leaf, Span(leaf.window, calendar, retention).horizon)


def _bounded(leaf: Leaf, need: Need) -> Need:
    """Keep only events that can lie in an absolute window."""
    window: Window = leaf.window
    if window.type != "absolute":
        return need
    return replace(need, low=window.a, high=window.b)


def _threshold(leaf: Leaf) -> int:
    """Return how many entries decide every comparison with the value; 0: all."""
    highest = max(leaf.value) if isinstance(leaf.value, list | tuple) else leaf.value
    count = int(highest) + 1 if highest >= 0 else 1
    return count if leaf.window.anchored and count <= CAP else 0


def _count(leaf: Leaf, horizon: int | None) -> tuple[Need, ...]:
    keep = _threshold(leaf)
    need = Need(leaf.matchers[0], newest=keep > 0, keep=keep, horizon=horizon)
    return (_bounded(leaf, need),)


def _distinct_days(leaf: Leaf, horizon: int | None) -> tuple[Need, ...]:
    keep = _threshold(leaf)
    if not keep:
        return (_bounded(leaf, Need(leaf.matchers[0], horizon=horizon)),)
    return (Need(leaf.matchers[0], newest=True, by_day=True, keep=keep, horizon=horizon),)


def _aggregate(leaf: Leaf, horizon: int | None) -> tuple[Need, ...]:
    newest = leaf.agg == "last" and leaf.window.anchored
    need = Need(
        leaf.matchers[0],
        ordered=True,
        prop=leaf.prop,
        numbers=takes_numbers(leaf),
        scaled=leaf.agg in NUMERIC,
        nested=leaf.agg == "distinct",
        newest=newest,
        keep=1 if newest else 0,
        horizon=horizon,
    )
    return (_bounded(leaf, need),)


def _first_time(leaf: Leaf, horizon: int | None) -> tuple[Need, ...]:
    # without conditions `View.first_seen` tells it
    return (Need(leaf.matchers[0], horizon=horizon),) if leaf.matchers[0].where else ()


def _sequence(leaf: Leaf, horizon: int | None) -> tuple[Need, ...]:
    made = [Need(matcher, ordered=True, horizon=horizon) for matcher in leaf.matchers]
    if leaf.window.type == "absolute":
        low, high = leaf.window.a, leaf.window.b
        made = [replace(need, low=low) for need in made]
        made[0] = replace(made[0], high=high)
    return tuple(made)


def _then_not(leaf: Leaf, horizon: int | None) -> tuple[Need, ...]:
    newest = leaf.window.anchored
    did = Need(
        leaf.matchers[0], ordered=True, newest=newest, keep=1 if newest else 0, horizon=horizon
    )
    # the newest decides whether any came after
    since = Need(leaf.matchers[1], ordered=True, newest=True, keep=1, horizon=horizon)
    return _bounded(leaf, did), since


def _stopped(leaf: Leaf, horizon: int | None) -> tuple[Need, ...]:
    return (Need(leaf.matchers[0], newest=True, keep=1, horizon=horizon),)


def _regularly(leaf: Leaf, horizon: int | None) -> tuple[Need, ...]:
    return (Need(leaf.matchers[0], horizon=horizon),)


_NEEDS = {
    "count": _count,
    "distinct_days": _distinct_days,
    "aggregate": _aggregate,
    "first_time": _first_time,
    "sequence": _sequence,
    "then_not": _then_not,
    "stopped": _stopped,
    "regularly": _regularly,
}
