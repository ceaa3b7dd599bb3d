"""Admin pages of keys (shown once, revoked, never changed), the trail, and staff accounts."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.text import capfirst

from personalization.access.admin_base import AuditedModelAdmin, each_row
from personalization.access.audit import audit
from personalization.access.engine.keys import SCOPES
from personalization.access.models import ApiKey, AuditEvent
from personalization.access.services import create_key, key_problems, revoke_key
from personalization.lib import clock
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What one may say of a new key."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {words}") for scope, words in SCOPES.items()],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: everything that the kind may do.",
    )
    origins = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Sites that may use a public key, one a line (https://shop.example). None: any.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "kind", "scopes", "origins", "expires_at")

    def clean_origins(self) -> list[str]:
        """Return the lines."""
        return str(self.cleaned_data["origins"]).split()

    def clean(self) -> dict[str, Any]:
        """Name every fault at its field."""
        given = super().clean() or {}
        if self.errors:
            return given
        for problem in key_problems(**given):
            self.add_error(problem.path, problem.problem)
        return given


@admin.register(ApiKey)
class ApiKeyAdmin(AuditedModelAdmin):
    """Keys: made here, shown once, revoked here. Services write, audit and publish."""

    audits = False
    form = ApiKeyForm
    list_display = ("name", "kind", "ending", "standing", "created_at", "expires_at")
    list_filter = ("kind",)
    search_fields = ("name", "last4")
    ordering = ("-id",)
    actions = ("revoke",)
    readonly_fields = ("ending", "standing", "created_at", "revoked_at")
    empty_state = EmptyState(
        what="Keys let shops and servers in: public ones in browsers, secret ones on servers.",
        why="None has been made yet.",
        action="Create a key",
        action_url="admin:access_apikey_add",
    )

    @admin.display(description="key")
    def ending(self, obj: ApiKey) -> str:
        """Show what identifies the key without giving it away."""
        return format_html("<code>{}…{}</code>", f"{obj.kind[0]}k_", obj.last4)

    @admin.display(description="state")
    def standing(self, obj: ApiKey) -> str:
        """Say whether the key works."""
        if obj.revoked_at is not None:
            return "revoked"
        if obj.expires_at is not None and obj.expires_at <= clock.now():
            return "expired"
        return "works"

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Make keys useless within a second."""
        actor = request.user.get_username()
        each_row(
            self, request, queryset, lambda row: revoke_key(key_id=row.pk, actor=actor), "revoked"
        )

    def get_fields(self, _request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Show the trace of an existing key; ask for the words of a new one."""
        asked = ["name", "kind", "scopes", "origins", "expires_at"]
        return asked if obj is None else [*asked, *self.readonly_fields]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Keys are revoked, never changed: whoever holds one relies on what it may do."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Keys stay, so that the trail keeps its subject."""
        return False

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Create through the service; keep the key for the one page that shows it."""
        if change:
            return
        row, key = create_key(actor=request.user.get_username(), **form.cleaned_data)
        obj.__dict__.update(row.__dict__)
        request._created_key = key  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: Model, _post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the key, this once: not in a message, which would pass through a cookie."""
        context = self.admin_site.each_context(request) | {
            "title": "Key created",
            "row": obj,
            "key": request._created_key,  # type: ignore[attr-defined]
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/access/key_created.html", context)


class _KindFilter(admin.SimpleListFilter):
    """What was written to, out of all that the back office holds."""

    title = "kind"
    parameter_name = "object_type"

    def lookups(self, request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        """Return the kinds that people can open, by name."""
        kinds = [model._meta for model in admin.site._registry if model is not AuditEvent]
        found = [(one.label_lower, str(capfirst(one.verbose_name))) for one in kinds]
        return sorted(found, key=lambda one: one[1])

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the lines of one kind, by its index."""
        return rows.filter(object_type=self.value()) if self.value() else rows


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyModelAdmin):
    """Who did what to which object."""

    list_display = ("at", "actor", "action", "object_type", "object_label", "object_id")
    list_filter = (_KindFilter,)
    search_fields = ("=object_id",)
    search_help_text = "The number of an object; choose its kind among the filters."
    date_hierarchy = None
    ordering = ("-id",)
    empty_state = EmptyState(
        what="Every write of the back office leaves a line here: who, what, before and after.",
        why="Nothing has been written yet.",
    )

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Let the history links of other pages name one object."""
        return lookup in {"object_type", "object_id"} or super().lookup_allowed(
            lookup, value, request
        )


# Importing Django's pages registered them.
admin.site.unregister([User, Group])


@admin.register(User)
class StaffAdmin(AuditedModelAdmin, UserAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Staff accounts. The trail holds no password, and says when one was set."""

    untold = frozenset({"password", "last_login"})
    list_select_related = False

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 -- Django's signature
        form_url: str = "",
    ) -> HttpResponse:
        """Show or save the form of a new password; leave a line when it changed."""
        with transaction.atomic():
            before = User.objects.select_for_update().filter(pk=id).first()
            answer = super().user_change_password(request, id, form_url)
            after = User.objects.filter(pk=id).first()
            if before and after and before.password != after.password:
                told = {"usable": after.has_usable_password()}
                actor = request.user.get_username()
                audit(actor=actor, action="set_password", obj=after, after=told)
        return answer


@admin.register(Group)
class RoleAdmin(AuditedModelAdmin, GroupAdmin):
    """Groups; those of the four roles get their permissions after each migration."""
