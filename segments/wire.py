"""What `/api/segments/` reads and writes beyond plain JSON: depths, pages, streams of lines."""

import io
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer

from personalization.lib.http import nested_deeper
from personalization.lib.pagination import KeyCursorPagination
from segments.preview import Preview
from segments.serializers import PreviewSerializer

# A rule within its limits has far fewer levels; deeper ones would run out of stack.
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
        return data


class RuleJSONParser(BoundedJSONParser):
    """JSON of a bounded depth, of texts and numbers that can be kept."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the body; ParseError for what is nested too deeply or cannot be kept."""
        data = super().parse(stream, media_type, parser_context)
        try:
            orjson.dumps(data)
        except orjson.JSONEncodeError as error:
            # numbers beyond 64 bits, halves of surrogate pairs: no rule is stored with them
            raise ParseError(f"holds what cannot be kept: {error}") from error
        return data


class MemberPagination(KeyCursorPagination):
    """Pages of members by customer."""

    ordering = "customer_id"


class NewestFirstPagination(KeyCursorPagination):
    """Pages of what happened, newest first."""

    ordering = ("-at", "-id")


class CsvRenderer(JSONRenderer):
    """Says that an address writes CSV; a refusal is JSON all the same."""

    media_type = "text/csv"
    format = "csv"


class NdjsonRenderer(JSONRenderer):
    """Says that an address writes a JSON object a line; a refusal is JSON all the same."""

    media_type = "application/x-ndjson"
    format = "ndjson"


def preview_json(found: Preview) -> dict[str, Any]:
    """Return a preview as the rule builder reads it."""
    names = (
        "sentence", "count", "total", "exact", "margin", "sample", "conditions", "overlap",
        "as_of", "ms",
    )  # fmt: skip
    told: dict[str, Any] = {name: getattr(found, name) for name in names} | {"valid": True}
    return dict(PreviewSerializer(told).data)


def lines_of(fields: Mapping[str, Any]) -> Iterable[str]:
    """Return the lines of an uploaded file, or ids each as a line of CSV."""
    if "file" in fields:
        return io.TextIOWrapper(fields["file"], encoding="utf-8", errors="replace", newline="")
    return ['"{}"'.format(one.replace('"', '""')) for one in fields["ids"]]
