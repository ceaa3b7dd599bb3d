"""Admin pages of purposes (published on save) and of the ledger of consent (read only)."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from personalization.access.admin_base import AuditedModelAdmin
from personalization.consent.models import ConsentRecord, Purpose
from personalization.consent.services import save_purpose
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin


@admin.register(Purpose)
class PurposeAdmin(AuditedModelAdmin):
    """Purposes: their titles and defaults change, their keys and bits never."""

    audits = False
    fixed = ("key",)  # stored events refer to it by its bit
    list_display = ("key", "title", "before_an_answer", "with_gpc")
    ordering = ("bit",)
    empty_state = EmptyState(
        what="Each row is one purpose that people can allow or refuse, with its default.",
        why="The three purposes that come with the tables were removed from the database.",
        action="Add a purpose",
        action_url="admin:consent_purpose_add",
        docs="decisions/0002-consent-defaults",
    )
    fields = ("key", "title", "default_granted", "gpc_denies")

    @admin.display(description="before somebody answers", ordering="default_granted")
    def before_an_answer(self, purpose: Purpose) -> str:
        """Say what holds for somebody who has said nothing."""
        return "Allowed, until they refuse" if purpose.default_granted else "Waits for their yes"

    @admin.display(description="with the browser's signal (GPC)", ordering="gpc_denies")
    def with_gpc(self, purpose: Purpose) -> str:
        """Say what `Sec-GPC: 1` does."""
        return "Refused for that visit" if purpose.gpc_denies else "Makes no difference"

    def has_delete_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Purposes stay: a bit must not come to mean something else."""
        return False

    def save_model(self, request: HttpRequest, obj: Model, _form: Any, _change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Write, audit and publish through the service."""
        if isinstance(obj, Purpose):
            save_purpose(obj, actor=request.user.get_username())


@admin.register(ConsentRecord)
class ConsentRecordAdmin(ReadOnlyModelAdmin):
    """The ledger: every grant and withdrawal, with its source and policy version."""

    list_display = ("at", "identity", "purpose", "granted", "source", "policy_version")
    list_select_related = ("identity", "purpose")
    list_filter = ("purpose", "granted")
    search_fields = ("=identity__value",)
    search_help_text = "A user id or an anonymous id, in full."
    ordering = ("-id",)
    empty_state = EmptyState(
        what="Every grant and withdrawal is kept here as proof.",
        why="Nobody has said anything yet; defaults of the purposes hold.",
        action="See the purposes",
        action_url="admin:consent_purpose_changelist",
    )
