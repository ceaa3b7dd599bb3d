"""One event as it came over the wire -> a draft of its row, or its faults with path and fix.

Built for speed: one pass, tables made beforehand, nothing but the draft allocated on the happy
path. Every limit of docs/api.md that concerns a single event is enforced here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import orjson

from personalization.events.engine import flags as bits
from personalization.events.engine import message_ids, times
from personalization.events.engine.schema import MAX_NAME, Schema
from personalization.events.engine.taxonomy import NAMES_OF_CALLS
from personalization.lib.errors import Problem

# docs/api.md, Events in.
MAX_BYTES = 32 * 1024
MAX_LEVELS = 10
MAX_KEYS = 200
MAX_MESSAGE_ID = 100
MAX_ID = 255

_TYPES = frozenset({"track", *NAMES_OF_CALLS})
# Field -> JSON type that it must have when it is there and not null.
_FIELDS: dict[str, type] = {
    "type": str,
    "event": str,
    "name": str,
    "userId": str,
    "userToken": str,
    "anonymousId": str,
    "previousId": str,
    "groupId": str,
    "messageId": str,
    "timestamp": str,
    "originalTimestamp": str,
    "sentAt": str,
    "properties": dict,
    "traits": dict,
    "context": dict,
}
_TEXT_LIMITS = (
    ("messageId", MAX_MESSAGE_ID),
    ("userId", MAX_ID),
    ("anonymousId", MAX_ID),
    ("previousId", MAX_ID),
    ("event", MAX_NAME),
)
_TIMES = ("timestamp", "originalTimestamp", "sentAt")
_EMPTY: dict[str, Any] = {}
_NUL_ESCAPED = b"\\u0000"


@dataclass(slots=True)
class Draft:
    """One valid event on its way to a row; who it belongs to is decided later."""

    index: int
    item: dict[str, Any]
    type: str
    name: str
    message_id: str
    day: date
    occurred_at: datetime
    user_id: str | None
    anonymous_id: str | None
    flags: int
    properties: dict[str, Any]
    traits: dict[str, Any] | None
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """What all events of one call share while they are read."""

    schema: Schema
    received_at: datetime
    sent_at: datetime | None
    context: Mapping[str, Any]
    retention: timedelta
    # The pixel may come without any id: none may be set before consent.
    ids_required: bool = True


def read(item: Any, index: int, kind: str, frame: Frame) -> Draft | list[Problem]:
    """Return the draft of one event, or its faults.

    Parameters
    ----------
    item
        The event as parsed JSON.
    index
        Its place in the batch.
    kind
        What the path says that it is; "" lets `item["type"]` decide.
    """
    if type(item) is not dict:
        return [Problem("", "is not an object; send one object per event")]
    for key, value in item.items():
        wanted = _FIELDS.get(key)
        if wanted is not None and type(value) is not wanted and value is not None:
            return _type_faults(item)
    problems = _limit_faults(item)
    if problems:
        return problems
    return _draft(item, index, kind or item.get("type") or "", frame)


def shared_faults(context: Any) -> list[Problem]:
    """Every fault of a batch's own `context`, which is merged into each of its events."""
    if context is None:
        return []
    if type(context) is not dict:
        return [Problem("context", "has the wrong type; send an object")]
    return [
        Problem(problem.path or "context", problem.problem)
        for problem in _limit_faults({"context": context})
    ]


def _draft(item: dict[str, Any], index: int, kind: str, frame: Frame) -> Draft | list[Problem]:
    if kind not in _TYPES:
        return [Problem("type", f"is not known; send one of: {', '.join(sorted(_TYPES))}")]
    name = item.get("event") if kind == "track" else NAMES_OF_CALLS[kind]
    if not name:
        return [Problem("event", "is missing; name what happened, for example Product Viewed")]
    properties = item.get("properties") or _EMPTY
    problems = frame.schema.check(name, properties) if kind == "track" else []
    user_id, anonymous_id = item.get("userId") or None, item.get("anonymousId") or None
    problems += _id_faults(item, kind, user_id, anonymous_id, frame)
    original, sent_at, time_problems = _times(item, frame)
    if problems or time_problems:
        return problems + time_problems
    message_id, flags = item.get("messageId"), 0
    if not message_id:
        message_id, flags = _made_id(item, kind, original)
    return Draft(
        index,
        item,
        kind,
        name,
        message_id,
        times.day_of(original),
        times.occurred(
            original, sent_at=sent_at, received_at=frame.received_at, retention=frame.retention
        ),
        user_id,
        anonymous_id,
        flags,
        _with_call_fields(item, kind, properties),
        item.get("traits") or None,
        _merged(frame.context, item.get("context")),
    )


