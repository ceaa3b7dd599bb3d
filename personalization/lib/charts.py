"""Charts of our pages as plain values: `templates/components/chart.html` draws lines over a scale.

Labels are text beside the drawing, so that they keep their size on a phone.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

WIDTH, HEIGHT = 720, 200
SPARK_WIDTH, SPARK_HEIGHT = 240, 56
# Steps that people count in, and how many of them make an axis: three or four gridlines.
_ROUND = tuple(Decimal(step) for step in ("1", "2", "2.5", "5"))
_STEPS = (2, 3)
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """What one line shows, left to right; None where nothing is known, which leaves a gap."""

    label: str
    values: Sequence[float | None]
    hue: str = "c0"


@dataclass(frozen=True, slots=True)
class Scale:
    """The axis of values: it starts at 0 and reaches `least` at least; `unit` follows a number.

    `whole`: of things that are counted, so that no line stands for half a one.
    """

    least: float = 0.0
    unit: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Gridline:
    """A line across the chart: its height in the drawing, its value for reading."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """SVG paths of one series; `area`, the ground under it, only of one that is alone.

    `dots`: the points that stand alone, which a line's width would hide.
    """

    label: str
    hue: str
    path: str
    area: str = ""
    dots: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines in a box of WIDTH x HEIGHT that may be stretched.

    `grid` lies at equal distances from the top down, `across` holds the labels below, at equal
    distances from left to right. `guide` is the path of a dashed line, "" without. `summary` says
    in words what the drawing shows.
    """

    lines: tuple[Line, ...]
    grid: tuple[Gridline, ...]
    across: tuple[str, ...]
    summary: str
    guide: str = ""
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Sparkline:
    """SVG paths of a series in a box of SPARK_WIDTH x SPARK_HEIGHT, and what they show in words."""

    line: str
    area: str
    summary: str
    width: int = SPARK_WIDTH
    height: int = SPARK_HEIGHT


def line_chart(
    series: Sequence[Series],
    *,
    across: Sequence[str],
    summary: str,
    places: Sequence[float] = (),
    scale: Scale = Scale(),
    guide: float | None = None,
) -> Chart | None:
    """Return the chart of series of equal length; None for fewer than two moments.

    `places`: where the moments lie on the other axis, ascending; at equal distances without.
    `guide`: a value at which a dashed line is drawn.
    """
    moments = len(series[0].values) if series else 0
    if moments < 2:  # noqa: PLR2004 -- a line has two ends
        return None
    known = [value for one in series for value in one.values if value is not None]
    top, grid = _axis(max([*known, guide or 0.0]), scale)
    xs = _along(places or range(moments))
    lines = []
    for one in series:
        runs = _runs(
            (x, None if value is None else _y(value, top))
            for x, value in zip(xs, one.values, strict=True)
        )
        area = _area(runs, HEIGHT) if len(series) == 1 else ""
        dots = _path([run for run in runs if len(run) == 1])
        lines.append(Line(one.label, one.hue, _path(runs), area, dots))
    return Chart(
        lines=tuple(lines),
        grid=grid,
        across=tuple(across),
        summary=summary,
        guide="" if guide is None else f"M0 {_y(guide, top):g}H{WIDTH}",
    )


def square_chart(
    label: str, points: Sequence[Point], *, summary: str, scale: Scale = Scale()
) -> Chart | None:
    """Return the chart of (across, up) points, of which both axes have the same scale.

    The guide runs where both are equal. None without points.
    """
    if not points:
        return None
    top, grid = _axis(max(max(point) for point in points), scale)
    path = _path([[(round(WIDTH * x / top, 1), _y(y, top)) for x, y in points]])
    return Chart(
        lines=(Line(label, "c0", path),),
        grid=grid,
        across=tuple(one.label for one in reversed(grid)),
        summary=summary,
        guide=f"M0 {HEIGHT}L{WIDTH} 0",
    )


def sparkline(values: Sequence[float | None], *, summary: str) -> Sparkline:
    """Return the paths of `values`, left to right; `None` leaves a gap. The axis starts at 0."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step = SPARK_WIDTH / max(len(values) - 1, 1)
    room = SPARK_HEIGHT - 6
    runs = _runs(
        (round(place * step, 1), None if value is None else round(room * (1 - value / top) + 4, 1))
        for place, value in enumerate(values)
    )
    return Sparkline(_path(runs), _area(runs, SPARK_HEIGHT), summary)


def days(first: datetime, last: datetime) -> tuple[str, str]:
    """Return the labels of two moments: their days, and the time where that is the same day."""
    form = "%Y-%m-%d" if first.date() != last.date() else "%Y-%m-%d %H:%M"
    return f"{first:{form}}", f"{last:{form}}"


def _axis(most: float, scale: Scale) -> tuple[float, tuple[Gridline, ...]]:
    """Return the least round end of the axis that is not below `most`, and its gridlines."""
    # Nine digits: what floats add to a round number must not cost the next round one.
    reach = Decimal(f"{max(most, scale.least) or 1.0:.9g}")
    size = math.floor(math.log10(reach))
    steps = (step.scaleb(power) for power in (size - 1, size) for step in _ROUND)
    top, count, step = min(
        (count * step, count, step)
        for step in steps
        for count in _STEPS
        if count * step >= reach and not (scale.whole and step % 1)
    )
    decimals = max(0, -int(step.as_tuple().exponent))
    return float(top), tuple(
        Gridline(
            round(HEIGHT * (count - place) / count, 1),
            (f"{place * step:,.{decimals}f}" if place else "0") + scale.unit,
        )
        for place in range(count, -1, -1)
    )


def _y(value: float, top: float) -> float:
    return round(HEIGHT * (1 - value / top), 1)


def _along(places: Sequence[float]) -> list[float]:
    """Return where each place lies in the width: the first at its left end, the last at its right.

    Places that are all the same lie at the left.
    """
    span = (places[-1] - places[0]) or 1.0
    return [round(WIDTH * (place - places[0]) / span, 1) for place in places]


def _runs(points: Iterable[tuple[float, float | None]]) -> list[list[Point]]:
    """Return the points that follow each other without a gap."""
    runs: list[list[Point]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]


def _path(runs: Sequence[Sequence[Point]]) -> str:
    # A single point is drawn as a dot: a line of no length with round caps.
    return " ".join(_joined(run if len(run) > 1 else [*run, *run]) for run in runs)


def _area(runs: Sequence[Sequence[Point]], ground: int) -> str:
    grounds = (f"L{run[-1][0]:g} {ground}L{run[0][0]:g} {ground}Z" for run in runs)
    return " ".join(_joined(run) + down for run, down in zip(runs, grounds, strict=True))


def _joined(run: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in run)
