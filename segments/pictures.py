"""Pictures of segments as plain values that templates draw: members over time, overlaps as heat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from personalization.lib import charts
from personalization.lib.widgets import number

# Of the bars of entries and exits below the line.
_FLOW_HEIGHT = 48
# Shares at which the heat takes its next step; five steps can be told apart in both themes.
_HEAT = (0.02, 0.1, 0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Measured:
    """A segment's size at a moment, and who came and went since the moment before."""

    at: datetime
    members: int
    entered: int
    left: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle of the drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Members:
    """Members over time, entries and exits below in a box as wide and of `flow_height`.

    `rows` are the numbers, newest first.
    """

    chart: charts.Chart
    entered: tuple[Bar, ...]
    left: tuple[Bar, ...]
    most_moved: str
    rows: tuple[Measured, ...]
    flow_height: int = _FLOW_HEIGHT


def members_chart(sizes: Sequence[Measured]) -> Members | None:
    """Return the chart of sizes in order of time; None for fewer than two, which are no trend."""
    if not sizes:
        return None
    chart = charts.line_chart(
        [charts.Series("members", [one.members for one in sizes])],
        places=[one.at.timestamp() for one in sizes],
        across=charts.days(sizes[0].at, sizes[-1].at),
        summary=_summary(sizes),
        scale=charts.Scale(whole=True),
    )
    if chart is None:
        return None
    most = max(max(one.entered, one.left) for one in sizes)
    return Members(
        chart=chart,
        entered=_bars(sizes, most, upwards=True),
        left=_bars(sizes, most, upwards=False),
        most_moved=number(most),
        rows=tuple(reversed(sizes)),
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """Customers in both of two segments: how many, as a share of the row's, and its heat 0...5."""

    shared: int
    share: float | None
    heat: int
    same: bool

    @property
    def percent(self) -> str:
        """Return the share for reading; an em dash where the row's segment is empty."""
        return "—" if self.share is None else f"{100 * self.share:.0f} %"


@dataclass(frozen=True, slots=True)
class Row:
    """A segment's line in the matrix."""

    key: str
    title: str
    size: int
    cells: tuple[Cell, ...]


def overlap_matrix(
    segments: Sequence[tuple[str, str]], shared: Mapping[tuple[str, str], int]
) -> tuple[Row, ...]:
    """Return the rows of the heat table over (key, title) pairs.

    `shared` counts customers in both of two keys, in either order; (key, key) is the size.
    """
    rows = []
    for key, title in segments:
        size = shared.get((key, key), 0)
        cells = tuple(
            _cell(shared.get((key, other), shared.get((other, key), 0)), size, same=other == key)
            for other, _ in segments
        )
        rows.append(Row(key, title, size, cells))
    return tuple(rows)


def _cell(count: int, size: int, *, same: bool) -> Cell:
    share = count / size if size else None
    heat = sum(share >= step for step in _HEAT) if share is not None else 0
    return Cell(count, share, heat, same)


def _bars(sizes: Sequence[Measured], most: int, *, upwards: bool) -> tuple[Bar, ...]:
    """Return a bar a measurement: entries stand on the middle line, exits hang from it."""
    begins, span = sizes[0].at, (sizes[-1].at - sizes[0].at) or timedelta(seconds=1)
    slot = charts.WIDTH / len(sizes)
    middle = _FLOW_HEIGHT / 2
    bars = []
    for one in sizes:
        moved = one.entered if upwards else one.left
        height = round(middle * moved / most, 1) if most else 0.0
        x = (charts.WIDTH - slot) * ((one.at - begins) / span)
        y = round(middle - height, 1) if upwards else middle
        bars.append(Bar(round(x, 1), y, round(slot * 0.8, 1), height))
    return tuple(bar for bar in bars if bar.height)


def _summary(sizes: Sequence[Measured]) -> str:
    first, last = sizes[0], sizes[-1]
    entered, left = sum(one.entered for one in sizes), sum(one.left for one in sizes)
    return (
        f"{number(first.members)} members on {first.at:%Y-%m-%d},"
        f" {number(last.members)} on {last.at:%Y-%m-%d};"
        f" {number(entered)} entered and {number(left)} left"
    )
