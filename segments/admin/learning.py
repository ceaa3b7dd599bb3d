"""Admin doors of learning: the registry of models, and the page of each with its pictures."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_POST

from personalization.access.admin_base import VersionsAdmin
from personalization.lib.admin import EmptyState
from personalization.lib.errors import AppError
from personalization.lib.fields import show_faults
from personalization.lib.storable import BIGINT_DIGITS, whole_number
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from segments.admin.clusterform import ClusterForm
from segments.admin.listed import tried, words
from segments.learning import fitpages, fits, pages, registry, saving
from segments.models.learning import LearnedModel


@admin.register(LearnedModel)
class LearnedModelAdmin(VersionsAdmin):
    """What was learnt about customers, how well, and which version scores them."""

    list_display = ("named", "kind", "algorithm", "status", "quality", "created_at")
    list_filter = ("kind", "status")
    search_fields = ("key",)
    ordering = ("-id",)
    registry = registry
    duty = "score"
    change_list_template = "studio/learning/list.html"
    empty_state = EmptyState(
        what="Clusters of customers, and models that say what they will do, with their figures.",
        why="Nothing was learnt yet. It happens every night; manage.py segment_learn does it now.",
        docs="algorithms/clusters",
    )

    @admin.display(description="learned model", ordering="key")
    def named(self, obj: LearnedModel) -> str:
        """Show the version with what people call its model."""
        title = registry.recipe_of(obj).title
        return format_html('{}<br><span class="note">{}</span>', obj, title)

    @admin.display(description="quality")
    def quality(self, obj: LearnedModel) -> str:
        """Show the figure that the kind is judged by."""
        return pages.quality(obj)

    def get_urls(self) -> list[URLPattern]:
        """Return Django's pages, and ours."""
        views: list[tuple[str, str, Callable[..., HttpResponse]]] = [
            ("<int:model_id>/segment/<str:label>/", "segment", require_POST(self.save_segment)),
            ("<int:model_id>/again/", "again", require_POST(self.again_view)),
            ("<int:model_id>/stop/", "stop", require_POST(self.stop_view)),
            ("clusters/", "clusters", self.clusters_view),
            ("fits/<int:run_id>/", "fit", require_GET(self.fit_view)),
            ("fits/<int:run_id>/live/", "fit_live", require_GET(self.fit_live_view)),
            ("fits/<int:run_id>/cancel/", "fit_cancel", require_POST(self.fit_cancel_view)),
        ]
        ours = [
            path(route, self.admin_site.admin_view(view), name=f"segments_learnedmodel_{name}")
            for route, name, view in views
        ]
        return [*ours, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list; its button follows the role."""
        more = {"may_change": self.has_promote_permission(request), **(extra_context or {})}
        return super().changelist_view(request, more)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the model: figures, pictures, tables; what can be done to it."""
        model = self.viewed(request, object_id)
        may_change = self.has_promote_permission(request)
        context = {
            **(extra_context or {}),
            "model": model,
            "page": pages.page_of(model),
            "method": fitpages.method_of(model),
            "underway_url": fitpages.underway(model.key),
            "may_change": may_change,
            "acts": fitpages.acts_of(model) if may_change else {},
        }
        return self._shown(request, "model", str(model), context)

    # --- Fits ---

    def clusters_view(self, request: HttpRequest) -> HttpResponse:
        """Show or take the form of clusters; a POST starts the job and goes to its page."""
        self._require_change(request)
        form = ClusterForm(request.POST or None, model=self._beginning(request))
        if request.method == "POST" and form.is_valid():
            try:
                run = fits.start_fit(recipe=form.recipe, actor=request.user.get_username())
            except AppError as error:
                show_faults(form, error.details)
            else:
                return HttpResponseRedirect(_fit_url(run))
        return self._shown(request, "clusters", "Find clusters", {"form": form})

    def again_view(self, request: HttpRequest, model_id: int) -> HttpResponse:
        """Have a model learnt anew by the recipe of a version, and go to the job's page."""
        self._require_change(request)
        model = self._model(model_id)
        try:
            run = fits.start_again(model=model, actor=request.user.get_username())
        except AppError as error:
            self.message_user(request, words(error), messages.ERROR)
            return HttpResponseRedirect(_page_url(model))
        return HttpResponseRedirect(_fit_url(run))

    def stop_view(self, request: HttpRequest, model_id: int) -> HttpResponse:
        """Have a model of the shop's own score nobody any more."""
        self._require_change(request)
        model = self._model(model_id)
        actor = request.user.get_username()

        def stop() -> str:
            fits.stop_model(key=model.key, actor=actor)
            return f"{model.key} is stopped; what it said of customers goes at the next scoring."

        tried(self, request, stop)
        return HttpResponseRedirect(_page_url(model))

    def fit_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Show how far a fit is, and what came of it."""
        page = self._fit_page(request, run_id)
        return self._shown(request, "fit", page["title"], {"page": page})

    def fit_live_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Answer how far it is alone: the page fetches it while the job works."""
        context = {"page": self._fit_page(request, run_id)}
        return TemplateResponse(request, "studio/learning/progress.html", context)

    def fit_cancel_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Ask a fit to stop: whoever may start one may end it."""
        self._require_change(request)
        run = _run(run_id)
        if jobs.request_cancel(run.pk, actor=request.user.get_username()):
            self.message_user(request, "The fit was asked to stop.", messages.SUCCESS)
        else:
            self.message_user(request, "The fit is over; nothing was stopped.", messages.WARNING)
        return HttpResponseRedirect(_fit_url(run))

    def save_segment(self, request: HttpRequest, model_id: int, label: str) -> HttpResponse:
        """Make a segment with the rule of one cluster as its draft."""
        if not request.user.has_perm("segments.add_segment"):
            raise PermissionDenied
        model = self._model(model_id)
        number = whole_number(label.removeprefix("-"))
        if number is None:
            raise Http404
        cluster = -number if label.startswith("-") else number
        actor = request.user.get_username()

        def save() -> str:
            row = saving.save_cluster(model, cluster, actor=actor)
            return f"Segment {row.key} has the rule as its draft; it decides once it is published."

        tried(self, request, save)
        return HttpResponseRedirect(_page_url(model))

    # --- Their common parts ---

    def _require_change(self, request: HttpRequest) -> None:
        if not self.has_promote_permission(request):
            raise PermissionDenied

    def _model(self, model_id: int) -> LearnedModel:
        model = LearnedModel.objects.filter(pk=model_id).first()
        if model is None:
            raise Http404
        return model

    def _beginning(self, request: HttpRequest) -> LearnedModel | None:
        """Return the clusters whose settings the form begins with, where it was opened by them."""
        number = whole_number(request.GET.get("from", ""), BIGINT_DIGITS)
        if number is None:
            return None
        return LearnedModel.objects.filter(pk=number, kind=LearnedModel.Kind.CLUSTER).first()

    def _fit_page(self, request: HttpRequest, run_id: int) -> dict[str, Any]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return fitpages.page_of(_run(run_id), may_change=self.has_promote_permission(request))

    def _shown(
        self, request: HttpRequest, template: str, title: str, context: dict[str, Any]
    ) -> HttpResponse:
        around = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(request, f"studio/learning/{template}.html", around | context)


def _run(run_id: int) -> JobRun:
    run = JobRun.objects.filter(pk=run_id, kind=fits.RUN_KIND).first()
    if run is None:
        raise Http404
    return run


def _fit_url(run: JobRun) -> str:
    return reverse("admin:segments_learnedmodel_fit", args=[run.pk])


def _page_url(model: LearnedModel) -> str:
    return reverse("admin:segments_learnedmodel_change", args=[model.pk])
