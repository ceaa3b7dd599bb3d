"""Local days in SQL: the offsets of a time zone as two arrays, by Python's own zone data.

PostgreSQL has zone data of its own, which may be of another year.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from segments.engine.values import SECOND_US, instant_us
from segments.sql.pieces import Params

DAY_US = 86_400 * SECOND_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR, END_YEAR = 1900, 2100
# What days can be told of.
FIRST_US = instant_us(datetime(FIRST_YEAR, 1, 2, tzinfo=UTC))
END_US = instant_us(datetime(END_YEAR, 1, 1, tzinfo=UTC))


def local_day(at: str, params: Params, zone: ZoneInfo, low: int, high: int) -> str:
    """Return SQL of the local date of a moment, as days since 1970-01-01.

    Parameters
    ----------
    at
        SQL of the moment in microseconds; lies in (low, high], and from FIRST_US to END_US.
    """
    moments, offsets = changes(zone, low, high)
    if not moments:
        local = f"({at} + {params.add(offsets[0], 'bigint')})"
    else:
        places = params.add(moments, "bigint[]")
        held = params.add(offsets, "bigint[]")
        local = f"({at} + ({held})[width_bucket({at}, {places}) + 1])"
    # integers are cut towards zero, days begin before
    return f"(({local} + {FIRST_DAY_OFFSET * DAY_US}) / {DAY_US} - {FIRST_DAY_OFFSET})"


# Days that make every date told here positive.
FIRST_DAY_OFFSET = 40_000


def changes(zone: ZoneInfo, low: int, high: int) -> tuple[list[int], list[int]]:
    """Return (moments, offsets): from moments[i] on offsets[i + 1] holds; offsets[0] before."""
    low, high = max(low, FIRST_US), min(high, END_US)
    moments: list[int] = []
    for year in range(_year(low), _year(max(low, high)) + 1):
        moments += [at for at in _changes_of(zone, year) if low < at <= high]
    return moments, [_offset(zone, at) for at in (low, *moments)]


@lru_cache(maxsize=1024)
def _changes_of(zone: ZoneInfo, year: int) -> tuple[int, ...]:
    """Return the moments of a year (UTC) at which the offset changes, to the second."""
    start, end = (instant_us(datetime(y, 1, 1, tzinfo=UTC)) for y in (year, year + 1))
    found = []
    for day in range(start, end, DAY_US):
        if _offset(zone, day) != _offset(zone, day + DAY_US):
            found += _between(zone, day, day + DAY_US)
    return tuple(found)


def _between(zone: ZoneInfo, low: int, high: int) -> list[int]:
    """Return the one moment in (low, high] from which on the offset is that of `high`."""
    after = _offset(zone, high)
    while high - low > SECOND_US:
        middle = (low + high) // 2 // SECOND_US * SECOND_US
        low, high = (low, middle) if _offset(zone, middle) == after else (middle, high)
    return [high]


def _year(at: int) -> int:
    return (_EPOCH + timedelta(microseconds=at)).year


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = (_EPOCH + timedelta(microseconds=at)).astimezone(zone).utcoffset()
    return (offset or timedelta()) // timedelta(microseconds=1)
