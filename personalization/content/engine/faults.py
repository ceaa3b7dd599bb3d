"""What is wrong with a placement, campaign or block: every fault at once, each with its path."""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from personalization.content.engine.choice import CONTENT, RECOMMENDATIONS
from personalization.lib.errors import Problem
from personalization.lib.storable import is_storable, shown, unstorable
from segments.engine import audience

MAX_COUNT = 100
# Keys go into tokens (255 bytes a field) and addresses.
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# What the log of decisions says where no campaign shows.
NO_CAMPAIGN = "default"
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_FIELDS = 40
_MAX_TEXT = 4000
_MAX_TITLE = 200
# Fields that a storefront puts into href or src.
_ADDRESS_FIELDS = ("link", "url", "href", "src")
_SAFE_ADDRESS = re.compile(r"(https?://[^\s/]|/(?![/\\])|[#?])[^\s\"'<>\\]*|", re.IGNORECASE)
_PRIORITIES = range(-1_000_000, 1_000_001)


def key_faults(key: Any, path: str = "key") -> Iterator[Problem]:
    """Yield what is wrong with a key."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        yield Problem(path, "needs 1 to 100 letters, digits, dots, dashes or underscores")


def campaign_key_faults(key: Any) -> Iterator[Problem]:
    """Yield what is wrong with the key of a new campaign."""
    yield from key_faults(key)
    if key == NO_CAMPAIGN:
        yield Problem("key", "is what the log of decisions says where none shows; choose another")


def placement_faults(values: Mapping[str, Any], path: str = "") -> Iterator[Problem]:
    """Yield what is wrong with the fields of a placement; absent fields are not looked at."""
    kind = values.get("kind")
    if "title" in values:
        yield from _title_faults(values["title"], f"{path}title")
    if "kind" in values and kind not in {CONTENT, RECOMMENDATIONS}:
        yield Problem(f"{path}kind", f"is {CONTENT} or {RECOMMENDATIONS}")
    if "count" in values and not _whole(values["count"], range(1, MAX_COUNT + 1)):
        yield Problem(f"{path}count", f"is a whole number from 1 to {MAX_COUNT}")
    if "active" in values and not isinstance(values["active"], bool):
        yield Problem(f"{path}active", "is true or false")
    if kind == RECOMMENDATIONS or values.get("strategy"):
        yield from key_faults(values.get("strategy"), f"{path}strategy")
    if "default_content" in values:
        yield from content_faults(values["default_content"], f"{path}default_content")


def campaign_faults(values: Mapping[str, Any], path: str = "") -> Iterator[Problem]:
    """Yield what is wrong with the fields of a campaign; absent fields are not looked at."""
    if "title" in values:
        yield from _title_faults(values["title"], f"{path}title")
    if "priority" in values and not _whole(values["priority"], _PRIORITIES):
        yield Problem(f"{path}priority", "is a whole number between -1000000 and 1000000")
    starts_at, ends_at = values.get("starts_at"), values.get("ends_at")
    for name, at in (("starts_at", starts_at), ("ends_at", ends_at)):
        if at is not None and not (isinstance(at, datetime) and at.tzinfo):
            yield Problem(f"{path}{name}", "is a time with its zone, or nothing")
            return
    if starts_at and ends_at and ends_at <= starts_at:
        yield Problem(f"{path}ends_at", "must be later than starts_at")


def content_faults(content: Any, path: str = "content") -> Iterator[Problem]:
    """Yield what is wrong with content: a flat object of plain values, addresses that are safe."""
    if not isinstance(content, Mapping):
        yield Problem(path, "is an object of plain fields")
        return
    if len(content) > _MAX_FIELDS:
        yield Problem(path, f"has more than {_MAX_FIELDS} fields")
    for name, value in content.items():
        if not isinstance(name, str) or not _FIELD.fullmatch(name):
            yield Problem(f"{path}.{shown(str(name))}", "field names are like image_url")
            continue
        fault = _value_fault(name, value)
        if fault:
            yield Problem(f"{path}.{name}", fault)


def published_faults(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with all content, in the shape that `ContentPart.export` makes."""
    for at, placement in enumerate(data["placements"]):
        path = f"placements[{at}]."
        yield from key_faults(placement["key"], f"{path}key")
        yield from placement_faults(placement, path)
        for i, campaign in enumerate(placement["campaigns"]):
            yield from publication_faults(placement, campaign, f"{path}campaigns[{i}].")


def strategy_faults(data: Mapping[str, Any], known: Collection[str]) -> Iterator[Problem]:
    """Yield each active placement of published content whose strategy is not `known`."""
    for at, placement in enumerate(data["placements"]):
        if placement["kind"] != RECOMMENDATIONS or not placement["active"]:
            continue
        if placement["strategy"] not in known:
            words = f"no strategy is called {placement['strategy']!r}"
            yield Problem(f"placements[{at}].strategy", words)


def audience_faults(rule: Any, known: audience.Readable, path: str = "") -> Iterator[Problem]:
    """Yield what is wrong with an audience; None, which is everybody, is not."""
    if rule is None:
        return
    for fault in audience.audience_faults(rule, known):
        yield Problem(f"{path}audience.{fault.path}".rstrip("."), fault.problem)


def publication_faults(
    placement: Mapping[str, Any], campaign: Mapping[str, Any], path: str = ""
) -> Iterator[Problem]:
    """Yield what keeps a campaign from being published, in the shape that `exported` makes."""
    yield from key_faults(campaign["key"], f"{path}key")
    if placement["kind"] != CONTENT:
        yield Problem(f"{path}key", f"{placement['key']} shows recommendations, not campaigns")
    if campaign["block"] is None:
        yield Problem(f"{path}block", f"campaign {campaign['key']} has no block to show")
        return
    yield from key_faults(campaign["block"]["key"], f"{path}block.key")
    yield from content_faults(campaign["block"]["content"], f"{path}block.content")


def _value_fault(name: str, value: Any) -> str:
    unkept = next(unstorable(value), None)
    if unkept is not None:
        return unkept.problem
    if isinstance(value, str):
        if len(value) > _MAX_TEXT:
            return f"is longer than {_MAX_TEXT} characters"
        if name.endswith(_ADDRESS_FIELDS) and not _SAFE_ADDRESS.fullmatch(value):
            return "is an address beginning with https://, http:// or /"
        return ""
    return "" if value is None or isinstance(value, bool | int | float) else "is a plain value"


def _title_faults(title: Any, path: str) -> Iterator[Problem]:
    fits = isinstance(title, str) and title.strip() and len(title) <= _MAX_TITLE
    if not fits or not is_storable(title):
        yield Problem(path, f"needs 1 to {_MAX_TITLE} characters")


def _whole(value: Any, allowed: range) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in allowed
