"""Admin pages of events: the log, the live debugger, event types, rejected events."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from personalization.access.admin_base import AuditedModelAdmin
from personalization.customers.models import Identity
from personalization.events import registry, tail
from personalization.events.engine import flags as bits
from personalization.events.engine.property_rows import by_use, rows_of
from personalization.events.forms import EventTypeForm
from personalization.events.models import EventSchema, LoggedEvent, RejectedEvent
from personalization.lib import clock
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin

_DEBUGGER_LINES = 100


@admin.register(LoggedEvent)
class LoggedEventAdmin(ReadOnlyModelAdmin):
    """The newest rows of the log; with an id in the search box, all rows of that id."""

    list_display = ("received_at", "name", "type", "message_id", "identity_id", "marks")
    ordering = ("-seq",)
    search_fields = ("message_id",)
    search_help_text = (
        "A user id or anonymous id, in full: its whole history. A message id: among the newest."
    )
    change_list_template = "studio/event_list.html"
    empty_state = EmptyState(
        what="Every accepted event is a row here, for as long as EVENT_RETENTION_DAYS says.",
        why="No event was accepted yet.",
        action="Open the live debugger",
        action_url="admin:events_debugger",
    )

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look at one identity through its index, or at the newest rows through theirs."""
        term = search_term.strip()
        if term and "\0" not in term:
            ids = list(Identity.objects.filter(value=term).values_list("pk", flat=True))
            if ids:
                return queryset.filter(identity_id__in=ids), False
        newest = queryset.filter(seq__gt=tail.last_seq() - tail.WINDOW)
        return (newest.filter(message_id=term) if term else newest), False

    @admin.display(description="marks")
    def marks(self, obj: LoggedEvent) -> str:
        """Words for the flags."""
        return ", ".join(bits.names(obj.flags))

    def get_urls(self) -> list[URLPattern]:
        """Add the live debugger."""
        view = self.admin_site.admin_view
        return [
            path("debugger/", view(self.debugger), name="events_debugger"),
            path("debugger/lines/", view(self.debugger_lines), name="events_debugger_lines"),
            *super().get_urls(),
        ]

    def debugger(self, request: HttpRequest) -> HttpResponse:
        """Show the last events with their fate; the lines keep themselves fresh."""
        return TemplateResponse(request, "studio/debugger.html", self._debugged(request))

    def debugger_lines(self, request: HttpRequest) -> HttpResponse:
        """Answer the lines alone."""
        return TemplateResponse(request, "studio/debugger_lines.html", self._debugged(request))

    def _debugged(self, request: HttpRequest) -> dict[str, Any]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        fate = request.GET.get("fate", "")
        fate = fate if fate in tail.FATES else ""
        name = request.GET.get("name", "").replace("\0", "").strip()
        return self.admin_site.each_context(request) | {
            "title": "Live debugger",
            "opts": self.opts,
            "lines": tail.last(limit=_DEBUGGER_LINES, fate=fate, name=name),
            "fates": tail.FATES,
            "fate": fate,
            "name": name,
            "as_of": clock.now(),
        }


@admin.register(EventSchema)
class EventSchemaAdmin(AuditedModelAdmin):
    """Event types: saved, audited, published within a second. Built-in ones stay."""

    audits = False  # the service does, and publishes
    form = EventTypeForm
    change_form_template = "studio/event_type.html"
    fieldsets = (
        (None, {"fields": ("name", "title", "fact")}),
        ("What it may carry", {"fields": ("properties",)}),
    )
    list_display = ("name", "title", "fact", "built_in", "described")
    list_filter = ("built_in", "fact")
    search_fields = ("name", "title")
    ordering = ("name",)
    empty_state = EmptyState(
        what="Event types say which properties an event may carry, and what it means.",
        why="All of them were deleted.",
        action="Describe one",
        action_url="admin:events_eventschema_add",
    )

    def get_form(
        self,
        request: HttpRequest,
        obj: Model | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 -- Django's signature
        **kwargs: Any,
    ) -> type[Any]:
        """Return the form; experts ask for JSON in the address."""
        form: type[Any] = super().get_form(request, obj, change=change, **kwargs)
        form.as_json = request.GET.get("as") == "json"
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the sections; who may only look sees the properties as a table."""
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        return [(None, {"fields": ("name", "title", "fact", "carried")})]

    @admin.display(description="What it may carry")
    def carried(self, obj: EventSchema) -> str:
        """Show the properties as rows; those that rows cannot say as JSON."""
        rows = rows_of(obj.properties)
        if rows is not None:
            rows = by_use(rows, tail.carried().get(obj.name, {}))
        context = {"rows": rows, "properties": obj.properties}
        return render_to_string("studio/event_properties.html", context)

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Save through the service."""
        if isinstance(obj, EventSchema):
            registry.save_type(obj, actor=request.user.get_username())

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete through the service."""
        if isinstance(obj, EventSchema):
            registry.delete_type(obj, actor=request.user.get_username())

    @admin.display(description="properties")
    def described(self, obj: EventSchema) -> int:
        """How many properties are described."""
        return len(obj.properties)

    def get_readonly_fields(self, _request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Fix the name of a built-in type: callers send it."""
        fixed = isinstance(obj, EventSchema) and obj.built_in
        return ["carried", *(["name"] if fixed else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Built-in types stay."""
        built_in = isinstance(obj, EventSchema) and obj.built_in
        return not built_in and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """No deletion in bulk: it could not leave out the built-in ones."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


@admin.register(RejectedEvent)
class RejectedEventAdmin(ReadOnlyModelAdmin):
    """What could not be accepted, why, and the way back in once the event type was mended."""

    list_display = ("received_at", "name", "message_id", "reasons", "count", "replayed_at")
    sortable_by = ("received_at",)
    list_filter = (("replayed_at", admin.EmptyFieldListFilter),)
    search_fields = ("=message_id", "=name")
    search_help_text = "A message id or the name of an event, in full."
    ordering = ("-received_at",)
    actions = ("replay",)
    empty_state = EmptyState(
        what="Events that could not be accepted wait here with the reason, to be replayed.",
        why="Nothing was rejected.",
    )

    @admin.display(description="reasons")
    def reasons(self, obj: RejectedEvent) -> str:
        """Every fault with its path."""
        return "; ".join(f"{fault['path']} {fault['problem']}" for fault in obj.problems)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Ask for what publishers hold: they decide what comes into the log again."""
        return request.user.has_perm("events.change_rejectedevent")

    @admin.action(description="Replay the selected events", permissions=["replay"])
    def replay(self, request: HttpRequest, rows: QuerySet[RejectedEvent]) -> None:
        """Ingest them again; report both counts."""
        chosen = list(rows.filter(replayed_at=None).values_list("pk", flat=True))
        done = registry.replay(chosen, actor=request.user.get_username(), now=clock.now())
        if done.accepted:
            self.message_user(request, f"{done.accepted} replayed.", messages.SUCCESS)
        if done.still_rejected:
            words = f"{done.still_rejected} still do not fit; their reasons are those of now."
            self.message_user(request, words, messages.WARNING)
