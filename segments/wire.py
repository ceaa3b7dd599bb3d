"""What `/api/segments/` reads and writes beyond plain JSON: pages, streams of lines."""

import io
from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.renderers import JSONRenderer

from personalization.lib.pagination import KeyCursorPagination
from segments.preview import Preview
from segments.serializers import PreviewSerializer


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
