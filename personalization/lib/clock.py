"""The only place that reads the clock. All else takes `now` as an argument or calls `now()`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_frozen: list[datetime] = []


def now() -> datetime:
    """Return the current time, aware, UTC; the innermost frozen time inside `frozen`."""
    return _frozen[-1] if _frozen else datetime.now(UTC)


def now_us() -> int:
    """Return the current time in whole microseconds since the epoch."""
    return to_us(now())


def to_us(at: datetime) -> int:
    """Microseconds since the epoch of an aware datetime, exact (no float in between)."""
    delta = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo | None:
    """Return the time zone of a name that came from outside; None for what nobody knows."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # no such name, none that could be, a folder of them
        return None


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    """Make `now` return `at` in this process, all threads: for tests and simulations."""
    if at.tzinfo is None:
        msg = "frozen() needs an aware datetime; write datetime(..., tzinfo=UTC)"
        raise ValueError(msg)
    _frozen.append(at.astimezone(UTC))
    try:
        yield
    finally:
        _frozen.pop()
