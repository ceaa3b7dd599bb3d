"""What every admin page of ours shares: read-only logs, fast big lists, guided empty states."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import OperationalError, connections, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

# Rows counted exactly at most; beyond it PostgreSQL's own estimate is as useful to a reader.
COUNT_LIMIT = 10_000
# A filter without an index must not hold up the page; the planner's guess is shown instead.
COUNT_TIMEOUT_MS = 500
# OFFSET reads all that it skips: deeper than this, a filter or the search is the way.
MAX_PAGES = 200
# So many rows are sorted by any column while a person waits (a tenth of a second).
SORTED_MOST = 50_000


@dataclass(frozen=True, slots=True)
class EmptyState:
    """What a list without rows says: what belongs here, why there is none, one button, one page.

    `action_url` is a URL name (`admin:catalog_product_add`) or a path; `docs` is a page of docs/
    with its anchor (`events#rejected`).
    """

    what: str
    why: str
    action: str = ""
    action_url: str = ""
    docs: str = ""


class EstimatedCountPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Count exactly up to 10,000 rows, else estimate (`estimated`); open 200 pages at most."""

    estimated = False

    @cached_property
    def count(self) -> int:
        """Return how many rows there are: exact when few, PostgreSQL's estimate when many."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        bounded = _bounded_count(rows)
        if bounded is not None and bounded <= COUNT_LIMIT:
            return bounded
        self.estimated = True
        return max(_estimate(rows), COUNT_LIMIT + 1 if bounded is not None else 0)

    @cached_property
    def num_pages(self) -> int:
        """Return how many pages can be opened."""
        return min(super().num_pages, MAX_PAGES)

    @property
    def capped(self) -> bool:
        """Whether there are rows that no page shows."""
        return self.count > MAX_PAGES * self.per_page


def _bounded_count(rows: QuerySet[Any]) -> int | None:
    """Count at most COUNT_LIMIT + 1 rows; None when that takes longer than COUNT_TIMEOUT_MS."""
    connection = connections[rows.db]
    try:
        with transaction.atomic(using=rows.db), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            before = cursor.fetchone()[0]
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true)", [str(COUNT_TIMEOUT_MS)]
            )
            counted = rows.order_by()[: COUNT_LIMIT + 1].count()
            # A surrounding transaction keeps a SET LOCAL made in a savepoint.
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
            return counted
    except OperationalError:
        return None


def _estimate(rows: QuerySet[Any]) -> int:
    """Return table statistics without a filter, the planner's guess with one."""
    if not rows.query.where:
        table = rows.model._meta.db_table
        with connections[rows.db].cursor() as cursor:
            # Partitions carry the statistics; their parent has none of its own.
            cursor.execute(
                "SELECT sum(greatest(c.reltuples, 0)) FROM pg_partition_tree(%s::regclass) t"
                " JOIN pg_class c ON c.oid = t.relid WHERE t.isleaf",
                [table],
            )
            (total,) = cursor.fetchone()
        if total:
            return int(total)
    plan = json.loads(rows.order_by().explain(format="json"))
    return int(plan[0]["Plan"]["Plan Rows"])


def is_long(model: type[Model]) -> bool:
    """Whether a table has more rows, as PostgreSQL estimates, than are sorted in no time."""
    return _estimate(model._default_manager.all()) > SORTED_MOST


class IndexedChangeList(ChangeList):
    """A list whose address, too, sorts only by the columns that its headings offer."""

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return the column that a heading sorts by, None where sorting is not offered."""
        offered = self.sortable_by or ()
        return super().get_ordering_field(field_name) if field_name in offered else None


class ListModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """A list that stays fast when its table grows to millions of rows.

    `sortable_by`
        What a long table is sorted by: columns that an index begins with, and in which few rows
        are alike (ties are sorted, all of them). Up to SORTED_MOST rows are sorted by any column.
    `fixed`
        Fields that a stored row keeps, since others name it by them.
    """

    paginator = EstimatedCountPaginator
    show_full_result_count = False
    # A count for each choice of a filter reads the whole table once for each.
    show_facets = admin.ShowFacets.NEVER
    sortable_by: ClassVar[list[str] | tuple[str, ...] | None] = ()
    empty_state: EmptyState | None = None
    fixed: tuple[str, ...] = ()

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> list[str] | tuple[Any, ...]:
        """Return what nobody types in, and what a stored row keeps."""
        return (*super().get_readonly_fields(request, obj), *(self.fixed if obj else ()))

    def get_prepopulated_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> dict[str, Any]:
        """Propose nothing for what a stored row keeps."""
        proposed = super().get_prepopulated_fields(request, obj)
        return {} if obj and proposed.keys() & {*self.fixed} else dict(proposed)

    def get_sortable_by(self, request: HttpRequest) -> Any:
        """Return every column of a short table; of a long one, what an index is there for."""
        return self.sortable_by if is_long(self.model) else self.get_list_display(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that keeps to what is offered."""
        return IndexedChangeList


class ReadOnlyModelAdmin(ListModelAdmin):
    """Shows rows that people must not add, change or delete: logs, ledgers, results."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes rows by hand; retention does."""
        return False

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> list[str] | tuple[Any, ...]:
        """Return every field of the form."""
        return tuple(self.readonly_fields) or [field.name for field in self.model._meta.fields]
