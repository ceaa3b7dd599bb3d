"""Reads of the catalogue for serving, the back office and the trainer."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import (
    BooleanField,
    ExpressionWrapper,
    Q,
    QuerySet,
    TextField,
    Value,
)
from django.db.models.functions import Cast, NullIf

from personalization.catalog.models import Category, Product


class Change(NamedTuple):
    """A product as serving keeps it; `attributes` is JSON text, None for none."""

    key: str
    title: str
    categories: Sequence[str]
    brand: str
    price_minor: int | None
    attributes: str | None
    created_at: datetime
    sellable: bool
    change: int


def changes_after(change: int) -> list[Change]:
    """Return what was written after `change`, in order."""
    sellable = Q(available=True, deleted_at=None) & (Q(stock=None) | Q(stock__gt=0))
    rows = (
        Product.objects.filter(change__gt=change)
        .annotate(
            sellable=ExpressionWrapper(sellable, output_field=BooleanField()),
            told=NullIf(Cast("attributes", TextField()), Value("{}", TextField())),
        )
        .order_by("change")
        .values_list(
            "key",
            "title",
            "categories",
            "brand",
            "price_minor",
            "told",
            "created_at",
            "sellable",
            "change",
        )
    )
    return [Change(*row) for row in rows]


def category_titles() -> dict[str, str]:
    """Return the titles of all categories by key."""
    return dict(Category.objects.values_list("key", "title"))


def brands(limit: int) -> list[str]:
    """Return the brands of products that are not deleted, by name."""
    rows = products().exclude(brand="").order_by("brand").values_list("brand", flat=True)
    return list(rows.distinct()[:limit])


def attribute_types(limit: int = 500) -> dict[str, type]:
    """Return the free attributes of the products changed last, each with the type of a value."""
    found: dict[str, type] = {}
    rows = products().exclude(attributes={}).order_by("-change")
    for held in rows.values_list("attributes", flat=True)[:limit]:
        for name, value in held.items():
            if value is not None:
                found.setdefault(name, type(value))
    return found


def types_of(names: Collection[str]) -> dict[str, type]:
    """Return those of the free attributes that any product has, each with the type of a value."""
    found: dict[str, type] = {}
    for name in names:
        rows = products().filter(attributes__has_key=name)
        row = rows.exclude(attributes__contains={name: None}).order_by("-change").first()
        if row is not None:
            found[name] = type(row.attributes[name])
    return found


def products() -> QuerySet[Product]:
    """Products that were not deleted."""
    return Product.objects.filter(deleted_at=None)


def known_keys(keys: Collection[str]) -> set[str]:
    """Which of the keys name a product, deleted ones included."""
    return set(Product.objects.filter(key__in=keys).values_list("key", flat=True))


def product_keys() -> list[str]:
    """Keys of all products that were not deleted, in the order of their creation."""
    return list(products().order_by("pk").values_list("key", flat=True))


def descriptions() -> Iterator[dict[str, Any]]:
    """Yield key, title, brand, categories, attributes and price_minor of products not deleted."""
    fields = ("key", "title", "brand", "categories", "attributes", "price_minor")
    yield from products().order_by("pk").values(*fields).iterator(chunk_size=5_000)


def category_paths() -> dict[str, str]:
    """Return category key -> keys from the root, joined by `/`."""
    return dict(Category.objects.values_list("key", "path"))
