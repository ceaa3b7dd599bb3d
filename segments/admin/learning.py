"""Admin doors of learning: the registry of models, and the page of each with its pictures."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from personalization.access.admin_base import each_row
from personalization.lib import clock
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin
from personalization.lib.errors import AppError
from segments.learning import pages, registry, saving
from segments.models.learning import LearnedModel


@admin.register(LearnedModel)
class LearnedModelAdmin(ReadOnlyModelAdmin):
    """What was learnt about customers, how well, and which version scores them."""

    list_display = ("__str__", "kind", "algorithm", "status", "quality", "created_at")
    list_filter = ("kind", "status")
    search_fields = ("key",)
    ordering = ("-id",)
    actions = ("promote", "rollback")
    empty_state = EmptyState(
        what="Clusters of customers, and models that say what they will do, with their figures.",
        why="Nothing was learnt yet. It happens every night; manage.py segment_learn does it now.",
        docs="algorithms/clusters",
    )

    @admin.display(description="quality")
    def quality(self, obj: LearnedModel) -> str:
        """Show the figure that the kind is judged by."""
        return pages.quality(obj)

    def get_urls(self) -> list[URLPattern]:
        """Return Django's pages, and saving a cluster as a segment."""
        view = self.admin_site.admin_view(require_POST(self.save_segment))
        name = "segments_learnedmodel_segment"
        return [path("<int:model_id>/segment/<str:label>/", view, name=name), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the model: figures, pictures, tables."""
        model = self.get_object(request, object_id)
        if model is None:
            raise Http404
        if not self.has_view_permission(request, model):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "opts": self.opts,
            "model": model,
            "title": str(model),
            "page": pages.page_of(model),
            "may_change": self.has_promote_permission(request),
        }
        return TemplateResponse(request, "studio/learning/model.html", context)

    def save_segment(self, request: HttpRequest, model_id: int, label: str) -> HttpResponse:
        """Make a segment with the rule of one cluster as its draft."""
        if not request.user.has_perm("segments.add_segment"):
            raise PermissionDenied
        model = LearnedModel.objects.filter(pk=model_id).first()
        if model is None:
            raise Http404
        back = reverse("admin:segments_learnedmodel_change", args=[model_id])
        try:
            row = saving.save_cluster(model, int(label), actor=request.user.get_username())
        except AppError as error:
            faults = "; ".join(f"{one.path}: {one.problem}" for one in error.details)
            words = f"{error.message}{f' ({faults})' if faults else ''}"
            self.message_user(request, words, messages.ERROR)
            return HttpResponseRedirect(back)
        said = f"Segment {row.key} has the rule as its draft; it decides once it is published."
        self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(back)

    def has_promote_permission(self, request: HttpRequest) -> bool:
        """Whether the person may decide which version scores."""
        return bool(request.user.has_perm("segments.change_learnedmodel"))

    @admin.action(description="Promote: have the selected version score", permissions=["promote"])
    def promote(self, request: HttpRequest, queryset: QuerySet[LearnedModel]) -> None:
        """Promote each selected version; of one key the last wins."""
        actor = request.user.get_username()
        each_row(
            self,
            request,
            queryset,
            lambda row: registry.promote(row.pk, actor=actor, now=clock.now()),
            "promoted",
        )

    @admin.action(description="Roll back: have the version before score", permissions=["promote"])
    def rollback(self, request: HttpRequest, queryset: QuerySet[LearnedModel]) -> None:
        """Roll back each key that a selected version belongs to."""
        actor = request.user.get_username()
        one_each = {row.key: row for row in queryset}
        each_row(
            self,
            request,
            list(one_each.values()),
            lambda row: registry.rollback(row.key, actor=actor, now=clock.now()),
            "rolled back",
        )
