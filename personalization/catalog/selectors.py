"""Reads of the catalogue for serving, the back office and the trainer."""

from collections.abc import Collection
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from personalization.catalog.models import Product


def changes_after(change: int) -> list[tuple[Any, ...]]:
    """Rows (key, title, main category, brand, price, sellable, change) after `change`, in order."""
    sellable = Q(available=True, deleted_at=None) & (Q(stock=None) | Q(stock__gt=0))
    return list(
        Product.objects.filter(change__gt=change)
        .annotate(
            main=Coalesce(KeyTextTransform(0, "categories"), Value(""), output_field=TextField()),
            sellable=ExpressionWrapper(sellable, output_field=BooleanField()),
        )
        .order_by("change")
        .values_list("key", "title", "main", "brand", "price_minor", "sellable", "change")
    )


def products() -> QuerySet[Product]:
    """Products that were not deleted."""
    return Product.objects.filter(deleted_at=None)


def known_keys(keys: Collection[str]) -> set[str]:
    """Which of the keys name a product, deleted ones included."""
    return set(Product.objects.filter(key__in=keys).values_list("key", flat=True))


def product_keys() -> list[str]:
    """Keys of all products that were not deleted, in the order of their creation."""
    return list(products().order_by("pk").values_list("key", flat=True))
