"""Admin door of the list of segments, and of what lies beside it: overlaps, uploads of lists."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from personalization.access.admin_base import AuditedModelAdmin
from personalization.lib import clock
from personalization.lib.admin import EmptyState, IndexedChangeList
from personalization.lib.errors import AppError
from personalization.lib.widgets import number as grouped
from segments import lines, lists, pages
from segments.admin.forms import UploadForm
from segments.models import Segment, SegmentVersion
from segments.pages import Rights

_Status = SegmentVersion.Status


class _SegmentList(IndexedChangeList):
    """A page of the list, with the figures of its rows read at once."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then what its lines tell."""
        super().get_results(request)
        rows = list(self.result_list)
        self.as_of = clock.now()
        told = lines.lines_of(rows, now=self.as_of)
        for row in rows:
            row.line = told[row.pk]
        self.result_list = rows


class StandingFilter(admin.SimpleListFilter):
    """Where segments stand; each choice reads the partial index of its status."""

    title = "standing"
    parameter_name = "standing"
    _CHOICES: ClassVar[Mapping[str, tuple[str, str]]] = {
        "live": ("In force", _Status.PUBLISHED),
        "shadow": ("A version in shadow", _Status.SHADOW),
        "draft": ("A draft waits", _Status.DRAFT),
    }

    def lookups(self, _request: Any, _model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [(key, title) for key, (title, _) in self._CHOICES.items()]

    def queryset(self, _request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the segments that have such a version."""
        if self.value() not in self._CHOICES:
            return queryset
        _, status = self._CHOICES[str(self.value())]
        rows = SegmentVersion.objects.filter(segment=OuterRef("pk"), status=status)
        return queryset.filter(Exists(rows))


class SegmentList(AuditedModelAdmin):
    """The list of segments; every write goes through the services, which audit and publish."""

    audits = False
    actions = None
    list_display = ("title", "members", "standing", "trend", "key", "kind")
    list_filter = (StandingFilter, "kind", "built_in")
    list_select_related = ("published",)
    list_per_page = 50
    search_fields = ("key", "title", "description")
    ordering = ("title", "pk")
    change_list_template = "studio/segments/list.html"
    empty_state = EmptyState(
        what="A segment is a group of customers that a rule describes: who did what, and when.",
        why="None has been made yet. A rule shows who it is while you build it.",
        action="Create a segment",
        action_url="admin:segments_segment_add",
        docs="guides/segments",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Segment]:
        """Return segments with their versions."""
        rows: QuerySet[Segment] = super().get_queryset(request)
        return rows.prefetch_related("versions")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that reads figures for a page at once."""
        return _SegmentList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list; its buttons follow the role."""
        more = {"may_upload": rights_of(request).publish, "window": pages.WINDOW_WORDS}
        return super().changelist_view(request, {**more, **(extra_context or {})})

    @admin.display(description="members")
    def members(self, obj: Any) -> str:
        """Show how many there are; an old measurement says when it was taken."""
        line: lines.Line = obj.line
        if line.size is None:
            return "—"
        if line.size > lines.COUNTED:
            return format_html(
                '{} <span class="note nowrap">at {} UTC</span>',
                grouped(line.size),
                f"{line.as_of:%H:%M}",
            )
        return grouped(line.size)

    @admin.display(description="trend")
    def trend(self, obj: Any) -> str:
        """Draw the sizes of the last 30 days."""
        return render_to_string("studio/segments/trend.html", {"spark": obj.line.spark})

    @admin.display(description="standing")
    def standing(self, obj: Any) -> SafeString:
        """Show which version is in force, tried and waiting."""
        badges = format_html_join(
            "",
            '<span class="badge {}">{}{}</span>',
            (
                (one.tone, one.word, "" if one.percent is None else f", {one.percent} %")
                for one in obj.line.states
            ),
        )
        return format_html('<span class="badges">{}</span>', badges)

    def overlaps_view(self, request: HttpRequest) -> HttpResponse:
        """Show who is in two segments at once, of the largest in force."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            context = pages.overlap_page(now=clock.now())
        except AppError as error:
            self.message_user(request, words(error), messages.ERROR)
            return HttpResponseRedirect(pages.list_url())
        return self.shown(request, "overlap_page", "Overlap of segments", context)

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """Make or change a static list; tell what became of each line."""
        self.require(request, "publish")
        form = UploadForm(initial={"key": request.GET.get("key", "")})
        told = None
        if request.method == "POST":
            form = UploadForm(request.POST, request.FILES)
            if form.is_valid():
                told = self._uploaded(request, form)
        context: dict[str, Any] = {"form": form, "told": told}
        if told is not None:
            context["segment"] = Segment.objects.get(key=told.key)
            context["form"] = UploadForm(initial={"key": told.key})
        return self.shown(request, "upload", "Upload a list", context)

    def _uploaded(self, request: HttpRequest, form: UploadForm) -> lists.Upload | None:
        """Write the list; put what the service refuses at the form."""
        given = form.cleaned_data
        try:
            return lists.upload_list(
                key=given["key"],
                title=given["title"],
                lines=form.lines(),
                actor=request.user.get_username(),
                replace=given["replace"],
            )
        except AppError as error:
            form.add_error(None, words(error))
            return None

    def require(self, request: HttpRequest, right: str) -> None:
        """Refuse whoever lacks a right, a field of Rights."""
        if not getattr(rights_of(request), right):
            raise PermissionDenied

    def shown(
        self, request: HttpRequest, template: str, title: str, context: dict[str, Any]
    ) -> HttpResponse:
        """Answer with one of our pages inside the admin."""
        around = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "list_url": pages.list_url(),
        }
        return TemplateResponse(request, f"studio/segments/{template}.html", around | context)


def rights_of(request: HttpRequest) -> Rights:
    """Return what the person may do, by the permissions that roles grant."""
    may = request.user.has_perm
    return Rights(
        edit=may("segments.change_segment"),
        publish=may("ops.change_configversion"),
        operate=may("ops.change_jobrun"),
    )


def tried(
    model_admin: admin.ModelAdmin,  # type: ignore[type-arg]  # not generic at run time
    request: HttpRequest,
    write: Callable[[], str],
) -> bool:
    """Write and tell what became true; what a service refuses becomes a message."""
    try:
        said = write()
    except AppError as error:
        model_admin.message_user(request, words(error), messages.ERROR)
        return False
    model_admin.message_user(request, said, messages.SUCCESS)
    return True


def words(error: AppError) -> str:
    """Return what was refused, and each fault with its place."""
    details = "; ".join(f"{one.path}: {one.problem}".lstrip(": ") for one in error.details)
    return f"{error.message}{f' ({details})' if details else ''}"
