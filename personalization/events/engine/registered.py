"""What of an event is kept as a fact for rules: the properties that its type describes, and around.

`$context`, `$session` and `$product` stand beside the properties under those names, and `$decision`
with what a verified token said; what a shop sends under them is dropped with everything else that
nobody described.
"""

from collections.abc import Mapping
from typing import Any

from personalization.events.engine.schema import Schema
from personalization.events.engine.taxonomy import TOKEN_EVENTS

# Of the context that the log keeps: what rules may name (docs/rules.md, Paths).
_PLACE = ("country", "region", "locale", "timezone", "campaign", "device")
_PAGE = ("path", "referrer")


def registered(
    name: str, properties: Mapping[str, Any], context: Mapping[str, Any], schema: Schema
) -> dict[str, Any] | None:
    """Return the properties and surroundings of an event as rules read them; None for nothing."""
    known = schema.known(name)
    kept: dict[str, Any] = {}
    if known is not None and properties:
        described = known.properties
        kept = {key: value for key, value in properties.items() if key in described}
    if name in TOKEN_EVENTS and "decision" in properties:
        kept["$decision"] = properties["decision"]
    around = {key: context[key] for key in _PLACE if key in context}
    page = context.get("page")
    if page:
        seen = {key: page[key] for key in _PAGE if key in page}
        if seen:
            around["page"] = seen
    if around:
        kept["$context"] = around
    if "session" in context:
        kept["$session"] = context["session"]
    if "products" in context:
        kept["$product"] = context["products"]
    return kept or None
