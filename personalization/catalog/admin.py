"""Admin pages of the catalogue: every change goes through the services, like the API's."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from personalization.access.admin_base import AuditedModelAdmin
from personalization.catalog import services
from personalization.catalog.engine.items import parse_item
from personalization.catalog.models import Category, Product, UnknownItem
from personalization.lib import clock
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin

_FIELDS = (
    "key",
    "title",
    "url",
    "image_url",
    "price_minor",
    "currency",
    "stock",
    "available",
    "brand",
    "categories",
    "attributes",
)


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Fields of a product, judged by the rules of the API and the feeds."""

    class Meta:
        model = Product
        fields = _FIELDS

    def clean(self) -> dict[str, Any]:
        """Put every fault at its field."""
        given = super().clean() or {}
        if not self.errors:
            for problem in parse_item(self.item())[1]:
                field = problem.path if problem.path in self.fields else None
                self.add_error(field, problem.problem)
        return given

    def item(self) -> dict[str, Any]:
        """Return the product as the upsert takes it."""
        item = {name: self.cleaned_data[name] for name in self.fields if name in self.cleaned_data}
        return item if "key" in item else item | {"key": self.instance.key}


@admin.register(Product)
class ProductAdmin(AuditedModelAdmin):
    """What the shop sells."""

    form = ProductForm
    audits = False
    list_display = ("key", "title", "brand", "price_minor", "currency", "stock", "available")
    list_display_links = ("key", "title")
    list_filter = ("available", ("deleted_at", admin.EmptyFieldListFilter))
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

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search what an index answers, so that a million products are searched in no time."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(key__startswith=term) | Q(title__istartswith=term) | Q(brand=term)
        return queryset.filter(wanted), False

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        """Keep the key of a stored product: events and models name it."""
        return ("key",) if obj else ()

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


@admin.register(Category)
class CategoryAdmin(AuditedModelAdmin):
    """The category tree."""

    audits = False
    fields = ("key", "title", "parent")
    list_display = ("path", "title", "key")
    list_display_links = ("path", "title")
    search_fields = ("=key", "title__istartswith")
    autocomplete_fields = ("parent",)
    empty_state = EmptyState(
        what="The category tree: titles and parents of the keys that products carry.",
        why="Nobody has described a category yet; products may name their keys all the same.",
        action="Add a category",
        action_url="admin:catalog_category_add",
    )

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        """Keep the key of a stored category: products name it."""
        return ("key",) if obj else ()

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
    ordering = ("-events",)
    search_fields = ("=key",)
    empty_state = EmptyState(
        what="Item ids that events name and no product has, counted at each training.",
        why="Every id in the events so far belongs to a product, or nothing was trained yet.",
    )
