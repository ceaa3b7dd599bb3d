"""Admin pages of results: how strategies did, what of the catalogue shows, one product's page."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from personalization.lib import clock
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin
from recommender import pages, performance
from recommender.models import ItemDay, ShelfDay, Strategy

_DAYS = 28


class _PageAdmin(ReadOnlyModelAdmin):
    """A table of daily sums that is shown as a page instead of rows."""

    def _answer(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        ours = {"opts": self.opts, "empty_state": self.empty_state}
        whole = {**self.admin_site.each_context(request), **ours, **context}
        return TemplateResponse(request, template, whole)


@admin.register(ShelfDay)
class ShelfDayAdmin(_PageAdmin):
    """Clicks, purchases and revenue of recommendations by strategy, source and position."""

    empty_state = EmptyState(
        what="What lists of recommendations led to: clicks, purchases and revenue by strategy.",
        why="The shop has reported no list of these days as seen: its pages send the token of each"
        " answer that they showed.",
        docs="guides/models#results",
    )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the results of a window, of one strategy or all."""
        strategy = _text(request, "strategy")
        found = performance.performance(_days(request), now=clock.now(), strategy=strategy)
        context = {
            **(extra_context or {}),
            "title": "Performance of recommendations",
            "page": pages.performance_page(found),
            "strategy": strategy,
            "strategies": Strategy.objects.order_by("key").values_list("key", "title"),
        }
        return self._answer(request, "studio/models/performance.html", context)


@admin.register(ItemDay)
class ItemDayAdmin(_PageAdmin):
    """What of the catalogue is shown, and the page of one product."""

    empty_state = EmptyState(
        what="Which products visitors are shown, by brand, category and price.",
        why="The catalogue is empty.",
        action="Add a product",
        action_url="admin:catalog_product_add",
        docs="guides/models#results",
    )

    def get_urls(self) -> list[URLPattern]:
        """Return Django's pages, and the page of one product."""
        view = self.admin_site.admin_view(self.item)
        return [path("item/", view, name="recommender_item"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what share of the catalogue is shown, by brand, category and price."""
        context = {
            **(extra_context or {}),
            "title": "Coverage of the catalogue",
            "page": pages.coverage_page(performance.coverage(_days(request), now=clock.now())),
        }
        return self._answer(request, "studio/models/coverage.html", context)

    def item(self, request: HttpRequest) -> HttpResponse:
        """Show what is near one product and why, and where it is shown."""
        key = _text(request, "key")
        page = pages.item_page(key, days=_days(request), now=clock.now()) if key else None
        context = {"title": page["product"] if page else "A product", "page": page, "key": key}
        return self._answer(request, "studio/models/item.html", context)


def _text(request: HttpRequest, name: str) -> str:
    # the database refuses NUL
    return request.GET.get(name, "").replace("\0", "").strip()[:255]


def _days(request: HttpRequest) -> int:
    asked = request.GET.get("days", "")
    return int(asked) if asked in {str(days) for days in performance.WINDOWS} else _DAYS
