"""Admin pages of placements, campaigns and blocks: every change is audited and published."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from personalization.access.admin_base import AuditedModelAdmin, each_row
from personalization.content import errors, services
from personalization.content.forms import (
    CONTENT_FIELDS,
    OTHER,
    BlockForm,
    BlockFormSet,
    CampaignForm,
    PlacementForm,
)
from personalization.content.models import Block, Campaign, Placement
from personalization.content.standing import hindrances, standing
from personalization.lib import clock
from personalization.lib.admin import EmptyState
from segments import audiences

_EXPERT = "For developers"
# Only one of the two that belong to the kind is shown (studio/theme.css).
_PLACEMENT_SECTIONS = (
    (None, {"fields": ("key", "title", "kind", "active")}),
    (
        "Recommendations",
        {"fields": ("strategy", "count"), "classes": ("for-recommendations",)},
    ),
    (
        "What shows while no campaign does",
        {"fields": CONTENT_FIELDS, "classes": ("for-content",)},
    ),
    (_EXPERT, {"fields": (OTHER,), "classes": ("collapse", "for-content")}),
)
_BLOCK_SECTIONS = (
    (None, {"fields": CONTENT_FIELDS}),
    (_EXPERT, {"fields": ("key", OTHER), "classes": ("collapse",)}),
)


# Button of the form -> what it has done once the form is saved.
_MOVES: Mapping[str, Callable[..., Campaign]] = {
    "_publish": services.publish_campaign,
    "_end": services.end_campaign,
}


@admin.register(Placement)
class PlacementAdmin(AuditedModelAdmin):
    """Places in the shop."""

    form = PlacementForm
    fieldsets = _PLACEMENT_SECTIONS  # type: ignore[assignment]  # tuples, as Django's own code has them
    audits = False  # the service does, and publishes
    publishes = True
    fixed = ("key",)  # the shop's pages ask by it
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

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Save through the service, as the API does."""
        obj.pk = services.upsert_placement(
            key=form.instance.key, values=form.values(), actor=request.user.get_username()
        ).pk

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the sections; who may only look sees the content as it is stored."""
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        names = ("key", "title", "kind", "active", "strategy", "count", "default_content")
        return [(None, {"fields": names})]


class BlockInline(admin.StackedInline):  # type: ignore[type-arg]  # not generic at run time
    """What the campaign shows."""

    model = Block
    form = BlockForm
    formset = BlockFormSet
    fieldsets = _BLOCK_SECTIONS  # type: ignore[assignment]  # tuples, as Django's own code has them
    can_delete = False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the sections; who may only look sees the content as it is stored."""
        campaigns = self.admin_site.get_model_admin(Campaign)
        if obj is None or campaigns.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        return [(None, {"fields": ("key", "content")})]


def _tell(rows: Iterable[Campaign]) -> None:
    """Give each campaign the words for its audience."""
    told = list(rows)
    tell = audiences.teller() if any(row.audience for row in told) else str
    for row in told:
        row.told_audience = tell(row.audience) if row.audience else "Everybody."  # type: ignore[attr-defined]  # for the page alone


