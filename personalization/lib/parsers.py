"""JSON bodies of `/api`: what is nested without end, or cannot be kept, is not read."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from personalization.lib.http import nested_deeper

# What anybody sends has far fewer levels; deeper ones would run out of stack.
MAX_LEVELS = 64


class BoundedJSONParser(JSONParser):
    """JSON of a bounded depth."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the body; ParseError for what is nested too deeply."""
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("nested too deeply") from error
        if nested_deeper(data, MAX_LEVELS):
            raise ParseError("nested too deeply")
        self.check(data)
        return data

    def check(self, data: Any) -> None:
        """Raise ParseError for a body that a stricter parser does not take."""


class StorableJSONParser(BoundedJSONParser):
    """JSON of a bounded depth, of texts and numbers that can be kept."""

    def check(self, data: Any) -> None:
        """Raise ParseError for what cannot be kept."""
        try:
            orjson.dumps(data)
        except orjson.JSONEncodeError as error:
            # numbers beyond 64 bits, halves of surrogate pairs: no row is stored with them
            raise ParseError(f"holds what cannot be kept: {error}") from error