def _times(
    item: dict[str, Any], frame: Frame
) -> tuple[datetime | None, datetime | None, list[Problem]]:
    """Return (raw time of the message, when it was sent, faults)."""
    text = item.get("originalTimestamp") or item.get("timestamp")
    sent_text = item.get("sentAt")
    original = times.parsed(text) if text else None
    sent_at = times.parsed(sent_text) if sent_text else frame.sent_at
    if (text and original is None) or (sent_text and sent_at is None):
        return (
            None,
            None,
            [
                Problem(key, "is not a time; send ISO 8601, for example 2026-01-31T12:00:00.000Z")
                for key in _TIMES
                if item.get(key) and times.parsed(item[key]) is None
            ],
        )
    return original, sent_at, []


def _made_id(item: dict[str, Any], kind: str, original: datetime | None) -> tuple[str, int]:
    if original is None:
        return message_ids.fresh(), bits.UNDEDUPLICABLE
    return message_ids.derived(item, kind), 0


def _with_call_fields(
    item: dict[str, Any], kind: str, properties: dict[str, Any]
) -> dict[str, Any]:
    """Properties, with what page, group and alias calls carry beside them."""
    if kind in ("page", "screen") and item.get("name"):
        return {**properties, "name": item["name"]}
    if kind == "group" and item.get("groupId"):
        return {**properties, "groupId": item["groupId"]}
    if kind == "alias":
        return {**properties, "previousId": item["previousId"]}
    return properties


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if not own:
        return shared
    return {**shared, **own} if shared else own


def _id_faults(
    item: dict[str, Any],
    kind: str,
    user_id: str | None,
    anonymous_id: str | None,
    frame: Frame,
) -> list[Problem]:
    if kind == "alias":
        return [
            Problem(key, f"is missing; alias needs {key}")
            for key in ("previousId", "userId")
            if not item.get(key)
        ]
    if user_id is None and anonymous_id is None and frame.ids_required:
        return [Problem("anonymousId", "is missing; send anonymousId or userId")]
    return []


def _type_faults(item: dict[str, Any]) -> list[Problem]:
    words: dict[type, str] = {str: "send a text", dict: "send an object"}
    return [
        Problem(key, f"has the wrong type; {words[wanted]}")
        for key, wanted in _FIELDS.items()
        if item.get(key) is not None and type(item[key]) is not wanted
    ]


def _limit_faults(item: dict[str, Any]) -> list[Problem]:
    """Faults of size, depth, number of keys, length and characters.

    The exact walks run only when a count of brackets, colons or escapes in the bytes, which can
    only overestimate, says that a limit may be passed.
    """
    try:
        raw = orjson.dumps(item)
    except orjson.JSONEncodeError as error:  # never for what was parsed from a body
        return [Problem("", f"cannot be written as JSON: {error}")]
    if len(raw) > MAX_BYTES:
        return [Problem("", f"is larger than {MAX_BYTES} bytes; send less in one event")]
    problems = [
        Problem(key, f"is longer than {limit} characters; shorten it")
        for key, limit in _TEXT_LIMITS
        if len(item.get(key) or "") > limit
    ]
    if raw.count(b"{") + raw.count(b"[") > MAX_LEVELS and _depth_passes(item, MAX_LEVELS):
        problems.append(Problem("", f"is nested deeper than {MAX_LEVELS} levels; flatten it"))
    elif raw.count(b":") > MAX_KEYS and _keys(item) > MAX_KEYS:
        problems.append(Problem("", f"has more than {MAX_KEYS} keys; send fewer"))
    if _NUL_ESCAPED in raw and not problems:
        problems += [
            Problem(path, "contains a NUL character (\\u0000); remove it")
            for path in _nul_paths(item, "")
        ]
    return problems


def _depth_passes(value: Any, levels: int) -> bool:
    """Whether lists and objects nest more than `levels` deep; visits at most that depth."""
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return False
    return levels == 0 or any(_depth_passes(inner, levels - 1) for inner in value)


def _keys(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum(_keys(inner) for inner in value.values())
    if type(value) is list:
        return sum(_keys(inner) for inner in value)
    return 0


def _nul_paths(value: Any, path: str) -> list[str]:
    """Paths of the texts that hold a NUL: PostgreSQL can store it neither in text nor in jsonb."""
    if type(value) is str:
        return [path] if "\0" in value else []
    if type(value) is list:
        return [p for i, inner in enumerate(value) for p in _nul_paths(inner, f"{path}[{i}]")]
    if type(value) is dict:
        found: list[str] = []
        for key, inner in value.items():
            shown = key.replace("\0", "\\u0000")
            here = f"{path}.{shown}" if path else shown
            found += [here] if "\0" in key else _nul_paths(inner, here)
        return found
    return []
