"""Admin pages of the decision log: a read-only list, and why one decision came out as it did."""

import json
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from personalization.customers.models import Customer
from personalization.customers.selectors import by_any_id
from personalization.decisions.models import Decision
from personalization.decisions.selectors import NOT_RECORDED, explanation
from personalization.decisions.telling import told
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin


@admin.register(Decision)
class DecisionAdmin(ReadOnlyModelAdmin):
    """What was decided; rows link to their explanation."""

    list_display = ("at", "shown", "customer", "explained", "configuration")
    list_display_links = None
    search_fields = ("=customer_id",)
    search_help_text = (
        "A customer's user id, anonymous id or number. A decision by its id: “Explain a decision”."
    )
    # The newest first, by the table's own key: the id is of version 7 and so tells the time.
    ordering = ("-day", "-id")
    empty_state = EmptyState(
        what="Each logged decision leaves a line here: what it read, and what was shown.",
        why="No decision was logged yet, or DECISION_LOG_SHARE is 0.",
    )

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look for what was decided for one customer, by any id that the customer goes by."""
        term = search_term.strip()
        if not term or "\0" in term:
            return queryset, False
        ids = by_any_id(Customer.objects.all(), term).values_list("pk", flat=True)[:50]
        return queryset.filter(customer_id__in=list(ids)), False

    @admin.display(description="why")
    def explained(self, obj: Decision) -> str:
        """Link to the explanation."""
        address = reverse("admin:decisions_decision_explain") + f"?id={obj.id}"
        return format_html(
            '<a href="{}" aria-label="Explain decision {}">Explain</a>', address, obj.id
        )

    @admin.display(description="customer", ordering="customer_id")
    def customer(self, obj: Decision) -> str:
        """Link to whom it was for, where that may be known."""
        if obj.customer_id is None:
            return "not recorded"
        address = reverse("admin:customers_customer_change", args=[obj.customer_id])
        return format_html('<a href="{}">customer {}</a>', address, obj.customer_id)

    @admin.display(description="configuration", ordering="config_version")
    def configuration(self, obj: Decision) -> str:
        """Name the configuration that decided."""
        return f"v{obj.config_version}"

    @admin.display(description="shown")
    def shown(self, obj: Decision) -> str:
        """Say what each placement showed."""
        placements = obj.body.get("placements", {})
        return ", ".join(f"{key}: {what}" for key, what in placements.items())

    def get_urls(self) -> list[URLPattern]:
        """Add the page of one decision."""
        page = self.admin_site.admin_view(self.explain)
        return [path("explain/", page, name="decisions_decision_explain"), *super().get_urls()]

    def explain(self, request: HttpRequest) -> HttpResponse:
        """Show why a decision came out as it did, or that it was not recorded."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        wanted = request.GET.get("id", "").strip()
        found = explanation(wanted) if wanted else None
        context: dict[str, Any] = self.admin_site.each_context(request) | {
            "title": "Explain a decision",
            "opts": self.opts,
            "wanted": wanted,
            "told": told(found) if found else None,
            "missing": NOT_RECORDED if wanted and found is None else "",
            "body": json.dumps(found.decision.body, indent=2) if found else "",
        }
        return TemplateResponse(request, "admin/decisions/explain.html", context)
