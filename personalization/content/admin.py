"""Admin pages of placements, campaigns and blocks: every change is audited and published."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from personalization.access.admin_base import AuditedModelAdmin, each_row
from personalization.content import services
from personalization.content.engine import faults
from personalization.content.models import Block, Campaign, Placement
from personalization.lib import clock
from personalization.lib.admin import EmptyState
from personalization.lib.errors import Problem


class _Checked(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A form that the rules of `engine/faults.py` judge as the API does."""

    def problems(self, given: dict[str, Any]) -> list[Problem]:
        """Return what is wrong with the given fields."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """Put every fault at its field."""
        given = super().clean() or {}
        if not self.errors:
            for problem in self.problems(given):
                field = problem.path.partition(".")[0]
                self.add_error(
                    field if field in self.fields else None, f"{problem.path}: {problem.problem}"
                )
        return given


class PlacementForm(_Checked):
    """Fields of a placement."""

    class Meta:
        model = Placement
        fields = ("key", "title", "kind", "strategy", "count", "default_content", "active")

    def problems(self, given: dict[str, Any]) -> list[Problem]:
        """Judge key and fields."""
        fields = {name: value for name, value in given.items() if name != "key"}
        key = given.get("key", self.instance.key)
        return [*faults.key_faults(key), *faults.placement_faults(fields)]


class CampaignForm(_Checked):
    """Fields of a campaign; its status moves by actions."""

    class Meta:
        model = Campaign
        fields = ("key", "title", "placement", "priority", "starts_at", "ends_at")

    def problems(self, given: dict[str, Any]) -> list[Problem]:
        """Judge key and fields."""
        found = [*faults.key_faults(given["key"]), *faults.campaign_faults(given)]
        if given["placement"].kind != Placement.Kind.CONTENT:
            found.append(Problem("placement", "shows recommendations, not campaigns"))
        return found


class BlockForm(_Checked):
    """Fields of a block."""

    class Meta:
        model = Block
        fields = ("key", "content")

    def problems(self, given: dict[str, Any]) -> list[Problem]:
        """Judge key and content."""
        return [*faults.key_faults(given["key"]), *faults.content_faults(given["content"])]


@admin.register(Placement)
class PlacementAdmin(AuditedModelAdmin):
    """Places in the shop."""

    form = PlacementForm
    audits = False  # the service does, and publishes
    publishes = True
    list_display = ("key", "title", "kind", "strategy", "count", "active")
    list_filter = ("kind", "active")
    search_fields = ("key", "title")
    ordering = ("key",)
    empty_state = EmptyState(
        what="A placement is a spot in the shop that asks what to show, such as home.hero.",
        why="None has been made yet.",
        action="Create a placement",
        action_url="admin:content_placement_add",
    )

    def get_readonly_fields(
        self, _request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        """Keep the key of a stored placement: the shop's pages ask by it."""
        return ("key",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Save through the service, as the API does."""
        values = {name: value for name, value in form.cleaned_data.items() if name != "key"}
        actor = request.user.get_username()
        obj.pk = services.upsert_placement(key=form.instance.key, values=values, actor=actor).pk


class BlockInline(admin.StackedInline):  # type: ignore[type-arg]  # not generic at run time
    """What the campaign shows."""

    model = Block
    form = BlockForm
    can_delete = False


@admin.register(Campaign)
class CampaignAdmin(AuditedModelAdmin):
    """Reasons to show something; published and ended by actions."""

    form = CampaignForm
    publishes = True
    inlines = (BlockInline,)
    list_display = ("key", "title", "placement", "status", "priority", "starts_at", "ends_at")
    list_filter = ("status", "placement")
    list_select_related = ("placement",)
    search_fields = ("key", "title")
    autocomplete_fields = ("placement",)
    readonly_fields = ("status", "created_at", "updated_at")
    ordering = ("-id",)
    actions = ("publish_selected", "end_selected")
    empty_state = EmptyState(
        what="A campaign shows a block of content in a placement, for a time.",
        why="None has been made yet; placements show their default content.",
        action="Create a campaign",
        action_url="admin:content_campaign_add",
    )

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Stamp the row; the base audits and publishes."""
        now = clock.now()
        if isinstance(obj, Campaign):
            obj.created_at = obj.created_at if change else now
            obj.updated_at = now
        super().save_model(request, obj, form, change)

    @admin.action(description="Publish the selected campaigns", permissions=["publish"])
    def publish_selected(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        """Let them show from now on, within their dates."""
        actor = request.user.get_username()
        each_row(
            self,
            request,
            queryset,
            lambda row: services.publish_campaign(key=row.key, actor=actor),
            "published",
        )

    @admin.action(description="End the selected campaigns", permissions=["publish"])
    def end_selected(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        """Stop showing them."""
        actor = request.user.get_username()
        each_row(
            self,
            request,
            queryset,
            lambda row: services.end_campaign(key=row.key, actor=actor),
            "ended",
        )

    def has_publish_permission(self, request: HttpRequest) -> bool:
        """Ask for what publishers hold: the right to change what is published."""
        return request.user.has_perm("ops.change_configversion")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Ask for the right to publish where the campaign, and its block with it, is published."""
        live = isinstance(obj, Campaign) and obj.status == Campaign.Status.PUBLISHED
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and (not live or self.has_publish_permission(request))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse published campaigns: they are ended first."""
        live = isinstance(obj, Campaign) and obj.status == Campaign.Status.PUBLISHED
        return not live and super().has_delete_permission(request, obj)
