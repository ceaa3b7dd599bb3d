"""Every list of the admin stays fast over millions of rows: no counts, and sorted by an index."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin, ShowFacets
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse

from personalization.catalog.models import Product
from personalization.lib import admin as ours
from personalization.lib.admin import EstimatedCountPaginator

pytestmark = pytest.mark.django_db

LISTS = list(admin.site._registry.values())
# Lists whose usual order no index begins with, and why they need none.
SORTED_ANYWAY = {
    "events.loggedevent": "the search reads the newest rows alone, through the BRIN index of seq",
    "catalog.unknownitem": "narrow rows, made anew at each training; the most missed come first",
    "segments.segment": "made by people: hundreds",
}
# Columns of full B-tree indexes that sort as ORDER BY does; `text_pattern_ops` does not.
FIRST_COLUMNS = """
SELECT a.attname FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
    JOIN pg_opclass o ON o.oid = i.indclass[0]
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = %s::regclass AND i.indpred IS NULL AND m.amname = 'btree' AND o.opcdefault
"""


def each_list(function: Any) -> Any:
    return pytest.mark.parametrize("listed", LISTS, ids=lambda one: one.opts.label_lower)(function)


@pytest.fixture
def long_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table counts as one that is too long to be sorted."""
    monkeypatch.setattr(ours, "SORTED_MOST", -1)


def first_columns(model: type[Model]) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(FIRST_COLUMNS, [model._meta.db_table])
        return {name for (name,) in cursor.fetchall()}


def column(model: type[Model], field: str) -> str:
    """Return the column that a name in an ordering stands for, itself where it is none of its."""
    name = field.removeprefix("-")
    if name == "pk":
        return str(model._meta.pk.column)
    own = {one.name: str(one.column) for one in model._meta.fields}
    return own.get(name, name)


def offered(listed: ModelAdmin) -> list[str]:  # type: ignore[type-arg]  # not generic at run time
    """Return the columns that the headings of a list sort by."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)
    changes = listed.get_changelist_instance(request)
    found = [changes.get_ordering_field(name) for name in changes.list_display]
    return [column(listed.model, str(field)) for field in found if field]


@each_list
def test_list__any__counts_nothing_whole(listed: ModelAdmin) -> None:  # type: ignore[type-arg]  # not generic at run time
    assert listed.show_facets is ShowFacets.NEVER
    assert listed.show_full_result_count is False
    assert issubclass(listed.paginator, EstimatedCountPaginator)


@each_list
@pytest.mark.usefixtures("long_tables")
def test_list__long_table__offers_only_what_an_index_begins_with(listed: ModelAdmin) -> None:  # type: ignore[type-arg]  # not generic at run time
    assert set(offered(listed)) <= first_columns(listed.model)


@each_list
@pytest.mark.usefixtures("long_tables")
def test_list__long_table__comes_in_the_order_of_an_index(listed: ModelAdmin) -> None:  # type: ignore[type-arg]  # not generic at run time
    usual = listed.get_ordering(RequestFactory().get("/")) or listed.opts.ordering or ("-pk",)

    begins = column(listed.model, str(usual[0])) in first_columns(listed.model)

    assert begins is (listed.opts.label_lower not in SORTED_ANYWAY)


def test_list__short_table__offers_every_column() -> None:
    assert offered(admin.site._registry[Product]) == [
        "key",
        "title",
        "brand",
        "price_minor",
        "stock",
    ]


@pytest.mark.usefixtures("long_tables")
def test_list__long_table_asked_by_address__is_sorted_by_an_index(client: Client) -> None:
    client.force_login(User.objects.create_superuser("mara"))
    address = reverse("admin:catalog_product_changelist")

    refused = client.get(address, {"o": "4"}).context["cl"].queryset.query.order_by
    taken = client.get(address, {"o": "1"}).context["cl"].queryset.query.order_by

    assert (refused, taken) == (("-id",), ("key", "-id"))
