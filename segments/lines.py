"""Lines of the admin's list of segments: size, trend, where each stands; few queries for all."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from personalization.lib.charts import Sparkline, sparkline
from personalization.lib.widgets import number
from segments import listing, measured, pages
from segments.measured import Trend
from segments.models import Segment, SegmentVersion

# Larger ones are shown as last measured: counting a million members for a list takes too long.
COUNTED = 100_000
# Versions that matter in a list, what decides first: word and tone.
_WORDS: Mapping[str, tuple[str, str]] = {
    SegmentVersion.Status.PUBLISHED: ("in force: v{}", "good"),
    SegmentVersion.Status.SHADOW: ("shadow: trying v{}", "warn"),
    SegmentVersion.Status.DRAFT: ("draft waiting: v{}", ""),
}
_ORDER = tuple(_WORDS)


@dataclass(frozen=True, slots=True)
class State:
    """A version that matters in a list: its word, tone, and how far the backfill is."""

    word: str
    tone: str
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What the list tells of a segment. `size` None: nothing is in force; `as_of` its time."""

    size: int | None
    as_of: datetime
    spark: Sparkline | None
    states: tuple[State, ...]


def lines_of(rows: Sequence[Segment], *, now: datetime) -> dict[int, Line]:
    """Return the lines of segments that were read with their versions, by id."""
    trends = measured.trends([row.pk for row in rows], now - pages.WINDOW, now=now)
    counted = listing.version_sizes(_small(rows, trends))
    run = listing.run_of(one for row in rows for one in row.versions.all())
    found = {}
    for row in rows:
        trend = trends.get(row.pk, Trend())
        size, as_of = _size(row, trend, counted, now)
        matter = [one for one in row.versions.all() if one.status in _WORDS]
        matter.sort(key=lambda one: _ORDER.index(one.status))
        states = tuple(_state(one, pages.percent(listing.progress(one, run))) for one in matter)
        found[row.pk] = Line(size, as_of, _spark(trend), states)
    return found


def _state(version: SegmentVersion, percent: int | None) -> State:
    word, tone = _WORDS[version.status]
    return State(word.format(version.number), tone, percent)


def _small(rows: Sequence[Segment], trends: Mapping[int, Trend]) -> Collection[int]:
    """Return the versions in force whose members may be counted."""
    return [
        row.published_id
        for row in rows
        if row.published_id is not None and not _large(trends.get(row.pk))
    ]


def _large(trend: Trend | None) -> bool:
    newest = trend.newest if trend else None
    return newest is not None and newest.members > COUNTED


def _size(
    row: Segment, trend: Trend, counted: Mapping[int, int], now: datetime
) -> tuple[int | None, datetime]:
    if row.published_id is None:
        return None, now
    if trend.newest is not None and _large(trend):
        return trend.newest.members, trend.newest.at
    return counted.get(row.published_id, 0), now


def _spark(trend: Trend) -> Sparkline | None:
    if len(trend.days) < 2:  # noqa: PLR2004 -- a line has two ends
        return None
    first, last = trend.days[0], trend.days[-1]
    summary = (
        f"{number(first.members)} members on {first.at:%Y-%m-%d},"
        f" {number(last.members)} on {last.at:%Y-%m-%d}"
    )
    return sparkline([one.members for one in trend.days], summary=summary)
