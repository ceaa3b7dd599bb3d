"""What a request for decisions says that this version does not know: an explanation names it."""

from collections.abc import Iterator, Mapping
from typing import Any

from personalization.decisions.openapi import ASK, MOST_UNKNOWN

_LENGTH = 40


def unknown(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths in a body that the schema does not name, sorted, at most MOST_UNKNOWN.

    What may hold anything, such as preferences by category, is not looked into.
    """
    return tuple(sorted(set(_unknown(data, ASK, "")))[:MOST_UNKNOWN])


def _unknown(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        for name, held in value.items():
            here = f"{path}.{name[:_LENGTH]}" if path else name[:_LENGTH]
            if name in known:
                yield from _unknown(held, known[name], here)
            else:
                yield here
    elif isinstance(value, list) and "items" in schema:
        for at, held in enumerate(value):
            yield from _unknown(held, schema["items"], f"{path}[{at}]")