@admin.register(Campaign)
class CampaignAdmin(AuditedModelAdmin):
    """Reasons to show something; published and ended by buttons of the form, or by actions."""

    form = CampaignForm
    audits = False  # the services do, and publish
    publishes = True
    inlines = (BlockInline,)
    fieldsets = (
        (None, {"fields": ("shows", "title", "key", "placement")}),
        ("When it shows", {"fields": ("priority", "starts_at", "ends_at")}),
        ("Who sees it", {"fields": ("audience",)}),
    )
    fixed = ("key",)  # reports and links name it
    prepopulated_fields = {"key": ("title",)}
    list_display = (
        "title", "key", "placement", "shows_word", "takes_in", "priority", "starts_at", "ends_at",
    )  # fmt: skip
    list_filter = ("status", "placement")
    list_select_related = ("placement",)
    search_fields = ("key", "title")
    autocomplete_fields = ("placement",)
    readonly_fields = ("shows", "takes_in")
    ordering = ("-id",)
    actions = ("publish_selected", "end_selected")
    empty_state = EmptyState(
        what="A campaign shows a block of content in a placement, for a time.",
        why="None has been made yet; placements show their default content.",
        action="Create a campaign",
        action_url="admin:content_campaign_add",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        """Return campaigns with those that they compete with."""
        rows: QuerySet[Campaign] = super().get_queryset(request)
        return rows.prefetch_related("placement__campaigns")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, each campaign with its audience in words: the words are read once."""
        found = super().get_changelist_instance(request)
        _tell(found.result_list)
        return found

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the sections; who may only look sees the audience in words."""
        if obj is None or self.has_change_permission(request, obj):
            return [*self.fieldsets, (None, {"fields": ("seen",), "classes": ("hidden",)})]
        return [*self.fieldsets[:-1], ("Who sees it", {"fields": ("takes_in",)})]

    @admin.display(description="audience")
    def takes_in(self, obj: Campaign) -> str:
        """Say whom it is for."""
        if not hasattr(obj, "told_audience"):
            _tell([obj])
        return str(obj.told_audience)  # type: ignore[attr-defined]  # given by _tell

    @admin.display(description="shows", ordering="status")
    def shows_word(self, obj: Campaign) -> str:
        """Say in a word whether it shows, and what hides it."""
        found = standing(obj, clock.now())
        return format_html('<span class="badge {}">{}</span>', found.tone, found.word)

    @admin.display(description="Shows at the moment")
    def shows(self, obj: Campaign) -> str:
        """Say in a sentence whether it shows, and what hides it."""
        if not obj.pk:
            return "A new campaign is a draft: it shows to nobody until it is published."
        told = standing(obj, clock.now()).sentence
        if obj.status == Campaign.Status.PUBLISHED:
            return told
        faults = ((one,) for one in hindrances(obj))
        return format_html(
            "{}{}", told, format_html_join("", "<br>It cannot be published yet. {}", faults)
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Show the form, with the button that publishes or ends to whoever may."""
        obj = options.get("obj")
        if self.has_publish_permission(request):
            live = isinstance(obj, Campaign) and obj.status == Campaign.Status.PUBLISHED
            context["move"] = "_end" if live else "_publish"
        return super().render_change_form(request, context, *args, **options)

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Save through the services, as the API does."""
        told: dict[str, Any] = {
            "key": form.instance.key,
            "values": form.values(),
            "actor": request.user.get_username(),
        }
        if change:
            allowed = self.has_publish_permission(request)
            services.update_campaign(**told, may_publish=allowed)
        else:
            obj.pk = services.create_campaign(**told).pk

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Save the block through its service."""
        for block in formset.save(commit=False):
            services.upsert_block(
                campaign=form.instance.key,
                key=block.key,
                content=block.content,
                actor=request.user.get_username(),
                may_publish=self.has_publish_permission(request),
            )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Save the block; then, by its button, publish or end: all of it or nothing."""
        super().save_related(request, form, formsets, change)
        for move in _MOVES.keys() & request.POST.keys():
            if not self.has_publish_permission(request):
                raise PermissionDenied
            row = Campaign.objects.get(pk=form.instance.pk)
            faults = hindrances(row) if move == "_publish" else []
            if faults:
                raise errors.ContentInvalid(" ".join(["it cannot be published yet.", *faults]))
            _MOVES[move](key=row.key, actor=request.user.get_username())

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Go back to the list; once published or ended, stay and say what shows now."""
        if not _MOVES.keys() & request.POST.keys():
            return super().response_post_save_change(request, obj)
        row = self.get_queryset(request).get(pk=obj.pk)
        self.message_user(request, standing(row, clock.now()).sentence, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:content_campaign_change", args=[obj.pk]))

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Go where a change goes."""
        return self.response_post_save_change(request, obj)

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
