"""Admin doors of learning: the registry of models, and the page of each with its pictures."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from personalization.access.admin_base import VersionsAdmin
from personalization.lib.admin import EmptyState
from personalization.lib.errors import AppError
from segments.learning import pages, registry, saving
from segments.models.learning import LearnedModel


@admin.register(LearnedModel)
class LearnedModelAdmin(VersionsAdmin):
    """What was learnt about customers, how well, and which version scores them."""

    list_display = ("__str__", "kind", "algorithm", "status", "quality", "created_at")
    list_filter = ("kind", "status")
    search_fields = ("key",)
    ordering = ("-id",)
    registry = registry
    duty = "score"
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
        model = self.viewed(request, object_id)
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
