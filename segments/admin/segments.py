"""Admin doors of one segment: its page, the form of its draft, what is done to its versions."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_POST

from personalization.lib import clock
from personalization.lib.storable import BIGINT_DIGITS, whole_number
from segments import listing, pages, services
from segments.admin.forms import DraftForm, ListTextForm, NewSegmentForm
from segments.admin.listed import SegmentList, rights_of, tried
from segments.engine.language import canonical
from segments.learning import lookalikes
from segments.models import Segment, SegmentVersion

_Status = SegmentVersion.Status


@admin.register(Segment)
class SegmentAdmin(SegmentList):
    """Groups of customers; every write goes through the services, which audit and publish."""

    change_form_template = "studio/segments/form.html"

    # --- Addresses ---

    def get_urls(self) -> list[URLPattern]:
        """Return Django's pages and ours."""
        views: list[tuple[str, str, Callable[..., HttpResponse]]] = [
            ("overlaps/", "overlaps", require_GET(self.overlaps_view)),
            ("upload/", "upload", self.upload_view),
            ("<int:pk>/edit/", "edit", self.edit_view),
            ("<int:pk>/diff/", "diff", require_GET(self.diff_view)),
            ("<int:pk>/versions/", "versions", require_GET(self.versions_view)),
            ("<int:pk>/versions/<int:number>/stop/", "stop", require_POST(self.stop_view)),
            ("<int:pk>/act/<slug:verb>/", "act", require_POST(self.act_view)),
            ("<int:pk>/lookalikes/", "lookalikes", self.lookalikes_view),
            ("<int:pk>/lookalikes/stop/", "lookalikes_stop", require_POST(self.no_lookalikes_view)),
        ]
        ours = [
            path(route, self.admin_site.admin_view(view), name=f"segments_segment_{name}")
            for route, name, view in views
        ]
        return [*ours, *super().get_urls()]

    # --- One segment ---

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the segment; its draft is edited on a page of its own."""
        row = self._row(request, object_id)
        page = pages.page_of(row, now=clock.now(), rights=rights_of(request))
        return self.shown(request, "segment", row.title, {"page": page, **(extra_context or {})})

    def versions_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Answer the versions alone: the page fetches them while a version is being taken in."""
        row = self._row(request, pk)
        page = pages.versions_of(row, rights=rights_of(request))
        done_url = "" if page["live_url"] else pages.address(row, "change")
        context = {"page": page, "done_url": done_url}
        return TemplateResponse(request, "studio/segments/versions.html", context)

    def diff_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Compare any two versions."""
        row = self._row(request, pk)
        numbered = {one.number: one for one in row.versions.all()}
        if not numbered:
            raise Http404
        new = numbered.get(_number(request, "to")) or numbered[max(numbered)]
        old = numbered.get(_number(request, "from"))
        found, fault = pages.comparison(old, new, clock.now())
        context = {"segment": row, "versions": list(numbered.values())}
        context |= {"old": old, "new": new, "diff": found, "diff_fault": fault}
        return self.shown(request, "compare", f"Compare versions of {row.title}", context)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show or save the texts and the draft."""
        row = self._row(request, pk)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        more = {"segment": row, "title": f"Edit {row.title}", "subtitle": None}
        return self.changeform_view(request, str(pk), "", more)

    # --- Forms ---

    def get_form(
        self,
        request: HttpRequest,
        obj: Model | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 -- Django's signature
        **kwargs: Any,
    ) -> type[Any]:
        """Return the form of a new segment, of a draft, or of a list's texts."""
        form: type[Any] = super().get_form(request, obj, change, form=_form(obj), **kwargs)
        if issubclass(form, DraftForm):
            form.number = _number(request, "from") or None
        return form

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the fields in the order in which they are filled in."""
        form = _form(obj)
        return [*form._meta.fields, *form.declared_fields]

    def get_prepopulated_fields(self, _request: HttpRequest, obj: Model | None = None) -> Any:
        """Propose a key while the title of a new segment is typed."""
        return {} if obj else {"key": ("title",)}

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:  # type: ignore[type-arg] # noqa: FBT001 -- Django's signature
        """Have the services write."""
        given, actor = form.cleaned_data, request.user.get_username()
        texts = {name: given[name] for name in ("title", "description")}
        if not isinstance(obj, Segment):
            return
        if not change:
            made = services.create_segment(
                key=obj.key, values=texts, rule=given["rule"], actor=actor
            )
            obj.pk = made.pk
            return
        if {"title", "description"} & set(form.changed_data):
            services.update_segment(key=obj.key, values=texts, actor=actor)
        if "rule" in given and _differs(obj, given):
            services.save_draft(
                key=obj.key,
                rule=given["rule"],
                actor=actor,
                note=given["note"],
                expected=given["seen"],
            )

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Go to the new segment's page."""
        said = f"{obj.title} has its first draft. It decides nothing until it is published."
        self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(pages.address(obj, "change"))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Go back to the segment's page."""
        self.message_user(request, f"{obj.title} is saved.", messages.SUCCESS)
        return HttpResponseRedirect(pages.address(obj, "change"))

    # --- Versions ---

    def act_view(self, request: HttpRequest, pk: int, verb: str) -> HttpResponse:
        """Try, publish or roll back."""
        act = _ACTS.get(verb)
        row = self._row(request, pk)
        if act is None:
            raise Http404
        right, write, said = act
        self.require(request, right)
        actor = request.user.get_username()
        tried(self, request, lambda: said(write(key=row.key, actor=actor)))
        return HttpResponseRedirect(pages.address(row, "change"))

    def stop_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """Stop deciding a version, or drop a draft."""
        row = self._row(request, pk)
        drafts = {one.number for one in row.versions.all() if one.status == _Status.DRAFT}
        self.require(request, "edit" if number in drafts else "publish")
        actor = request.user.get_username()

        def stop() -> str:
            services.stop_version(key=row.key, number=number, actor=actor)
            return f"Version {number} is {'dropped' if number in drafts else 'stopped'}."

        tried(self, request, stop)
        return HttpResponseRedirect(pages.address(row, "change"))

    def lookalikes_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Answer how far the lookalikes are, alone; POST has them learnt."""
        row = self._row(request, pk)
        if request.method != "POST":
            context = {"one": pages.lookalikes_of(row, rights_of(request))}
            return TemplateResponse(request, "studio/segments/lookalikes.html", context)
        self.require(request, "edit")
        actor = request.user.get_username()

        def start() -> str:
            lookalikes.start_lookalikes(key=row.key, actor=actor)
            return "Who is like the members is being learnt; this page shows how far it is."

        tried(self, request, start)
        return HttpResponseRedirect(pages.address(row, "change"))

    def no_lookalikes_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Have the lookalikes score nobody any more, nor be learnt again."""
        row = self._row(request, pk)
        self.require(request, "edit")
        actor = request.user.get_username()

        def stop() -> str:
            lookalikes.stop_lookalikes(key=row.key, actor=actor)
            return "Lookalikes are stopped; their scores go at the next scoring."

        tried(self, request, stop)
        return HttpResponseRedirect(pages.address(row, "change"))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Leave segments in force to those who decide what is."""
        allowed: bool = super().has_delete_permission(request, obj)
        if not isinstance(obj, Segment):
            return allowed
        return allowed and pages.may_delete(obj, rights_of(request))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what would go and what names the segment; delete it when nothing does."""
        row = self._row(request, object_id)
        if not self.has_delete_permission(request, row):
            raise PermissionDenied
        if request.method == "POST":
            actor = request.user.get_username()

            def delete() -> str:
                services.delete_segment(key=row.key, actor=actor)
                return f"{row.title} is deleted."

            if tried(self, request, delete):
                return HttpResponseRedirect(pages.list_url())
        sizes = listing.version_sizes([row.published_id] if row.published_id else [])
        context = {
            "segment": row,
            "uses": pages.uses(row.key),
            "size": sum(sizes.values()),
            "versions": row.versions.count(),
        }
        return self.shown(request, "delete", f"Delete {row.title}", context)

    def _row(self, request: HttpRequest, pk: int | str) -> Segment:
        """Return a segment with its versions, for whoever may see it."""
        number = whole_number(str(pk), BIGINT_DIGITS)
        row = None if number is None else listing.segments().filter(pk=number).first()
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row


