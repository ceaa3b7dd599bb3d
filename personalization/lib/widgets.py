"""Numbers of our admin pages, as plain values that templates draw."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from personalization.lib.charts import Sparkline


class Tone(StrEnum):
    """What a number means for its reader; templates say it in words and in colour."""

    PLAIN = ""
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


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
