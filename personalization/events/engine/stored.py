"""What of an event's context is kept: known keys of sane type and length."""

from collections.abc import Mapping
from typing import Any

from personalization.events.engine.schema import Schema
from personalization.events.engine.wire import Draft

# Key of `context` -> longest text kept.
_TEXTS = (("locale", 20), ("timezone", 64))
_PAGE = (("path", 500), ("referrer", 500), ("url", 1000), ("title", 300), ("search", 500))
_CAMPAIGN = (("name", 100), ("source", 100), ("medium", 100), ("term", 100), ("content", 100))
# In this order for good: what is learned of devices goes by their places.
DEVICES = ("desktop", "mobile", "tablet", "tv", "console", "wearable", "other")
_DEVICES = frozenset(DEVICES)
_MAX_SESSION = 100
_MAX_TIME = 40
# What stays of a minimised event's context: nothing that tells one visitor from the next.
_MINIMAL = ("device", "country", "locale", "sentAt", "originalTimestamp")


def context(draft: Draft, place: Mapping[str, Any], sent_at: str | None) -> dict[str, Any]:
    """Return the context that the row keeps.

    Parameters
    ----------
    draft
        Its `context` is what the caller sent, batch context included.
    place
        What the server knows: `country`, `region`, `address` (truncated), `device`.
    sent_at
        Raw `sentAt` of the call, kept beside the raw time of the event.
    """
    given = draft.context
    kept = dict(place)
    if given:
        _take_texts(given, _TEXTS, kept)
        _take_object(given, "page", _PAGE, kept)
        _take_object(given, "campaign", _CAMPAIGN, kept)
        _take_device(given.get("device"), kept)
        _take_session(given.get("session"), kept)
    item = draft.item
    original = item.get("originalTimestamp") or item.get("timestamp")
    if original:
        kept["originalTimestamp"] = original
    sent = item.get("sentAt") or sent_at
    if sent:
        kept["sentAt"] = sent
    return kept


def minimised(
    name: str, properties: Mapping[str, Any], kept: Mapping[str, Any], schema: Schema
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (properties, context) of an event without what is personal or free text.

    Properties stay where the event type describes them (an unknown event keeps none), so that an
    order still counts as an order; address, region, session, campaign and page details go.
    """
    known = schema.known(name)
    described = known.properties if known is not None else {}
    minimal = {key: kept[key] for key in _MINIMAL if key in kept}
    path = kept.get("page", {}).get("path")
    if path:
        minimal["page"] = {"path": path}
    return {key: value for key, value in properties.items() if key in described}, minimal


def _take_texts(
    given: Mapping[str, Any], limits: tuple[tuple[str, int], ...], kept: dict[str, Any]
) -> None:
    for key, limit in limits:
        value = given.get(key)
        if type(value) is str and value:
            kept[key] = value[:limit]


def _take_object(
    given: Mapping[str, Any],
    key: str,
    limits: tuple[tuple[str, int], ...],
    kept: dict[str, Any],
) -> None:
    value = given.get(key)
    if type(value) is dict and value:
        inner: dict[str, Any] = {}
        _take_texts(value, limits, inner)
        if inner:
            kept[key] = inner


def _take_device(value: object, kept: dict[str, Any]) -> None:
    """Take the client's word: it knows better than its user agent."""
    named = value.get("type") if type(value) is dict else None
    # a list or an object is in no set: asking would raise
    if type(named) is str and named in _DEVICES:
        kept["device"] = {"type": named}


def _take_session(value: object, kept: dict[str, Any]) -> None:
    given = value.get("id") if type(value) is dict else value
    if type(given) is int:
        given = str(given)
    if type(given) is str and given:
        kept["session"] = {"id": given[:_MAX_SESSION]}
