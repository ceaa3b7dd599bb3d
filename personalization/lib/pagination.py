"""Cursor pagination of `/api`: stable while rows are added, and no counting."""

from rest_framework.pagination import CursorPagination


class KeyCursorPagination(CursorPagination):
    """Pages of 50 (at most 500) by primary key."""

    page_size = 50
    max_page_size = 500
    page_size_query_param = "page_size"
    ordering = "pk"
