"""The newest few of what a state holds, by a total order, so that the order of arrival is lost."""

from collections.abc import Mapping
from typing import Any

# A part is cut when it is a quarter over its bound, and again when it is read: sorting at each fact
# would cost more than the fold itself.
SLACK = 1.25


def newest(held: Mapping[str, Any], most: int) -> Mapping[str, Any]:
    """Return the `most` greatest by (value, or the first two of a list; key)."""
    if len(held) <= most:
        return held

    def rank(key: str) -> tuple[Any, str]:
        value = held[key]
        return (value[:2] if isinstance(value, list) else value), key

    return {key: held[key] for key in sorted(held, key=rank, reverse=True)[:most]}
