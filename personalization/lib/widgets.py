"""Numbers and small charts for our admin pages, as plain values that templates draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

SPARK_WIDTH = 240
SPARK_HEIGHT = 56


class Tone(StrEnum):
    """What a number means for its reader; templates say it in words and in colour."""

    PLAIN = ""
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Sparkline:
    """SVG paths of a series in a box of SPARK_WIDTH x SPARK_HEIGHT, and what they show in words."""

    line: str
    area: str
    summary: str
    width: int = SPARK_WIDTH
    height: int = SPARK_HEIGHT


@dataclass(frozen=True, slots=True)
class Table:
    """The same numbers as a table, for those who do not see the chart or want to copy it."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a dashboard: its window, its time, and where its formula is written.

    `value` is ready for reading; an unknown number is an em dash, never 0. `docs` is a page of
    docs/ with its anchor.
    """

    title: str
    value: str
    note: str
    docs: str
    as_of: datetime | None
    unit: str = ""
    tone: Tone = Tone.PLAIN
    state: str = ""
    spark: Sparkline | None = None
    table: Table | None = None

    @property
    def wide(self) -> bool:
        """Whether it takes two columns: those with a chart do."""
        return self.spark is not None


def sparkline(values: Sequence[float | None], *, summary: str) -> Sparkline:
    """Return the paths of `values`, left to right; `None` leaves a gap. The axis starts at 0."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step = SPARK_WIDTH / max(len(values) - 1, 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
            continue
        height = SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 6) * value / top
        runs[-1].append((round(index * step, 1), round(height, 1)))
    drawn = [run for run in runs if run]
    return Sparkline(
        line=" ".join(_path(run) for run in drawn),
        area=" ".join(
            f"{_path(run)}L{run[-1][0]} {SPARK_HEIGHT}L{run[0][0]} {SPARK_HEIGHT}Z" for run in drawn
        ),
        summary=summary,
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    first, *rest = points
    # A single point is drawn as a dot: a line of no length with round caps.
    rest = rest or [first]
    return f"M{first[0]} {first[1]}" + "".join(f"L{x} {y}" for x, y in rest)


def number(value: float) -> str:
    """Return a number for reading: 1,234,567; 12.3; 0.04."""
    if value == int(value) or abs(value) >= 100:  # noqa: PLR2004 -- three digits are enough to read
        return f"{value:,.0f}"
    return f"{value:.3g}"


def duration(seconds: float) -> tuple[str, str]:
    """Return a span as (number, unit) in the largest unit that keeps it above 1: ("1.5", "min")."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return number(round(seconds / size, 1)), unit
    return number(round(seconds * 1000)), "ms"
