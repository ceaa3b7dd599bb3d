"""Admin pages of strategies: what answers in a placement, by which rules, with a live preview."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from personalization.access.admin_base import AuditedModelAdmin
from personalization.lib import clock
from personalization.lib.admin import EmptyState
from personalization.lib.storable import BIGINT_DIGITS, whole_number
from recommender import previews
from recommender.admin.forms import StrategyForm
from recommender.engine.strategies import spec_of
from recommender.models import Strategy
from recommender.names import plain
from recommender.selectors import unknown_products
from recommender.strategies import save_strategy

_SECTIONS = (
    (None, {"fields": ("title", "key", "use", "active")}),
    ("What may be shown", {"fields": ("filter", "bury")}),
    ("Order", {"fields": ("diversity", "margin", ("brand_cap", "category_cap"), "pins")}),
    (
        "What the visitor has met",
        {
            "fields": (
                "exclude_seen",
                "exclude_cart",
                "exclude_bought_days",
                "readmission",
                ("fatigue_after", "fatigue_factor"),
            )
        },
    ),
    ("New products", {"fields": (("explore_share", "explore_days"),)}),
    ("When too little is found", {"fields": ("fallback", "editorial")}),
    ("Weights of the sources", {"fields": ("weights",)}),
)


# Section -> what of a strategy's rules it shows; it is folded up while none of them is set.
_FOLDED: Mapping[str | None, frozenset[str]] = {
    "What may be shown": frozenset({"filter", "bury"}),
    "Order": frozenset({"diversity", "margin", "caps", "pins"}),
    "What the visitor has met": frozenset({"exclude_seen", "readmission_days", "fatigue"}),
    "New products": frozenset({"exploration"}),
    "When too little is found": frozenset({"fallback", "editorial"}),
    "Weights of the sources": frozenset(),
}
# Unknown products that a warning names; the others it counts.
_TOLD = 10


@admin.register(Strategy)
class StrategyAdmin(AuditedModelAdmin):
    """Recommender configurations that placements name."""

    form = StrategyForm
    change_form_template = "recommender/strategy_form.html"
    audits = False  # the service does, and publishes
    publishes = True
    fieldsets = _SECTIONS  # type: ignore[assignment]  # tuples, as Django's own code has them
    fixed = ("key",)  # placements name it
    prepopulated_fields = {"key": ("title",)}
    list_display = ("title", "key", "use", "told_sources", "fallback", "active")
    list_filter = ("use", "active")
    search_fields = ("key", "title")
    empty_state = EmptyState(
        what="A strategy says which models answer, by which rules, and who fills the gaps.",
        why="All of them were deleted; placements show what is popular.",
        action="Add a strategy",
        action_url="admin:recommender_strategy_add",
    )

    @admin.display(description="sources")
    def told_sources(self, obj: Strategy) -> str:
        """Show the models that a strategy blends."""
        given = obj.sources or [{"algorithm": obj.algorithm}]
        return ", ".join(plain(str(one["algorithm"])) for one in given)

    def get_urls(self) -> list[URLPattern]:
        """Return Django's pages and the preview."""
        view = self.admin_site.admin_view(require_POST(self.preview_view))
        name = "recommender_strategy_preview"
        return [path("preview/", view, name=name), *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the sections; those in which nothing is set are folded up."""
        held = obj.rules if isinstance(obj, Strategy) else {}
        if isinstance(obj, Strategy) and obj.fallback:
            held = {**held, "fallback": obj.fallback}
        return [
            (title, options if title not in _FOLDED or held.keys() & _FOLDED[title] else folded)
            for title, options in _SECTIONS
            for folded in [{**options, "classes": ("collapse",)}]
        ]

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Save through the service, as the API does."""
        actor = request.user.get_username()
        row = save_strategy(
            key=form.instance.key,
            values=form.values(),
            actor=actor,
            # a caller that sends single fields alone has seen none
            expected=form.cleaned_data["seen"] or None,
        )
        obj.pk = row.pk
        warning = _unknown(row.rules)
        if warning:
            self.message_user(request, warning, messages.WARNING)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Show what the strategy of the form, saved or not, would show; nothing is written."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        pk = whole_number(request.POST.get("preview_strategy", ""), BIGINT_DIGITS)
        row = None if pk is None else Strategy.objects.filter(pk=pk).first()
        data = request.POST.copy()
        if row is not None:
            data["key"] = row.key
        for name in ("title", "key"):
            # whoever begins a new strategy sees what it would show before it has a name
            data[name] = data.get(name) or "preview"
        form = StrategyForm(data, instance=row or Strategy())
        context: dict[str, Any] = {"faults": () if form.is_valid() else _faults(form)}
        if not context["faults"]:
            values = form.values()
            spec = spec_of({"key": data["key"], **values, "active": True})
            context["warning"] = _unknown(values["rules"])
            wish = previews.wish_of(data)
            context["preview"] = previews.preview(spec, wish, now=clock.now())
        return TemplateResponse(request, "recommender/preview.html", context)


def _unknown(rules: Mapping[str, Any]) -> str:
    """Return a warning about named products that do not exist; no fault, since feeds come later."""
    found = unknown_products(rules)
    if not found:
        return ""
    told = ", ".join(f"“{key}”" for key in found[:_TOLD])
    more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return (
        f"Pinned or picked by hand, but not in the catalogue: {told}{more}."
        " Nothing is shown there until a product has that key."
    )


def _faults(form: StrategyForm) -> list[str]:
    """Return every fault in words, with the label of its field."""
    found = [
        _line(form.fields, name, text) for name, texts in form.errors.items() for text in texts
    ]
    for one in form.sets.values():
        found += [
            _line(inner.fields, name, text)
            for inner in one.forms
            for name, texts in inner.errors.items()
            for text in texts
        ]
    return found


def _line(fields: Mapping[str, Any], name: str, text: Any) -> str:
    label = fields[name].label or name.replace("_", " ") if name in fields else ""
    return f"{label}: {text}" if label else str(text)
