"""The form of a strategy: sources, rules and sliders as fields; out comes what is saved."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse_lazy
from django.utils.text import format_lazy

from personalization.lib.errors import Problem
from personalization.lib.keys import key_fault
from personalization.lib.storable import whole_number
from recommender.engine import merchandising
from recommender.engine.algorithms import RECIPES
from recommender.engine.merchandising import CAPS, MAX_DAYS, MOST_PLACES
from recommender.engine.strategies import (
    LEAST_WEIGHT,
    MOST_WEIGHT,
    SEEDS,
    default_seeds,
    problems,
)
from recommender.models import Strategy
from recommender.names import named
from recommender.productrules import edited_faults, rule_faults
from recommender.selectors import mark_of, strategy_rows
from segments.engine.validation import FILTER_KINDS
from segments.forms import OptionalRuleField

_SEED_TITLES = {"item": "the product of the page", "recent": "latest clicks", "cart": "the cart"}
# Empty rows for more sources, boosts and quotas; saving gives new ones.
_SPARE = 2


class OptionalRule(OptionalRuleField):
    """A rule on products that may be left out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            catalogue_url=format_lazy("{}?for=filter", reverse_lazy("segment-catalogue")),
            kinds=FILTER_KINDS,
            # whether products have what it names is for the form, which knows what is stored
            faults=rule_faults,
            **options,
        )


def slider(label: str, help_text: str, most: float = 1.0) -> forms.FloatField:
    """Return a field from 0 to `most` that is dragged."""
    widget = forms.NumberInput(
        {"type": "range", "min": 0, "max": most, "step": 0.05, "data-slider": ""}
    )
    return forms.FloatField(
        required=False, min_value=0, max_value=most, label=label, help_text=help_text, widget=widget
    )


def _whole(label: str, help_text: str = "", least: int = 1) -> forms.IntegerField:
    return forms.IntegerField(
        required=False, min_value=least, max_value=MOST_PLACES, label=label, help_text=help_text
    )


def _lines(label: str, help_text: str) -> forms.CharField:
    widget = forms.Textarea({"rows": 3, "class": "vLargeTextField", "spellcheck": "false"})
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget)


