"""Windows of time: what lies in one now, and when an event enters and leaves it by the clock alone.

An event is in a window at `now` exactly when `enters(t) <= now < leaves(t)`; both grow with t, so
that of a list of events in the order of time a window always holds one piece.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from segments.engine.language import Window
from segments.engine.values import instant_us

# Later than every time: "does not change by itself".
NEVER = 1 << 62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000
# Offsets of time zones change on multiples of a quarter of an hour.
_QUARTER_US = 900_000_000
_SLIDING = frozenset({"last", "between"})
# datetime's own years 1 to 9999, with a day to spare.
_FIRST_US = instant_us(datetime(2, 1, 1, tzinfo=UTC))
_LAST_US = instant_us(datetime(9998, 1, 1, tzinfo=UTC))


class Calendar:
    """Local days of one time zone, remembered: asking the zone costs a microsecond each time."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._offset = lru_cache(maxsize=8192)(self._offset_of)
        self.midnight = lru_cache(maxsize=4096)(self._midnight)

    def day(self, at: int) -> int:
        """Return the local date of a moment, as days since 1970-01-01."""
        return (at + self._offset(at // _QUARTER_US)) // _DAY_US

    def _midnight(self, day: int) -> int:
        """Return when a local date begins."""
        at = day * _DAY_US
        if not _FIRST_US < at < _LAST_US:
            return at
        wall = (_EPOCH + timedelta(days=day)).replace(tzinfo=self.zone)
        return instant_us(wall)

    def _offset_of(self, quarter: int) -> int:
        at = min(max(quarter * _QUARTER_US, _FIRST_US), _LAST_US)
        offset = (_EPOCH + timedelta(microseconds=at)).astimezone(self.zone).utcoffset()
        return (offset or timedelta()) // timedelta(microseconds=1)


class Span:
    """One window, with the calendar and the retention that hold.

    Parameters
    ----------
    retention
        Microseconds that events are kept; None: for good.
    """

    __slots__ = ("_calendar", "_retention", "enters", "horizon", "leaves", "sliding", "window")

    def __init__(self, window: Window, calendar: Calendar, retention: int | None) -> None:
        self.window = window
        self._calendar = calendar
        self._retention = retention
        self.horizon = self._reach()
        self.enters = {"between": self._enters_late, "absolute": self._enters_between}.get(
            window.type, _at_once
        )
        # the length of a window that ends now, where it has one
        self.sliding = self.horizon if window.type == "last" else None
        self.leaves: Callable[[int], int] = self._leaves
        if window.type in _SLIDING and self.horizon is not None:
            self.leaves = self.horizon.__add__
        elif retention is not None:
            self.leaves = self._leaves_kept

    def _reach(self) -> int | None:
        """How long after an event it can still matter, in microseconds; None: as long as kept."""
        reach = {
            "last": self.window.a,
            "between": self.window.a,
            # the longest local day has 26 hours (Antarctica/Troll, when its summer ends)
            "calendar_days": self.window.a * (_DAY_US + _DAY_US // 12),
        }.get(self.window.type)
        kept = self._retention
        return kept if reach is None else reach if kept is None else min(reach, kept)

    def bounds(self, now: int) -> tuple[int, int]:
        """Return (low, high): what lies in the window now is low < t <= high."""
        window = self.window
        if window.type == "last":
            low, high = now - window.a, now
        elif window.type == "between":
            low, high = now - window.a, now - window.b
        elif window.type == "calendar_days":
            calendar = self._calendar
            low, high = calendar.midnight(calendar.day(now) - window.a + 1) - 1, now
        elif window.type == "absolute":
            low, high = window.a - 1, min(now, window.b)
        else:
            low, high = -NEVER, now
        if self._retention is not None:
            low = max(low, now - self._retention)
        return low, high

    def piece(self, times: Sequence[int], now: int) -> tuple[int, int]:
        """Return (start, stop) of what lies in the window, in times in ascending order."""
        low, high = self.bounds(now)
        start = bisect_right(times, low)
        return start, bisect_right(times, high, start)

    def _enters_late(self, at: int) -> int:
        return at + self.window.b

    def _enters_between(self, at: int) -> int:
        return at if self.window.a <= at <= self.window.b else NEVER

    def _leaves(self, at: int) -> int:
        window = self.window
        if window.type in ("last", "between"):
            return at + window.a
        if window.type == "calendar_days":
            return self._calendar.midnight(self._calendar.day(at) + window.a)
        return NEVER

    def _leaves_kept(self, at: int) -> int:
        return min(self._leaves(at), at + (self._retention or 0))


def _at_once(at: int) -> int:
    return at
