"""Admin pages of strategies: what answers in a placement, and by which rules."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from personalization.access.admin_base import AuditedModelAdmin
from personalization.lib.admin import EmptyState
from recommender.engine.algorithms import RECIPES
from recommender.engine.strategies import problems
from recommender.models import Strategy
from recommender.productrules import new_rule_faults
from recommender.strategies import save_strategy

_EXPORTED = ("key", "algorithm", "params", "fallback", "exclude_bought_days", "active")


class StrategyForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Fields of a strategy, judged together with all others."""

    algorithm = forms.ChoiceField(choices=[(name, name) for name in RECIPES])

    class Meta:
        model = Strategy
        fields = ("title", *_EXPORTED)

    def clean(self) -> dict[str, Any]:
        """Put every fault at its field."""
        given = super().clean() or {}
        if self.errors:
            return given
        key = given.get("key", self.instance.key)
        mine = {name: given.get(name, key) for name in _EXPORTED}
        others = list(Strategy.objects.exclude(key=key).values(*_EXPORTED))
        for fault in problems([*others, mine], new_rule_faults):
            name = fault.path.rpartition("].")[2].partition(".")[0]
            field = name if fault.path.startswith(f"[{key}]") and name in self.fields else None
            self.add_error(field, fault.problem)
        return given


@admin.register(Strategy)
class StrategyAdmin(AuditedModelAdmin):
    """Recommender configurations that placements name."""

    form = StrategyForm
    audits = False  # the service does, and publishes
    publishes = True
    list_display = ("key", "title", "algorithm", "fallback", "exclude_bought_days", "active")
    search_fields = ("key", "title")
    empty_state = EmptyState(
        what="A strategy says which model answers, about what, and who fills the gaps.",
        why="All of them were deleted; placements show what is popular.",
        action="Add a strategy",
        action_url="admin:recommender_strategy_add",
    )

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        """Keep the key of a stored strategy: placements name it."""
        return ("key",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Save through the service, as the API does."""
        values = {name: value for name, value in form.cleaned_data.items() if name != "key"}
        actor = request.user.get_username()
        obj.pk = save_strategy(key=form.instance.key, values=values, actor=actor).pk
