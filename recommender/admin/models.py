"""Admin pages of the registry: trained models with their metrics, and which of them serves."""

from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from personalization.access.admin_base import VersionsAdmin
from personalization.lib import clock
from personalization.lib.admin import EmptyState
from personalization.lib.errors import AppError
from recommender import model_pages, pages, registry, tuned
from recommender.models import ModelVersion
from recommender.names import plain


class Decision(NamedTuple):
    """What a person may decide about a version: asked before it is done, what then happens."""

    question: str
    what: str
    button: str


_FILES = (
    "Its files are verified first; what does not verify does not serve. Web workers follow within a"
    " second. It is written to the audit trail."
)
_DECISIONS = {
    "promote": Decision(
        "Have this version serve? The one that serves now retires; it can be taken back.",
        _FILES,
        "Have it serve",
    ),
    "rollback": Decision(
        "Have version {number}, which served before this one, serve again?",
        _FILES,
        "Roll back to version {number}",
    ),
    "reset": Decision(
        "Train this model with its own settings again, without those that a search has found?",
        "What serves now goes on until the next training. A later search may find others. It is"
        " written to the audit trail.",
        "Use its own settings",
    ),
}


@admin.register(ModelVersion)
class ModelVersionAdmin(VersionsAdmin):
    """The registry: what was trained, how well it did, what serves."""

    list_display = (
        "version",
        "status",
        "recall",
        "ndcg",
        "floor",
        "questions",
        "coverage",
        "trained",
    )
    list_filter = ("algorithm", "status")
    search_fields = ("algorithm",)
    ordering = ("-id",)
    registry = registry
    pointer = "algorithm"
    empty_state = EmptyState(
        what="Trained models, their metrics on the last days of data, and which of them serves.",
        why="Nothing was trained yet. It happens every night; manage.py train does it now.",
        docs="guides/models",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        """Leave out the manifest, of which lists show only what a version has grown from."""
        rows: QuerySet[ModelVersion] = super().get_queryset(request).defer("manifest")
        told: QuerySet[ModelVersion] = rows.annotate(base_number=F("manifest__facts__base__number"))
        return told

    @admin.display(description="version", ordering="algorithm")
    def version(self, obj: ModelVersion) -> str:
        """Show the version with what people call its model."""
        return format_html('{}<br><span class="note">{}</span>', obj, plain(obj.algorithm))

    @admin.display(description="trained", ordering="created_at")
    def trained(self, obj: ModelVersion) -> Any:
        """Show when it was trained."""
        return obj.created_at

    @admin.display(description="Recall@20")
    def recall(self, obj: ModelVersion) -> str:
        """Show recall."""
        return _figure(obj.metrics.get("Recall@20"))

    @admin.display(description="NDCG@20")
    def ndcg(self, obj: ModelVersion) -> str:
        """Show NDCG."""
        return _figure(obj.metrics.get("NDCG@20"))

    @admin.display(description="of popularity")
    def floor(self, obj: ModelVersion) -> str:
        """Show what popularity reaches on the same cases."""
        return _figure((obj.metrics.get("popularity") or {}).get("NDCG@20"))

    @admin.display(description="asked")
    def questions(self, obj: ModelVersion) -> str:
        """Show how many questions of which kind: figures of other questions do not compare."""
        asked = obj.metrics.get("users")
        if asked is None:
            base = getattr(obj, "base_number", None)
            if base is None:
                return pages.NOTHING
            told = f"see v{base}, which it grew from"
            return format_html('{}<br><span class="note">{}</span>', pages.NOTHING, told)
        protocol = obj.metrics.get("protocol", "")
        who, _, how = protocol.partition(": ")
        # "visits of the last days: the last item asked of the steps before it": its page says all
        kind = ", ".join(filter(None, (who.partition(" ")[0], how.partition(" asked")[0])))
        return format_html(
            '<span title="{}">{}<br><span class="note">{}</span></span>',
            protocol,
            f"{asked:,}",
            kind,
        )

    @admin.display(description="coverage@20")
    def coverage(self, obj: ModelVersion) -> str:
        """Show coverage."""
        return _figure(obj.metrics.get("coverage@20"))

    def get_urls(self) -> list[URLPattern]:
        """Return Django's pages, and the questions before a decision."""
        view = self.admin_site.admin_view(self.decide)
        name = "recommender_modelversion_decide"
        return [path("<int:version_id>/decide/<str:what>/", view, name=name), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the version: figures, course, where it comes from."""
        version = self.viewed(request, object_id)
        context = {
            **self._context(request, version),
            **(extra_context or {}),
            "page": model_pages.model_page(version),
            "may_decide": self.has_promote_permission(request),
        }
        return TemplateResponse(request, "studio/models/model.html", context)

    def decide(self, request: HttpRequest, version_id: int, what: str) -> HttpResponse:
        """Ask, then have a version serve or go back, or its model take its own settings."""
        version = ModelVersion.objects.filter(pk=version_id).first()
        if version is None or what not in _DECISIONS:
            raise Http404
        if not self.has_promote_permission(request):
            raise PermissionDenied
        try:
            if request.method != "POST":
                context = {**self._context(request, version), "decision": _asked(what, version)}
                return TemplateResponse(request, "studio/models/decide.html", context)
            done = _decide(what, version, request.user.get_username())
        except AppError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        back = reverse("admin:recommender_modelversion_change", args=[version_id])
        return HttpResponseRedirect(back)

    def _context(self, request: HttpRequest, version: ModelVersion) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "version": version,
            "title": str(version),
        }


def _asked(what: str, version: ModelVersion) -> Decision:
    """Return the question; that of a roll-back names the version that would serve."""
    found = _DECISIONS[what]
    if what != "rollback":
        return found
    number = registry.rollback_target(version).number
    return Decision(*(words.format(number=number) for words in found))


def _decide(what: str, version: ModelVersion, actor: str) -> str:
    """Do it, and return what is so now."""
    if what == "reset":
        tuned.reset(version.algorithm, actor=actor)
        return f"From now on {version.algorithm} is trained with its own settings."
    if what == "promote":
        serving = registry.promote(version.pk, actor=actor, now=clock.now())
    else:
        serving = registry.rollback(
            version.algorithm, actor=actor, now=clock.now(), leaving=version.pk
        )
    return f"{serving} serves now."


def _figure(value: float | None) -> str:
    return pages.NOTHING if value is None else f"{value:.4f}"
