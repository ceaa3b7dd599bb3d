"""The base of every admin page that writes: an audit row, and a publication, with each change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from personalization.access.audit import audit, state
from personalization.lib import clock
from personalization.lib.admin import ListModelAdmin, ReadOnlyModelAdmin
from personalization.lib.errors import AppError
from personalization.lib.fields import field_of, show_faults
from personalization.ops.services import publish


class AuditedModelAdmin(ListModelAdmin):
    """Write the trail for additions, changes and deletions, many-to-many rows included.

    A page whose writes go through services that audit and publish themselves overrides
    `save_model` and sets `audits = False`.

    `publishes`
        The model is part of the published configuration.
    `untold`
        Names of columns that the trail must not hold.
    """

    audits = True
    publishes = False
    untold: frozenset[str] = frozenset()

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:  # type: ignore[type-arg] # noqa: FBT001 -- Django's signature
        """Remember what the row was, then save it."""
        if self.audits and change:
            old = self.model._default_manager.get(pk=obj.pk)
            request._audited_before = self._state(old)  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(
        self,
        request: HttpRequest,
        form: ModelForm,  # type: ignore[type-arg]  # not generic at run time
        formsets: Any,
        change: bool,  # noqa: FBT001 -- Django's signature
    ) -> None:
        """Save inlines and many-to-many rows, then write the trail and publish."""
        super().save_related(request, form, formsets, change)
        if not self.audits:
            return
        before = getattr(request, "_audited_before", None) if change else None
        action = "update" if change else "create"
        self._told(request, action, form.instance, before, self._state(form.instance))

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete one row, in one transaction with its trail."""
        with transaction.atomic():
            before, label = self._state(obj), type(obj)(pk=obj.pk)
            super().delete_model(request, obj)
            obj.pk = label.pk
            self._told(request, "delete", obj, before, None)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete row by row, each with its trail, then publish once; all in one transaction."""
        with transaction.atomic():
            rows = list(queryset)
            for obj in rows:
                before, label = self._state(obj), type(obj)(pk=obj.pk)
                super().delete_model(request, obj)
                obj.pk = label.pk
                self._audit(request, "delete", obj, before, None)
            self._publish(request, f"delete {len(rows)} {self.opts.verbose_name_plural}")

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Run an action; a deletion that is refused becomes a message, and leaves no log entry."""
        if "delete_selected" not in request.POST.getlist("action"):
            return super().response_action(request, queryset, *args, **kwargs)
        try:
            with transaction.atomic():
                return super().response_action(request, queryset, *args, **kwargs)
        except AppError as error:
            self._refused(request, error)
            return HttpResponseRedirect(request.get_full_path())

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or save the form; what a service refuses stands above what was typed, unsaved."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except AppError as error:
            if request.method != "POST":
                raise
            request._refused = error  # type: ignore[attr-defined]
            # the transaction of the first time is undone; this time the form is not valid
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(
        self,
        request: HttpRequest,
        obj: Model | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 -- Django's signature
        **kwargs: Any,
    ) -> type[Any]:
        """Return the form; one that a service has refused carries the reason as its error."""
        form: type[Any] = super().get_form(request, obj, change=change, **kwargs)
        error = getattr(request, "_refused", None)
        return form if error is None else _refusing(form, error)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask or delete; what a service refuses becomes a message, and nothing is deleted."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except AppError as error:
            self._refused(request, error)
            return HttpResponseRedirect(request.get_full_path())

    def _state(self, obj: Model) -> dict[str, Any]:
        told = state(obj, without=self.untold)
        for field in obj._meta.many_to_many:
            told[field.name] = sorted(field.value_from_object(obj), key=lambda row: row.pk)
            told[field.name] = [row.pk for row in told[field.name]]
        return told

    def _told(self, request: HttpRequest, action: str, obj: Model, before: Any, after: Any) -> None:
        self._audit(request, action, obj, before, after)
        self._publish(request, f"{action} {obj._meta.verbose_name} {obj}")

    def _audit(
        self, request: HttpRequest, action: str, obj: Model, before: Any, after: Any
    ) -> None:
        if before != after:
            actor = request.user.get_username()
            audit(actor=actor, action=action, obj=obj, before=before, after=after)

    def _publish(self, request: HttpRequest, note: str) -> None:
        if self.publishes:
            publish(actor=request.user.get_username(), note=note[:200])

    def _refused(self, request: HttpRequest, error: AppError) -> None:
        self.message_user(request, _words(error), messages.ERROR)


