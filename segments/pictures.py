"""Charts of segments as plain values that templates draw: members over time, overlaps as heat.

Labels are text beside the drawing, so that they keep their size on a phone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from personalization.lib.widgets import number

WIDTH = 720
HEIGHT = 200
# Room above the highest point and for the bars of entries and exits below the line.
_TOP = 8
_FLOW_HEIGHT = 48
# Steps of an axis that people count in.
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
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
class Gridline:
    """A line across the chart: its height in the drawing, its value for reading."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle of the drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Members over time in a box of WIDTH x HEIGHT, entries and exits in one of `flow_height`.

    `grid` runs from the top down. `summary` says in words what the drawing shows; `rows` are its
    numbers, newest first.
    """

    line: str
    area: str
    grid: tuple[Gridline, ...]
    entered: tuple[Bar, ...]
    left: tuple[Bar, ...]
    most_moved: str
    begins: datetime
    ends: datetime
    summary: str
    rows: tuple[Measured, ...]
    width: int = WIDTH
    height: int = HEIGHT
    flow_height: int = _FLOW_HEIGHT


def members_chart(sizes: Sequence[Measured]) -> Chart | None:
    """Return the chart of sizes in order of time; None for fewer than two, which are no trend."""
    if len(sizes) < 2:  # noqa: PLR2004 -- a line has two ends
        return None
    top = _rounded_up(max(one.members for one in sizes))
    begins, ends = sizes[0].at, sizes[-1].at
    points = [(_x(one.at, begins, ends), _y(one.members, top)) for one in sizes]
    line = "M" + "L".join(f"{x} {y}" for x, y in points)
    most = max(max(one.entered, one.left) for one in sizes)
    return Chart(
        line=line,
        area=f"{line}L{points[-1][0]} {HEIGHT}L{points[0][0]} {HEIGHT}Z",
        grid=tuple(Gridline(_y(top * part, top), number(top * part)) for part in (1.0, 0.5, 0.0)),
        entered=_bars(sizes, most, upwards=True),
        left=_bars(sizes, most, upwards=False),
        most_moved=number(most),
        begins=begins,
        ends=ends,
        summary=_summary(sizes),
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


def _rounded_up(most: int) -> float:
    """Return the smallest round number that is no less; an axis of nothing ends at 1."""
    if most <= 1:
        return 1.0
    size = 10.0 ** math.floor(math.log10(most))
    return next(step * size for step in _ROUND if step * size >= most)


def _x(at: datetime, begins: datetime, ends: datetime) -> float:
    span = (ends - begins).total_seconds() or 1.0
    return round(WIDTH * (at - begins).total_seconds() / span, 1)


def _y(members: float, top: float) -> float:
    return round(HEIGHT - (HEIGHT - _TOP) * members / top, 1)


def _bars(sizes: Sequence[Measured], most: int, *, upwards: bool) -> tuple[Bar, ...]:
    """Return a bar a measurement: entries stand on the middle line, exits hang from it."""
    begins, ends = sizes[0].at, sizes[-1].at
    slot = WIDTH / len(sizes)
    middle = _FLOW_HEIGHT / 2
    bars = []
    for one in sizes:
        moved = one.entered if upwards else one.left
        height = round(middle * moved / most, 1) if most else 0.0
        x = _x(one.at, begins, ends) * (WIDTH - slot) / WIDTH
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
