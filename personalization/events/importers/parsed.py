"""What parsers give: events, each with the line after which an import can go on, or faults."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from personalization.events.bulk import BulkEvent
from personalization.events.engine.schema import Schema
from personalization.events.importers.lines import Fault, Line
from personalization.lib.errors import Unprocessable

MAX_ID = 255


class Found(NamedTuple):
    """One event, and the line to go on after once it is written."""

    resume_after: int
    event: BulkEvent


@dataclass(frozen=True, slots=True)
class Setup:
    """What a parser needs to know besides the lines.

    `source` is the file's name: part of every message id, so that equal lines of two files are two
    events. `start_at` and `step` place what has no clock: line `k` begins at `start_at + k * step`.
    `baskets` are the rows of orders that a file spreads over several lines.
    """

    source: str
    schema: Schema
    start_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    step: timedelta = timedelta(0)
    baskets: Mapping[str, Sequence[Line]] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


Parser = Callable[[Iterable[Line | Fault], Setup], Iterator[Found | Fault]]


class UnusableError(ValueError):
    """One line that makes no event; the text says why, in words that fit every such line."""


def event(setup: Setup, line: Line, part: object = 0, **fields: Any) -> BulkEvent:
    """Return an event whose id follows from the file's name, the line and the part of it.

    Raises
    ------
    UnusableError
        An id longer than the log can hold.
    """
    for key in ("user_id", "anonymous_id"):
        if len(fields.get(key) or "") > MAX_ID:
            msg = f"has an id longer than {MAX_ID} characters"
            raise UnusableError(msg)
    return BulkEvent(message_id=message_id(setup.source, line, part), **fields)


def message_id(source: str, line: Line, part: object = 0) -> str:
    """Return an id that the same line of the same file always gets."""
    text = f"{source}\0{line.number}\0{part}\0{line.text}"
    return f"imp-{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def each(
    lines: Iterable[Line | Fault], make: Callable[[Line], BulkEvent | None]
) -> Iterator[Found | Fault]:
    """Turn lines into events one by one: what `make` cannot use is a fault, None is passed over."""
    for line in lines:
        if isinstance(line, Fault):
            yield line
            continue
        try:
            made = make(line)
        except UnusableError as unusable:
            yield Fault(line.number, str(unusable))
            continue
        if made is not None:
            yield Found(line.number, made)


def cell(line: Line, column: str) -> str:
    """Return a cell that must not be empty."""
    value = line.cells[column].strip()
    if not value:
        msg = f"has no {column}"
        raise UnusableError(msg)
    return value


def number(text: str, column: str) -> float:
    """Return the number that a cell holds; not a number and infinity are none."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 -- NaN alone differs from itself
        msg = f"has no number in {column}"
        raise UnusableError(msg)
    return value


def at_seconds(seconds: float) -> datetime:
    """Return the time of a Unix clock."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError) as error:
        msg = "has a time beyond all calendars"
        raise UnusableError(msg) from error


def refuse(message: str) -> Unprocessable:
    """Return the error of an import that cannot begin."""
    return Unprocessable(message)