def _words(error: AppError) -> str:
    faults = "; ".join(f"{fault.path}: {fault.problem}" for fault in error.details)
    return f"Not saved: {error.message}{f' ({faults})' if faults else ''}"


def _refusing(form: type[Any], error: AppError) -> type[Any]:
    """Return a form like this one that is not valid, with each fault at its field."""

    class Refused(form):  # type: ignore[misc]  # made for one answer
        def clean(self) -> Any:
            given = super().clean()
            if any(field_of(fault.path)[0] in self.fields for fault in error.details):
                show_faults(self, error.details)
            else:
                self.add_error(None, _words(error))
            return given

    return Refused


class Registry(Protocol):
    """What decides which version is in use; both write the audit trail and may refuse."""

    def promote(self, version_id: int, /, *, actor: str, now: datetime) -> Model:
        """Put a version to use."""

    def rollback(self, name: str, /, *, actor: str, now: datetime) -> Model:
        """Put the version to use that was before."""


class VersionsAdmin(ReadOnlyModelAdmin):
    """Versions of which one of each name is in use; people promote and roll back, nothing else.

    `registry`
        The module that does so.
    `pointer`
        The column of the name.
    `duty`
        What a version does while it is in use, as the actions say it.
    """

    actions = ("promote", "rollback")
    registry: Registry
    pointer = "key"
    duty = "serve"

    def viewed(self, request: HttpRequest, object_id: str) -> Any:
        """Return the version of a page, for who may look at it."""
        version = self.get_object(request, object_id)
        if version is None:
            raise Http404
        if not self.has_view_permission(request, version):
            raise PermissionDenied
        return version

    def has_promote_permission(self, request: HttpRequest) -> bool:
        """Whether the person may decide which version is in use."""
        name = get_permission_codename("change", self.opts)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{name}"))

    def get_action(self, action: Any) -> Any:
        """Return an action, with what a version does in its words."""
        found = super().get_action(action)
        return found and (*found[:2], str(found[2]).format(duty=self.duty))

    @admin.action(description="Promote: have the selected version {duty}", permissions=["promote"])
    def promote(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Promote each selected version; of one name the last wins."""
        actor = request.user.get_username()
        each_row(
            self,
            request,
            queryset,
            lambda row: self.registry.promote(row.pk, actor=actor, now=clock.now()),
            "promoted",
        )

    @admin.action(description="Roll back: have the version before {duty}", permissions=["promote"])
    def rollback(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Roll back each name that a selected version is of."""
        actor = request.user.get_username()
        one_each = {getattr(row, self.pointer): row for row in queryset}
        each_row(
            self,
            request,
            list(one_each.values()),
            lambda row: self.registry.rollback(
                getattr(row, self.pointer), actor=actor, now=clock.now()
            ),
            "rolled back",
        )


def each_row(
    model_admin: admin.ModelAdmin,  # type: ignore[type-arg]  # not generic at run time
    request: HttpRequest,
    rows: Sequence[Model] | QuerySet[Any],
    write: Any,
    done: str,
) -> None:
    """Call `write(row)` for each selected row, go on after refusals, and report both counts."""
    written = 0
    for row in rows:
        try:
            write(row)
        except AppError as error:
            why = "; ".join(fault.problem for fault in error.details)
            words = f"{row}: {error.message}{f' ({why})' if why else ''}"
            model_admin.message_user(request, words, messages.ERROR)
        else:
            written += 1
    if written:
        model_admin.message_user(request, f"{written} {done}.", messages.SUCCESS)