def _published(version: SegmentVersion) -> str:
    if version.status == _Status.PUBLISHED:
        return f"Version {version.number} is in force."
    return f"Version {version.number} takes over once every customer is decided by it."


def _shadowed(version: SegmentVersion) -> str:
    return f"Version {version.number} is tried beside the one in force; it decides nothing yet."


# verb -> (right, service, what to say)
_ACTS: Mapping[str, tuple[str, Callable[..., SegmentVersion], Callable[[SegmentVersion], str]]] = {
    "shadow": ("edit", services.start_shadow, _shadowed),
    "publish": ("publish", services.publish_segment, _published),
    "roll-back": ("publish", services.roll_back, _published),
}


def _form(obj: Model | None) -> type[Any]:
    if obj is None:
        return NewSegmentForm
    return ListTextForm if getattr(obj, "kind", "") == Segment.Kind.LIST else DraftForm


def _differs(row: Segment, given: Mapping[str, Any]) -> bool:
    """Whether a form says anything that the draft, else the version in force, does not."""
    draft = row.versions.filter(status=_Status.DRAFT).first()
    told = draft or row.published
    if told is None or canonical(given["rule"]) != told.rule:
        return True
    return draft is not None and given["note"] != draft.note


def _number(request: HttpRequest, name: str) -> int:
    """Return a version's number from the query; 0 where there is none."""
    return whole_number(request.GET.get(name, "")) or 0
