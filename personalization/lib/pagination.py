"""Cursor pagination of `/api`: stable while rows are added, and no counting."""

import re
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

# Digits that are worth a conversion.
_SIZE = re.compile(r"[0-9]{1,9}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


class KeyCursorPagination(CursorPagination):
    """Pages of 50 (at most 500) by primary key."""

    page_size = 50
    max_page_size = 500
    page_size_query_param = "page_size"
    ordering: str | list[str] | tuple[str, ...] = "pk"

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: Any = None
    ) -> list[Any] | None:
        """Return the page. Raises ParseError (400) for a cursor that is none of ours.

        Also for one of our shape that names no place, and for a `page_size` that is no number of
        rows; more than the most gives the most.
        """
        size = request.query_params.get(self.page_size_query_param, "")
        if size and (not _SIZE.fullmatch(size) or int(size) < 1):
            msg = f"page_size is a whole number from 1 to {self.max_page_size}"
            raise ParseError(msg)
        if not _BASE64.fullmatch(request.query_params.get(self.cursor_query_param, "")):
            raise ParseError(self.invalid_cursor_message)
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValueError, ValidationError) as error:
            raise ParseError(self.invalid_cursor_message) from error
