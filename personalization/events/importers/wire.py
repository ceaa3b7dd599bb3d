"""NDJSON of our own wire format, and any CSV by a column mapping; checked as wire events are."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from personalization.events.bulk import BulkEvent
from personalization.events.engine import times, wire
from personalization.events.importers.lines import Fault, Line, require
from personalization.events.importers.parsed import (
    Found,
    Setup,
    UnusableError,
    each,
    message_id,
    number,
)

# Nothing is clamped here: the runner decides what to do with old events.
_FOR_EVER = timedelta(days=365_000)
# Properties that are numbers wherever they stand in the built-in events.
_NUMBERS = frozenset(
    {"price", "quantity", "value", "total", "revenue", "subtotal", "shipping", "tax", "discount"}
    | {"seconds", "share", "rating", "position", "results"}
)
_TOP = frozenset(
    {"type", "event", "userId", "anonymousId", "messageId", "timestamp", "previousId", "groupId"}
)
_NESTED = ("properties.", "traits.", "context.")


def parse_ndjson(lines: Iterable[Line | Fault], setup: Setup) -> Iterator[Found | Fault]:
    """Yield one event a line, each line a JSON object as `/v1/track` and its kin take it."""

    def make(line: Line) -> BulkEvent:
        try:
            item = orjson.loads(line.text)
        except orjson.JSONDecodeError as error:
            msg = "is not valid JSON"
            raise UnusableError(msg) from error
        return checked(item, line, setup)

    return each(lines, make)


def parse_table(lines: Iterable[Line | Fault], setup: Setup) -> Iterator[Found | Fault]:
    """Yield one event a record, its fields taken from the columns that the mapping names."""

    def make(line: Line) -> BulkEvent:
        require(line, tuple(setup.mapping))
        return checked(mapped(line.cells, setup), line, setup)

    return each(lines, make)


def mapped(cells: Mapping[str, str], setup: Setup) -> dict[str, Any]:
    """Return the wire event that a record means: constants first, then what the columns say."""
    item: dict[str, Any] = {"type": "track"}
    for field, value in setup.constants.items():
        _put(item, field, value)
    for column, field in setup.mapping.items():
        value = cells[column].strip()
        if value:
            _put(item, field, value)
    name = item.get("event", "")
    item["event"] = setup.names.get(name, name)
    return item


def known_field(field: str) -> bool:
    """Whether a mapping may name this field."""
    return field in _TOP or field.startswith(_NESTED)


def checked(item: Any, line: Line, setup: Setup) -> BulkEvent:
    """Return the event of a wire item that passes every check of ingestion.

    Raises
    ------
    UnusableError
        Names every fault and where it is.
    """
    if isinstance(item, dict) and isinstance(item.get("timestamp"), str):
        item["timestamp"] = _iso(item["timestamp"])
    frame = wire.Frame(setup.schema, times.END_DAY, None, {}, _FOR_EVER)
    draft = wire.read(item, 0, "", frame)
    if isinstance(draft, list):
        raise UnusableError("; ".join(f"{p.path or 'event'} {p.problem}" for p in draft))
    at = times.parsed(item.get("originalTimestamp") or item.get("timestamp"))
    if at is None:
        msg = "has no timestamp; history needs to say when"
        raise UnusableError(msg)
    return BulkEvent(
        message_id=item.get("messageId") or message_id(setup.source, line),
        name=draft.name,
        occurred_at=at,
        user_id=draft.user_id,
        anonymous_id=draft.anonymous_id,
        type=draft.type,
        properties=draft.properties,
        traits=draft.traits,
        context=draft.context,
    )


def _put(item: dict[str, Any], field: str, value: str) -> None:
    *folders, last = field.split(".")
    place = item
    for folder in folders:
        place = place.setdefault(folder, {})
    place[last] = number(value, field) if folders and last in _NUMBERS else value


def _iso(text: str) -> str:
    """Unix times, in seconds or milliseconds, become ISO 8601; everything else stays."""
    digits = text.strip()
    if not digits.replace(".", "", 1).isdigit():
        return text
    seconds = float(digits)
    # 10^11 s lies in the year 5138, 10^11 ms in 1973.
    seconds = seconds / 1000 if seconds >= 1e11 else seconds  # noqa: PLR2004
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return text
