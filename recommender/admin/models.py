"""Admin pages of the registry: trained models with their metrics, and which of them serves."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from personalization.access.admin_base import each_row
from personalization.lib import clock
from personalization.lib.admin import EmptyState, ReadOnlyModelAdmin
from recommender import registry
from recommender.models import ModelVersion

_FIGURES = ("Recall@20", "NDCG@20", "HR@20", "MRR@20", "coverage@20", "users")


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyModelAdmin):
    """The registry: what was trained, how well it did, what serves."""

    list_display = ("__str__", "status", "recall", "ndcg", "floor", "coverage", "created_at")
    list_filter = ("algorithm", "status")
    ordering = ("-id",)
    actions = ("promote", "rollback")
    fields = (
        "algorithm",
        "number",
        "status",
        "reason",
        "metrics_table",
        "data",
        "settings",
        "manifest_sha256",
        "run",
        "created_at",
        "promoted_at",
    )
    readonly_fields = fields
    empty_state = EmptyState(
        what="Trained models, their metrics on the last days of data, and which of them serves.",
        why="Nothing was trained yet. It happens every night; manage.py train does it now.",
    )

    @admin.display(description="Recall@20")
    def recall(self, obj: ModelVersion) -> str:
        """Show recall."""
        return _figure(obj.metrics.get("Recall@20"))

    @admin.display(description="NDCG@20")
    def ndcg(self, obj: ModelVersion) -> str:
        """Show NDCG."""
        return _figure(obj.metrics.get("NDCG@20"))

    @admin.display(description="popularity's NDCG@20")
    def floor(self, obj: ModelVersion) -> str:
        """Show what popularity reaches on the same cases."""
        return _figure(obj.metrics.get("popularity", {}).get("NDCG@20"))

    @admin.display(description="coverage@20")
    def coverage(self, obj: ModelVersion) -> str:
        """Show coverage."""
        return _figure(obj.metrics.get("coverage@20"))

    @admin.display(description="metrics")
    def metrics_table(self, obj: ModelVersion) -> SafeString:
        """Show the model beside popularity and the live version, with protocol."""
        live = ModelVersion.objects.filter(algorithm=obj.algorithm, status="live").first()
        columns = [("this model", obj.metrics), ("popularity", obj.metrics.get("popularity", {}))]
        if live is not None and live.pk != obj.pk:
            columns.append((f"live (v{live.number}, its own days)", live.metrics))
        head = format_html_join("", "<th>{}</th>", ((title,) for title, _ in columns))
        rows = format_html_join(
            "",
            "<tr><th>{}</th>{}</tr>",
            (
                (
                    name,
                    format_html_join(
                        "", "<td>{}</td>", [(_figure(m.get(name)),) for _, m in columns]
                    ),
                )
                for name in _FIGURES
            ),
        )
        words = obj.metrics.get("protocol", "")
        return format_html(
            "<table><thead><tr><th></th>{}</tr></thead><tbody>{}</tbody></table><p>{}</p>",
            head,
            rows,
            words,
        )

    @admin.display(description="data")
    def data(self, obj: ModelVersion) -> str:
        """Show how much it learnt from."""
        facts = obj.manifest["facts"]
        return (
            f"{facts['interactions']:,} interactions of {facts.get('users', 0):,} customers"
            f" with {facts['items']:,} products"
        )

    @admin.display(description="settings")
    def settings(self, obj: ModelVersion) -> str:
        """Show the algorithm's settings."""
        return ", ".join(
            f"{name} {value}" for name, value in obj.manifest["facts"]["config"].items()
        )

    def has_promote_permission(self, request: HttpRequest) -> bool:
        """Whether the person may decide which model serves."""
        return bool(request.user.has_perm("recommender.change_modelversion"))

    @admin.action(description="Promote: have the selected version serve", permissions=["promote"])
    def promote(self, request: HttpRequest, queryset: QuerySet[ModelVersion]) -> None:
        """Promote each selected version; of one algorithm the last wins."""
        actor = request.user.get_username()
        each_row(
            self,
            request,
            queryset,
            lambda row: registry.promote(row.pk, actor=actor, now=clock.now()),
            "promoted",
        )

    @admin.action(description="Roll back: have the version before serve", permissions=["promote"])
    def rollback(self, request: HttpRequest, queryset: QuerySet[ModelVersion]) -> None:
        """Roll back each algorithm that a selected version belongs to."""
        actor = request.user.get_username()
        one_each = {row.algorithm: row for row in queryset}
        each_row(
            self,
            request,
            list(one_each.values()),
            lambda row: registry.rollback(row.algorithm, actor=actor, now=clock.now()),
            "rolled back",
        )


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
