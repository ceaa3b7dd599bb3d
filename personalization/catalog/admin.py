"""Admin pages of the catalogue: every change goes through the services, like the API's."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from personalization.access.admin_base import AuditedModelAdmin
from personalization.catalog import services
from personalization.catalog.engine.items import parse_item
from personalization.catalog.models import Category, Product, UnknownItem
from personalization.lib import clock, money
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin
from personalization.lib.fields import LinesField, MoneyField, PairsField, Price, show_faults

# What the form asks for besides the columns that Django has a field for.
_ASKED = ("price", "categories", "attributes")
_FIELDS = ("key", "title", "url", "image_url", "stock", "available", "brand", *_ASKED)
_SECTIONS = (
    (None, {"fields": ("key", "title", "url", "image_url")}),
    ("Price and stock", {"fields": ("price", "stock", "available")}),
    ("Where it belongs", {"fields": ("brand", "categories", "attributes")}),
)
# Words for a product's standing, and the tone of their badge.
_FOR_SALE = ("for sale", "good")
_SOLD_OUT = ("sold out", "warn")
_WITHDRAWN = ("not for sale", "")
_DELETED = ("deleted", "bad")
_KEPT, _OFFERED = Q(deleted_at=None), Q(deleted_at=None, available=True)
# The same as `_standing`, for the database.
_WHERE = {
    _FOR_SALE: _OFFERED & (Q(stock=None) | Q(stock__gt=0)),
    _SOLD_OUT: _OFFERED & Q(stock__lte=0),
    _WITHDRAWN: _KEPT & Q(available=False),
    _DELETED: Q(deleted_at__isnull=False),
}


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Fields of a product, judged by the rules of the API and the feeds."""

    price = MoneyField(help_text="What it costs, and the currency: 8.90 EUR. Empty: not known.")
    categories = LinesField(
        help_text="Keys of its categories, one a line, the main one first: tableware."
    )
    attributes = PairsField(
        help_text="What else is known of it, one a line, with a colon: material: oak. Rules and"
        " strategies can use them."
    )

    class Meta:
        model = Product
        fields = _FIELDS
        labels = {"url": "Page in the shop (URL)", "image_url": "Picture (URL)"}
        help_texts = {
            "key": "The id that the shop's events call it by, such as its article number.",
            "url": "Beginning with https://, http:// or /.",
            "stock": "Pieces left. Empty: nobody counts. 0: it is sold out, and not recommended.",
            "available": "Untick to take it out of all recommendations, whatever its stock.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        currency = row.currency or ("" if row.pk else settings.SHOP_CURRENCY)
        self.initial.setdefault("price", Price(row.price_minor, currency))

    def clean(self) -> dict[str, Any]:
        """Put every fault at its field."""
        given = super().clean() or {}
        if not self.errors:
            show_faults(
                self,
                parse_item(self.item())[1],
                fields={"price_minor": "price", "currency": "price"},
            )
        return given

    def item(self) -> dict[str, Any]:
        """Return the product as the upsert takes it."""
        item = {name: self.cleaned_data[name] for name in _FIELDS if name in self.cleaned_data}
        price = item.pop("price", Price(None, ""))
        item |= {"price_minor": price.minor, "currency": price.currency}
        return item if "key" in item else item | {"key": self.instance.key}


class _StandingFilter(admin.SimpleListFilter):
    """Whether a product can be recommended, and why not."""

    title = "for sale"
    parameter_name = "standing"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        """Return the words of the list."""
        return [(words, words) for words, _tone in _WHERE]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the products of which the list says so."""
        where = {words: condition for (words, _tone), condition in _WHERE.items()}
        wanted = self.value() or ""
        return rows.filter(where[wanted]) if wanted in where else rows


@admin.register(Product)
class ProductAdmin(AuditedModelAdmin):
    """What the shop sells."""

    form = ProductForm
    audits = False
    fieldsets = _SECTIONS  # type: ignore[assignment]  # tuples, as Django's own code has them
    fixed = ("key",)  # events and models name it
    list_display = ("key", "title", "brand", "price", "stock", "standing")
    list_display_links = ("key", "title")
    list_filter = (_StandingFilter,)
    # not by brand: most products may have none, and all of these would be sorted
    sortable_by = ("key",)
    search_fields = ("key",)
    search_help_text = "Beginning of a key or title, or a whole brand"
    ordering = ("-id",)
    empty_state = EmptyState(
        what="What the shop sells: recommendations show only products of this list.",
        why="No product has been sent yet. Import a feed with manage.py import_feed, or send"
        " products to /api/products/.",
        action="Add a product",
        action_url="admin:catalog_product_add",
    )

    @admin.display(description="price", ordering="price_minor")
    def price(self, obj: Product) -> str:
        """Return the price for people, of the list and for those who may not change it."""
        return "" if obj.price_minor is None else money.text(obj.price_minor, obj.currency)

    @admin.display(description="for sale")
    def standing(self, obj: Product) -> str:
        """Say in words whether it can be recommended: availability and stock together."""
        words, tone = _standing(obj)
        return format_html('<span class="badge {}">{}</span>', tone, words)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search what an index answers, so that a million products are searched in no time."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(key__startswith=term) | Q(title__istartswith=term) | Q(brand=term)
        return queryset.filter(wanted), False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Write through the upsert, then give Django the stored row."""
        actor = request.user.get_username()
        services.upsert_products([form.item()], actor=actor, now=clock.now())
        stored = Product.objects.get(key=form.item()["key"])
        obj.pk = stored.pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete softly."""
        actor = request.user.get_username()
        services.delete_products([obj.key], actor=actor, now=clock.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete softly, all at once."""
        keys = list(queryset.values_list("key", flat=True))
        services.delete_products(keys, actor=request.user.get_username(), now=clock.now())


def _standing(product: Product) -> tuple[str, str]:
    if product.deleted_at is not None:
        return _DELETED
    if not product.available:
        return _WITHDRAWN
    return _SOLD_OUT if product.stock is not None and product.stock <= 0 else _FOR_SALE


@admin.register(Category)
class CategoryAdmin(AuditedModelAdmin):
    """The category tree."""

    audits = False
    fields = ("key", "title", "parent")
    fixed = ("key",)  # products name it
    list_display = ("path", "title", "key")
    sortable_by = ("path", "key")
    list_display_links = ("path", "title")
    search_fields = ("=key", "title__istartswith")
    autocomplete_fields = ("parent",)
    empty_state = EmptyState(
        what="The category tree: titles and parents of the keys that products carry.",
        why="Nobody has described a category yet; products may name their keys all the same.",
        action="Add a category",
        action_url="admin:catalog_category_add",
    )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Write through the service, which keeps the paths of the whole tree."""
        parent = obj.parent.key if obj.parent else ""
        services.upsert_categories(
            [{"key": obj.key, "title": obj.title, "parent": parent}],
            actor=request.user.get_username(),
            now=clock.now(),
        )
        obj.pk = Category.objects.get(key=obj.key).pk
        obj.refresh_from_db()


@admin.register(UnknownItem)
class UnknownItemAdmin(ReadOnlyModelAdmin):
    """Ids that events name and no product has."""

    list_display = ("key", "events", "first_at", "last_at")
    sortable_by = ("key",)
    ordering = ("-events",)
    search_fields = ("=key",)
    empty_state = EmptyState(
        what="Item ids that events name and no product has, counted at each training.",
        why="Every id in the events so far belongs to a product, or nothing was trained yet.",
    )
