"""The form by which people have clusters learnt; faults stand at their fields, with the fix."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.forms.boundfield import BoundWidget
from django.utils.html import format_html

from personalization.lib.errors import Unprocessable
from personalization.lib.fields import show_faults
from personalization.lib.keys import key_fault
from segments.learning import registry, services
from segments.learning.engine.catalogue import FEATURES, NAMES
from segments.learning.engine.methods import METHODS, SETTINGS
from segments.learning.engine.recipes import Recipe
from segments.models.learning import LearnedModel

# What features are about, as people look for them -> families of the catalogue.
SUBJECTS: Mapping[str, Sequence[str]] = {
    "How lately": ("recency", "order recency", "tenure"),
    "Visits": ("activity", "recent activity", "depth"),
    "Orders and money": (
        "orders", "recent orders", "spending", "recent spending", "basket", "rhythm", "overdue",
        "refunds", "discount",
    ),
    "Looking and choosing": ("recent views", "views", "recent adds", "intent", "search"),
    "Taste": ("price", "price spread", "variety", "brand"),
    "Device and time": ("device", "hour", "weekend"),
}  # fmt: skip
# Where the catalogue speaks to statisticians.
_PLAIN = {
    "price_spread": "how much the prices of those products differ",
    "category_bits": "how evenly interest is spread over categories",
    "brand_bits": "how evenly interest is spread over brands",
    "order_overdue": "how overdue the next order is, by their own rhythm",
}
_METHOD = '<span>{} <span class="note">{}</span></span>'
_TEXT = {"class": "vTextField"}
_K, _SHARE, _REACH = (SETTINGS[name] for name in ("k", "least_share", "reach"))
_SHARE_FIX = f"Give {100 * _SHARE.least:g} to {100 * _SHARE.most:g} percent; 2 is usual."
_K_FIX = f"Give {_K.least:g} to {_K.most:g}, or nothing to have the number found."
_REACH_FIX = f"Give {_REACH.least:g} to {_REACH.most:g}, or nothing to have it found."


def plain_name(feature: str) -> str:
    """Return what a feature is called where people tick it."""
    meaning = next(one.meaning for one in FEATURES if one.name == feature)
    said = _PLAIN.get(feature, meaning.partition(";")[0])
    return said[:1].upper() + said[1:]


def _faults(least: str, most: str, invalid: str) -> dict[str, str]:
    return {"min_value": least, "max_value": most, "invalid": invalid}


class ClusterForm(forms.Form):
    """Which method groups customers, by what of them; `recipe` is there once it is valid."""

    recipe: Recipe

    title = forms.CharField(
        max_length=200,
        label="Name",
        help_text="What colleagues call these groups, such as Kinds of regulars.",
        widget=forms.TextInput(_TEXT),
    )
    key = forms.CharField(
        max_length=60,
        label="Key",
        help_text="Rules read the number of somebody's group as the score cluster:KEY. The key of"
        " groups that are there makes their next version.",
        widget=forms.TextInput(_TEXT),
    )
    algorithm = forms.ChoiceField(
        label="Method",
        choices=[
            (key, format_html(_METHOD, one.title, one.meaning)) for key, one in METHODS.items()
        ],
        widget=forms.RadioSelect,
    )
    k = forms.IntegerField(
        required=False,
        min_value=int(_K.least),
        max_value=int(_K.most),
        label="Number of groups",
        help_text="Empty: chosen by silhouette and stability, which the page then shows.",
        error_messages=_faults(_K_FIX, _K_FIX, _K_FIX),
    )
    least_share = forms.FloatField(
        required=False,
        min_value=100 * _SHARE.least,
        max_value=100 * _SHARE.most,
        label="Smallest group, percent of customers",
        help_text="Smaller crowds are no group. Empty: 2.",
        widget=forms.NumberInput({"step": "any"}),
        error_messages=_faults(_SHARE_FIX, _SHARE_FIX, _SHARE_FIX),
    )
    reach = forms.FloatField(
        required=False,
        min_value=_REACH.least,
        max_value=_REACH.most,
        label="Reach of a neighbour",
        help_text="How near customers of one group lie, in interquartile ranges. Empty: found from"
        " the data.",
        widget=forms.NumberInput({"step": "any"}),
        error_messages=_faults(_REACH_FIX, _REACH_FIX, _REACH_FIX),
    )
    features = forms.MultipleChoiceField(
        label="What takes part",
        choices=[(name, plain_name(name)) for name in NAMES],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Tick at least one."},
    )

    def __init__(self, *args: Any, model: LearnedModel | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = {"algorithm": "kmeans", "features": list(NAMES)}
        if model is not None:
            self.initial |= _initial_of(registry.recipe_of(model))

    def subjects(self) -> Iterator[tuple[str, list[BoundWidget]]]:
        """Yield each subject with the boxes of its features."""
        boxes = {one.data["value"]: one for one in self["features"].subwidgets}
        for title, families in SUBJECTS.items():
            mine = (one.name for one in FEATURES if one.family in families)
            yield title, [boxes[name] for name in mine]

    def clean_key(self) -> str:
        """Refuse what cannot be a key."""
        key = str(self.cleaned_data["key"])
        fix = key_fault(key)
        if fix:
            raise forms.ValidationError(f"{fix[:1].upper()}{fix[1:]}.")
        return key

    def clean(self) -> dict[str, Any]:
        """Make the recipe; a setting that the method does not have was not seen, and is dropped."""
        given = super().clean() or {}
        if self.errors:
            return given
        reads = METHODS[given["algorithm"]].reads
        value = given[reads]
        settings = (
            {} if value is None else {reads: value / 100 if reads == "least_share" else value}
        )
        features = given["features"]
        try:
            self.recipe = services.cluster_recipe(
                given["key"],
                title=given["title"],
                algorithm=given["algorithm"],
                features_used=() if len(features) == len(NAMES) else features,
                **settings,
            )
        except Unprocessable as error:
            show_faults(self, error.details)
        return given


def _initial_of(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as the form says it."""
    config = recipe.config
    share = config.get("least_share")
    return {
        "title": recipe.title,
        "key": recipe.key,
        "algorithm": config["algorithm"],
        "k": config.get("k") or None,
        "least_share": None if share is None else round(100 * share, 4),
        "reach": config.get("reach") or None,
        "features": list(config.get("features") or NAMES),
    }
