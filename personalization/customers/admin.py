"""Admin doors of the customers app: the customer page, merging and parting, the list of merges."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from personalization.access.admin_base import AuditedModelAdmin
from personalization.customers import selectors, services
from personalization.customers.models import Customer, Merge, Profile, RebuildDue, Trait
from personalization.lib import clock, money
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin, is_long
from personalization.lib.errors import AppError
from personalization.lib.registries import customer_panels
from personalization.lib.storable import BIGINT_DIGITS, whole_number


class MergeForm(forms.Form):
    """Asks for the customer that is the same person."""

    other = forms.CharField(max_length=255, label="Id of the other customer")


@admin.register(Customer)
class CustomerAdmin(ReadOnlyModelAdmin):
    """Customers: found by exact id, shown with everything that is known of them."""

    list_display = ("name", "ids", "last_seen", "events", "orders", "revenue", "country")
    list_select_related = ("profile",)
    list_per_page = 50
    search_fields = ("uuid",)
    search_help_text = "An exact id: user id, anonymous id, our uuid or number."
    actions = None
    empty_state = EmptyState(
        what="One row for each person that the shop has seen, known by one id or many.",
        why="No event has come in yet. A customer is made with the first event of a new id.",
        action="Send a first event",
        action_url="docs",
        docs="metrics#events-per-minute",
    )

    def get_ordering(self, _request: HttpRequest) -> Any:
        """Show who came last first; in large shops, where that would be a long sort, who is new.

        An index would serve the sort, and make each event of each customer write it.
        """
        if is_long(Customer):
            return ("-pk",)
        return (F("profile__last_seen_at").desc(nulls_last=True), "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        """Return customers that are not part of another, with their ids."""
        rows: QuerySet[Customer] = super().get_queryset(request)
        return rows.prefetch_related("identities")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by exact id, which is one index look-up."""
        term = search_term.strip()
        if not term:
            return queryset.filter(merged_into=None), False
        return selectors.by_any_id(queryset, term), False

    @admin.display(description="customer")
    def name(self, customer: Customer) -> str:
        """Return the id that people know the customer by."""
        current = [one for one in customer.identities.all() if one.ended_at is None]
        best = min(current, key=lambda one: (one.kind, -one.pk), default=None)
        return best.value if best else str(customer.uuid)

    @admin.display(description="ids")
    def ids(self, customer: Customer) -> int:
        """Return how many ids the customer goes by."""
        return len(customer.identities.all())

    @admin.display(description="last seen", ordering="profile__last_seen_at")
    def last_seen(self, customer: Customer) -> Any:
        """Return when the customer was seen last."""
        return _of_profile(customer, "last_seen_at")

    @admin.display(description="events")
    def events(self, customer: Customer) -> Any:
        """Return how many events the profile is made of."""
        return _of_profile(customer, "events")

    @admin.display(description="orders")
    def orders(self, customer: Customer) -> Any:
        """Return how many orders the customer has placed."""
        return _of_profile(customer, "orders")

    @admin.display(description="revenue")
    def revenue(self, customer: Customer) -> str:
        """Return what the customer has paid, in the shop's currency."""
        return _revenue(getattr(customer, "profile", None))

    @admin.display(description="country")
    def country(self, customer: Customer) -> Any:
        """Return where the customer was seen last."""
        return _of_profile(customer, "country")

    def get_urls(self) -> list[URLPattern]:
        """Return Django's pages, and the two actions of the customer page."""
        view = self.admin_site.admin_view
        return [
            path(
                "<int:customer_id>/merge/",
                view(require_POST(self.merge)),
                name="customers_customer_merge",
            ),
            path(
                "merges/<int:merge_id>/undo/",
                view(require_POST(self.undo)),
                name="customers_merge_undo",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the customer page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        number = whole_number(object_id, BIGINT_DIGITS)
        page = None if number is None else selectors.customer_page(number)
        if page is None:
            msg = f"there is no customer {object_id!r}"
            raise Http404(msg)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": page.title,
            "page": page,
            "panels": _panels(page.customer.pk),
            "may_merge": _may_merge(request),
            "merge_form": MergeForm(),
            "revenue": _revenue(page.profile),
        }
        return TemplateResponse(request, "studio/customer.html", context)

    def merge(self, request: HttpRequest, customer_id: int) -> HttpResponse:
        """Make the customer named in the form part of this one."""
        _require_merge_right(request)
        form = MergeForm(request.POST)
        back = reverse("admin:customers_customer_change", args=[customer_id])
        if not form.is_valid():
            messages.error(request, "Name the other customer by one of its ids.")
            return HttpResponseRedirect(back)
        found = selectors.by_any_id(Customer.objects.all(), form.cleaned_data["other"].strip())
        others = list(found.values_list("pk", flat=True)[:2])
        if len(others) != 1:
            many = "Several customers go" if others else "No customer goes"
            messages.error(request, f"{many} by exactly that id.")
            return HttpResponseRedirect(back)
        try:
            services.merge(
                others[0],
                customer_id,
                cause=Merge.Cause.STAFF,
                actor=request.user.get_username(),
                now=clock.now(),
            )
        except AppError as error:
            messages.error(request, error.message.capitalize() + ".")
        else:
            messages.success(request, "Merged. Both profiles are being computed again.")
        return HttpResponseRedirect(back)

    def undo(self, request: HttpRequest, merge_id: int) -> HttpResponse:
        """Part two merged customers again."""
        _require_merge_right(request)
        merge = Merge.objects.filter(pk=merge_id).first()
        if merge is None:
            msg = f"there is no merge {merge_id}"
            raise Http404(msg)
        try:
            services.unmerge(merge_id, actor=request.user.get_username(), now=clock.now())
        except AppError as error:
            messages.error(request, error.message.capitalize() + ".")
        else:
            messages.success(request, "Parted. Both profiles are being computed again.")
        return HttpResponseRedirect(
            reverse("admin:customers_customer_change", args=[merge.target_id])
        )


@admin.register(Merge)
class MergeAdmin(ReadOnlyModelAdmin):
    """Merges: who was found to be the same person, why, and what was undone."""

    list_display = ("at", "absorbed", "into", "cause", "actor", "undone_at")
    list_filter = ("cause",)
    list_select_related = ("source", "target")
    ordering = ("-pk",)
    actions = None
    empty_state = EmptyState(
        what="Each row says that two customers turned out to be one person; it can be undone.",
        why="Nobody has logged in on a device that the shop knew before, and nobody merged any.",
        action="See customers",
        action_url="admin:customers_customer_changelist",
        docs="decisions/0003-identity-generations",
    )

    @admin.display(description="absorbed customer")
    def absorbed(self, merge: Merge) -> SafeString:
        """Return a link to the customer that was absorbed."""
        return _link(merge.source)

    @admin.display(description="into")
    def into(self, merge: Merge) -> SafeString:
        """Return a link to the customer that took it in."""
        return _link(merge.target)


@admin.register(RebuildDue)
class RebuildDueAdmin(ReadOnlyModelAdmin):
    """Customers that wait to be folded anew; those with an error are set aside for a while."""

    list_display = ("customer_link", "cause", "error", "attempts", "at")
    sortable_by = ("at",)
    list_select_related = ("customer",)
    list_filter = ("cause",)
    ordering = ("at",)
    actions = ("try_again",)
    empty_state = EmptyState(
        what="Customers whose profile is about to be computed again from all their events.",
        why="Nobody waits for that, and no customer is set aside. Events that just came in are not "
        "listed here: how far profiles are behind them is the overview's processing lag.",
        action="See customers",
        action_url="admin:customers_customer_changelist",
        docs="guides/operating",
    )

    @admin.display(description="customer")
    def customer_link(self, due: RebuildDue) -> SafeString:
        """Return a link to the customer."""
        return _link(due.customer)

    @admin.action(description="Try again now", permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[RebuildDue]) -> None:
        """Have the chosen customers that are set aside folded at once."""
        chosen = list(queryset.values_list("pk", flat=True))
        actor = request.user.get_username()
        count = services.retry_parked(chosen, actor=actor, now=clock.now())
        messages.success(request, f"{count} set aside will be tried again now.")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the user may have customers folded again."""
        return _may_merge(request)


def _of_profile(customer: Customer, column: str) -> Any:
    profile = getattr(customer, "profile", None)
    return getattr(profile, column, None)


def _revenue(profile: Profile | None) -> str:
    return money.text(profile.revenue_minor, settings.SHOP_CURRENCY) if profile else ""


def _panels(customer_id: int) -> list[dict[str, Any]]:
    """Return what upper floors show of the customer."""
    entries = sorted((panel for _, panel in customer_panels.items()), key=lambda one: one.order)
    return [
        {"title": one.title, "template": one.template, "context": one.render(customer_id)}
        for one in entries
    ]


def _may_merge(request: HttpRequest) -> bool:
    return request.user.has_perm("customers.change_customer")


def _require_merge_right(request: HttpRequest) -> None:
    if not _may_merge(request):
        raise PermissionDenied


def _link(customer: Customer) -> SafeString:
    address = reverse("admin:customers_customer_change", args=[customer.pk])
    return format_html('<a href="{}">{}</a>', address, customer.assignment_key)


@admin.register(Trait)
class TraitAdmin(AuditedModelAdmin):
    """Declared traits: saved, audited, published within a second."""

    publishes = True
    fixed = ("key",)  # stored events and rules refer to it
    list_display = ("key", "title", "type", "personal", "server_only")
    list_filter = ("type", "personal", "server_only")
    search_fields = ("key", "title")
    ordering = ("key",)
    fields = ("key", "title", "type", "personal", "server_only")
    empty_state = EmptyState(
        what="Declared traits are what decisions may read of a customer, such as a loyalty tier.",
        why="None is declared, so traits that come in are kept but not served.",
        action="Declare one",
        action_url="admin:customers_trait_add",
    )
