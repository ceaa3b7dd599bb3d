"""Admin pages of jobs (progress, cancel, resume), configuration (rollback) and heartbeats."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import Truncator

from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin
from personalization.lib.errors import AppError
from personalization.ops import services
from personalization.ops.models import ConfigVersion, Heartbeat, JobRun


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyModelAdmin):
    """Runs of long work."""

    list_display = ("kind", "slot", "status", "progress", "started_at", "heartbeat_at", "fault")
    list_filter = ("status", "kind")
    search_fields = ("kind", "slot")
    ordering = ("-id",)
    actions = ("cancel", "resume")
    empty_state = EmptyState(
        what="Long work leaves a line here: imports, training, replays; how far it is.",
        why="Nothing long has run yet.",
    )

    @admin.display(description="progress")
    def progress(self, obj: JobRun) -> str:
        """Draw how far a run is, and at what; without a known end, only what is done."""
        if obj.status == JobRun.Status.SUCCEEDED and not obj.done:
            return "done"
        if not obj.total:
            return f"{obj.done:,}"
        stage = obj.checkpoint.get("stage") if obj.status == JobRun.Status.RUNNING else None
        return format_html(
            '<progress value="{}" max="{}"></progress> {} %{}',
            min(obj.done, obj.total),
            obj.total,
            min(100, obj.done * 100 // obj.total),
            f", now: {stage}" if stage else "",
        )

    @admin.display(description="error")
    def fault(self, obj: JobRun) -> str:
        """Show the beginning of what went wrong; its page tells all."""
        return Truncator(obj.error).chars(80)

    @admin.action(description="Cancel the selected runs", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[JobRun]) -> None:
        """Ask runs to stop at their next step."""
        actor = request.user.get_username()
        stopped = sum(services.request_cancel(run.pk, actor=actor) for run in queryset)
        self.message_user(request, f"{stopped} asked to stop.", messages.SUCCESS)

    @admin.action(description="Resume the selected runs", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[JobRun]) -> None:
        """Let failed, cancelled or silent runs go on from their checkpoints."""
        for run in queryset:
            try:
                services.resume(run.pk, actor=request.user.get_username())
            except AppError as error:
                self.message_user(request, f"{run}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{run} goes on.", messages.SUCCESS)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Ask for the right to change runs; the rows themselves stay read-only."""
        return request.user.has_perm("ops.change_jobrun")


@admin.register(ConfigVersion)
class ConfigVersionAdmin(ReadOnlyModelAdmin):
    """What was published, when and by whom."""

    list_display = ("version", "created_at", "actor", "note", "fingerprint")
    search_fields = ("actor", "note")
    ordering = ("-version",)
    actions = ("roll_back",)
    empty_state = EmptyState(
        what="Each publication leaves an immutable version here; any of them can be brought back.",
        why="Nothing has been published yet; what the tables say counts.",
    )

    @admin.display(description="fingerprint")
    def fingerprint(self, obj: ConfigVersion) -> str:
        """Show the beginning of the hash, which is enough to tell versions apart."""
        return obj.sha256[:12]

    @admin.action(description="Roll back to the selected version", permissions=["publish"])
    def roll_back(self, request: HttpRequest, queryset: QuerySet[ConfigVersion]) -> None:
        """Publish the content of one old version as a new one."""
        rows = list(queryset[:2])
        if len(rows) != 1:
            self.message_user(request, "Select one version.", messages.ERROR)
            return
        try:
            row = services.rollback(version=rows[0].version, actor=request.user.get_username())
        except AppError as error:
            self.message_user(request, error.message, messages.ERROR)
            return
        words = (
            f"Version {rows[0].version} serves again, as version {row.version}. API keys, purposes "
            "and traits are as they were."
        )
        self.message_user(request, words, messages.SUCCESS)

    def has_publish_permission(self, request: HttpRequest) -> bool:
        """Ask for the right to change versions; the rows themselves stay read-only."""
        return request.user.has_perm("ops.change_configversion")


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyModelAdmin):
    """The last sign of life of each process."""

    list_display = ("name", "kind", "at")
    list_filter = ("kind",)
    ordering = ("name",)
    empty_state = EmptyState(
        what="Each row is the last sign of life of one process: web, processor, worker or beat.",
        why="No process has run here yet. Start all of them with manage.py up.",
        docs="guides/operating",
    )