class SourceForm(forms.Form):
    """One model of the blend."""

    algorithm = forms.ChoiceField(required=False, label="Model")
    weight = forms.FloatField(
        required=False,
        min_value=LEAST_WEIGHT,
        max_value=MOST_WEIGHT,
        label="Weight",
        widget=forms.NumberInput({"step": "any"}),
    )
    seeds = forms.MultipleChoiceField(
        required=False,
        label="Asked about",
        choices=[(seed, _SEED_TITLES[seed]) for seed in SEEDS],
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [(name, named(name)) for name in RECIPES]
        self.fields["algorithm"].choices = [("", "(none)"), *known]  # type: ignore[attr-defined]  # a ChoiceField

    def row(self) -> dict[str, Any] | None:
        """Return the source, None for an empty row."""
        given = self.cleaned_data
        if not given.get("algorithm"):
            return None
        seeds = given["seeds"] or list(default_seeds(given["algorithm"]))
        weight = 1.0 if given["weight"] is None else given["weight"]
        return {"algorithm": given["algorithm"], "weight": weight, "seeds": seeds}


class BoostForm(forms.Form):
    """Products whose scores are multiplied."""

    rule = OptionalRule(label="Products")
    factor = forms.FloatField(
        required=False,
        min_value=0,
        max_value=10,
        label="Times",
        help_text="Above 1 lifts, below 1 sinks.",
        widget=forms.NumberInput({"step": "any"}),
    )

    def row(self) -> dict[str, Any] | None:
        """Return the boost, None for an empty row."""
        given = self.cleaned_data
        if given.get("rule") is None:
            return None
        return {
            "rule": given["rule"],
            "factor": 2.0 if given["factor"] is None else given["factor"],
        }


class QuotaForm(forms.Form):
    """So many of the shelf from these products."""

    title = forms.CharField(
        required=False, max_length=100, label="Name", help_text="Such as New arrivals."
    )
    rule = OptionalRule(label="Products")
    least = _whole("At least")

    def row(self) -> dict[str, Any] | None:
        """Return the quota, None for an empty row."""
        given = self.cleaned_data
        if given.get("rule") is None:
            return None
        return {"rule": given["rule"], "least": given["least"] or 1, "title": given["title"]}


_SETS: Mapping[str, type[forms.Form]] = {
    "sources": SourceForm,
    "boosts": BoostForm,
    "quotas": QuotaForm,
}


class StrategyForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """All of a strategy, judged together with all others.

    `seen` marks the strategy that the page was opened with; the service overwrites no newer one.
    """

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    filter = OptionalRule(label="Show only", help_text="Products that may be shown at all.")
    bury = OptionalRule(label="Bury", help_text="Shown only to fill places, after everything else.")
    diversity = slider("Variety", "0: the best match first. 1: as mixed as can be.")
    margin = slider("Margin", "How much a product's margin (attribute margin, 0 to 1) lifts it.")
    brand_cap = _whole("Most of one brand")
    category_cap = _whole("Most of one category")
    pins = _lines("Pinned products", "One a line: place and product, such as “1 sku-42”.")
    editorial = _lines("Picked by hand", "Products, one a line: shown where nothing else is left.")
    exclude_seen = forms.BooleanField(required=False, label="Hide what the visitor has looked at")
    exclude_cart = forms.BooleanField(
        required=False, initial=True, label="Hide what is in the cart"
    )
    readmission = _lines(
        "Bought things come back",
        "By category, one a line: “coffee 14” shows coffee after 14 days.",
    )
    fatigue_after = _whole("Tired after", "Showings without a click after which a product sinks.")
    fatigue_factor = slider("Then worth", "What a tired product's score is multiplied by.")
    explore_share = slider("New by chance", "Share of places that new products get by chance.")
    explore_days = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_DAYS, label="New for", help_text="Days."
    )

    class Meta:
        model = Strategy
        fields = ("title", "key", "use", "active", "fallback", "weights", "exclude_bought_days")
        labels = {
            "use": "Made for",
            "fallback": "Then",
            "exclude_bought_days": "Hide what was bought for (days)",
        }
        help_texts = {
            "use": "The kind of page it stands on.",
            "active": "Untick to have its fallback, else popular products, answer instead.",
            "key": "What placements call it. It cannot be changed later.",
            "fallback": "The strategy that fills places which this one leaves empty.",
            "weights": "Learned: as training found them best, where it found any.",
            "exclude_bought_days": "Days for which something just bought is not shown; 0 shows it. "
            "With buy again alone, each product's own interval counts instead.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        held = merchandising.given(row.rules or {})
        self._presets(held)
        self.initial["seen"] = mark_of(row)
        # a caller that names single fields alone leaves the others as they are
        self.whole = self.data is None or not self.is_bound or "sources-TOTAL_FORMS" in self.data
        # who may only look gets a form without the fields that would be saved
        if "use" in self.fields:
            self.fields["use"].required = False
        others = Strategy.objects.exclude(pk=row.pk).order_by("key").values_list("key", "title")
        choices = [("", "(popular products)"), *((key, title) for key, title in others)]
        if "fallback" in self.fields:
            self.fields["fallback"].widget = forms.Select(choices=choices)
        sources = row.sources or ([{"algorithm": row.algorithm, **row.params}] if row.pk else [])
        filled = {"sources": sources, "boosts": held.get("boosts"), "quotas": held.get("quotas")}
        sent = self.data if self.is_bound and self.whole else None
        self.sets = {
            name: forms.formset_factory(form, extra=_SPARE)(
                sent,
                prefix=name,
                # what was sent stands for itself: a row equal to what is stored is no empty one
                initial=_told(name, filled[name] or ()) if sent is None else None,
            )
            for name, form in _SETS.items()
        }

    def _presets(self, held: Mapping[str, Any]) -> None:
        tired, explore = held.get("fatigue") or {}, held.get("exploration") or {}
        caps = held.get("caps") or {}
        first = {
            "filter": held.get("filter"),
            "bury": held.get("bury"),
            "diversity": held.get("diversity", 0),
            "margin": held.get("margin", 0),
            **{f"{name}_cap": caps.get(name) for name in CAPS},
            "pins": "\n".join(f"{one['place']} {one['item']}" for one in held.get("pins", ())),
            "editorial": "\n".join(held.get("editorial", ())),
            "exclude_seen": held.get("exclude_seen", False),
            "exclude_cart": held.get("exclude_cart", True),
            "readmission": "\n".join(
                f"{category} {days}" for category, days in held.get("readmission_days", {}).items()
            ),
            "fatigue_after": tired.get("after"),
            "fatigue_factor": tired.get("factor", 0.5),
            "explore_share": explore.get("share", 0),
            "explore_days": explore.get("days", 30),
        }
        self.initial = {**first, **self.initial}

    @property
    def media(self) -> forms.Media:
        """Return the scripts of the rule builder and of the preview."""
        own = forms.Media(
            css={"all": ["studio/strategies.css"]}, js=[_script("studio/strategies.js")]
        )
        return super().media + BoostForm().media + own

    def clean_key(self) -> str:
        """Refuse what cannot be a key."""
        key = str(self.cleaned_data["key"])
        fix = key_fault(key) if key != self.instance.key else ""
        if fix:
            raise ValidationError(fix)
        return key

    def clean_use(self) -> str:
        """Keep what is stored where nothing is sent."""
        return str(self.cleaned_data.get("use") or self.instance.use)

    def clean_pins(self) -> list[dict[str, Any]]:
        """Return the pins of their lines."""
        found = []
        for line in _filled(self.cleaned_data["pins"]):
            given, _, item = line.partition(" ")
            place = whole_number(given)
            if place is None or not item.strip():
                msg = f"“{line}”: write a place and a product, such as “1 sku-42”."
                raise ValidationError(msg)
            found.append({"place": place, "item": item.strip()})
        return found

    def clean_editorial(self) -> list[str]:
        """Return the products of their lines."""
        return list(_filled(self.cleaned_data["editorial"]))

    def clean_readmission(self) -> dict[str, int]:
        """Return category -> days of their lines."""
        found = {}
        for line in _filled(self.cleaned_data["readmission"]):
            category, _, given = line.rpartition(" ")
            days = whole_number(given)
            if days is None or not category.strip():
                msg = f"“{line}”: write a category and days, such as “coffee 14”."
                raise ValidationError(msg)
            found[category.strip()] = days
        return found

    def is_valid(self) -> bool:
        """Whether all of it may be saved."""
        parts = [one.is_valid() for one in self.sets.values()] if self.whole else []
        return all(parts) and super().is_valid()

    def clean(self) -> dict[str, Any]:
        """Put every fault at its field."""
        given = super().clean() or {}
        if self.errors or (self.whole and not all(one.is_valid() for one in self.sets.values())):
            return given
        mine = {"key": given.get("key", self.instance.key), **self.values()}
        rows = strategy_rows()
        others = [row for row in rows if row["key"] != mine["key"]]
        for fault in problems([*others, mine], edited_faults(row["rules"] for row in rows)):
            self._blame(fault, str(mine["key"]))
        return given

    def values(self) -> dict[str, Any]:
        """Return what the service takes, of a form without faults so far."""
        given, row = self.cleaned_data, self.instance
        plain = {name: given[name] for name in self.Meta.fields if name in given and name != "key"}
        if not self.whole:
            kept = ("sources", "algorithm", "params", "rules")
            return {**{name: getattr(row, name) for name in kept}, **plain}
        sources = _rows(self.sets["sources"])
        first = sources[0] if sources else {"algorithm": "popularity", "seeds": []}
        return {
            **plain,
            "sources": sources,
            "algorithm": first["algorithm"],
            "params": {"seeds": first["seeds"]},
            "rules": self._rules(given),
        }

    def _rules(self, given: Mapping[str, Any]) -> dict[str, Any]:
        caps = {name: given[f"{name}_cap"] for name in CAPS if given[f"{name}_cap"]}
        after, share = given["fatigue_after"], given["explore_share"]
        tired = {"after": after, "factor": given["fatigue_factor"] or 0.0} if after else None
        explore = {"share": share, "days": given["explore_days"] or 30} if share else None
        told = {
            "filter": given["filter"],
            "boosts": _rows(self.sets["boosts"]),
            "bury": given["bury"],
            "pins": given["pins"],
            "quotas": _rows(self.sets["quotas"]),
            "caps": caps,
            "diversity": given["diversity"] or None,
            "margin": given["margin"] or None,
            "fatigue": tired,
            "exclude_seen": given["exclude_seen"] or None,
            "readmission_days": given["readmission"],
            "exploration": explore,
            "editorial": given["editorial"],
        }
        kept = {name: value for name, value in told.items() if value not in (None, [], {})}
        return kept if given["exclude_cart"] else {**kept, "exclude_cart": False}

    def _blame(self, fault: Problem, key: str) -> None:
        path = fault.path.rpartition("].")[2] if "rules" not in fault.path else fault.path
        name = (
            path.partition("rules.")[2].partition(".")[0].partition("[")[0]
            or path.partition(".")[0]
        )
        field = name if fault.path.startswith(f"[{key}]") and name in self.fields else None
        self.add_error(field, fault.problem if field else f"{fault.path}: {fault.problem}")


def _script(path: str) -> Any:
    return forms.widgets.Script(path, defer=True)


def _told(name: str, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if name != "sources":
        return [dict(row) for row in rows]
    return [
        {"weight": 1.0, **row, "seeds": row.get("seeds", list(default_seeds(row["algorithm"])))}
        for row in rows
    ]


def _rows(held: Any) -> list[dict[str, Any]]:
    rows: Sequence[Any] = [form.row() for form in held.forms if hasattr(form, "cleaned_data")]
    return [row for row in rows if row is not None]


def _filled(text: str) -> Iterable[str]:
    return filter(None, (line.strip() for line in text.splitlines()))
