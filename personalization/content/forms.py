"""Forms of placements, campaigns and blocks: fields that people understand, judged as the API does.

A block is kept as one flat object; here its usual fields are asked for one by one, and whatever
else a storefront reads stands among the other fields.
"""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.urls import reverse_lazy
from django.utils.text import format_lazy

from personalization.content.engine import faults
from personalization.content.models import Block, Campaign, Placement
from personalization.content.selectors import mark_of
from personalization.content.services import CAMPAIGN_FIELDS, PLACEMENT_FIELDS
from personalization.lib.errors import Problem
from personalization.lib.fields import PairsField, show_faults
from recommender.selectors import strategy_titles
from segments import audiences
from segments.engine.language import canonical
from segments.engine.validation import AUDIENCE_KINDS
from segments.forms import OptionalRuleField

# What the default storefront shows of a block; the rest is the shop's own.
CONTENT_FIELDS = ("heading", "text", "image_url", "link", "label")
OTHER = "other"
_CONTENT_LABELS = {"image_url": "Picture (URL)", "link": "Leads to", "label": "Words of the link"}
_CONTENT_HELP = {
    "heading": "Large letters at the top of the block.",
    "text": "A sentence or two below it.",
    "image_url": "Address of a picture, beginning with https:// or /.",
    "link": "Where a click goes: a page of the shop such as /sale/, or a whole address.",
    "label": "What stands on the button, such as Set the table.",
}
_WORDS = {
    "is an address beginning with https://, http:// or /": (
        "write an address that begins with https://, http:// or /"
    ),
    "must be later than starts_at": "the end must come after the start",
    "needs 1 to 100 letters, digits, dots, dashes or underscores": (
        "write 1 to 100 letters, digits, dots, dashes or underscores, beginning with a letter or"
        " digit"
    ),
}


class _Checked(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A form that the rules of `engine/faults.py` judge as the API does.

    `at`
        Paths of problems, or their beginnings, that another field stands for.
    """

    at: Mapping[str, str] = {}

    def problems(self, given: dict[str, Any]) -> list[Problem]:
        """Return what is wrong with the given fields."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """Put every fault at its field."""
        given = super().clean() or {}
        if not self.errors:
            show_faults(self, self.problems(given), fields=self.at, words=_WORDS)
        return given


class _WithContent(_Checked):
    """A form that asks for the fields of a block by name.

    `column`
        The column of the model that holds the block.
    """

    column = "content"

    heading = forms.CharField(required=False, max_length=4000)
    text = forms.CharField(
        required=False, max_length=4000, widget=forms.Textarea({"rows": 3, "class": "vTextField"})
    )
    image_url = forms.CharField(required=False, max_length=4000)
    link = forms.CharField(required=False, max_length=4000)
    label = forms.CharField(required=False, max_length=4000)
    other = PairsField(
        label="Other fields",
        help_text="For developers: what the shop's own page reads besides, one a line (theme:"
        " dark), or the whole block as JSON.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held: Mapping[str, Any] = getattr(self.instance, self.column) or {}
        plain = {name: held[name] for name in CONTENT_FIELDS if isinstance(held.get(name), str)}
        rest = {name: value for name, value in held.items() if name not in plain}
        self.initial = {**plain, OTHER: rest, **self.initial}
        for name in CONTENT_FIELDS:
            field = self.fields[name]
            field.label = _CONTENT_LABELS.get(name, field.label)
            field.help_text = _CONTENT_HELP[name]
            field.widget.attrs.setdefault("class", "vTextField")

    def clean(self) -> dict[str, Any]:
        """Put the block together, then have it judged."""
        given = self.cleaned_data
        given[self.column] = self._block(given)
        setattr(self.instance, self.column, given[self.column])
        return super().clean()

    def _block(self, given: Mapping[str, Any]) -> dict[str, Any]:
        plain = {name: given[name] for name in CONTENT_FIELDS if given.get(name)}
        other: dict[str, Any] = given.get(OTHER) or {}
        for name in plain.keys() & other.keys():
            self.add_error(OTHER, f"“{name}” has a field of its own above; leave it out here.")
        return {**other, **plain}


class PlacementForm(_WithContent):
    """Fields of a placement; which of them count, its kind decides."""

    column = "default_content"
    at = {
        **{f"default_content.{name}": name for name in CONTENT_FIELDS},
        "default_content": OTHER,
    }
    strategy = forms.ChoiceField(
        required=False, help_text="Which products are chosen, and by which rules."
    )

    class Meta:
        model = Placement
        fields = ("key", "title", "kind", "strategy", "count", "active")
        labels = {"kind": "What fills it", "count": "How many products"}
        help_texts = {
            "key": "What the shop's page asks for, such as home.hero. It cannot be changed later.",
            "title": "What colleagues call this spot, such as Top of the home page.",
            "kind": "Content: a campaign's block. Recommendations: products that a strategy"
            " chooses.",
            "count": "At most so many; a page may ask for another number.",
            "active": "Untick to have the spot answer nothing.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance.strategy
        known = strategy_titles()
        gone = [(stored, f"{stored} (there is no such strategy)")]
        missing = stored and stored not in dict(known)
        choices = [("", "(choose one)"), *known, *(gone if missing else [])]
        if "strategy" in self.fields:
            self.fields["strategy"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    def problems(self, given: dict[str, Any]) -> list[Problem]:
        """Judge key and fields."""
        found = [*faults.key_faults(given.get("key", self.instance.key))]
        if given["kind"] == Placement.Kind.RECOMMENDATIONS and not given["strategy"]:
            return [*found, Problem("strategy", "choose the strategy that fills it")]
        return [*found, *faults.placement_faults(self.values())]

    def values(self) -> dict[str, Any]:
        """Return what the service takes."""
        given = self.cleaned_data
        return {name: given[name] for name in PLACEMENT_FIELDS if name in given}


class CampaignForm(_Checked):
    """Fields of a campaign; its status moves by actions.

    `seen` marks the campaign that the page was opened with; no newer one is overwritten.
    """

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    audience = OptionalRuleField(
        label="Audience",
        help_text="Without a condition: everybody. With one: customers for whom it holds at the"
        " moment they look, and who allow personalization; others see the next campaign. A segment"
        " that was just published can be chosen as soon as it has been filled.",
        catalogue_url=format_lazy("{}?for=audience", reverse_lazy("segment-catalogue")),
        kinds=AUDIENCE_KINDS,
        faults=lambda rule: audiences.audience_faults(rule, audiences.present()),
    )

    class Meta:
        model = Campaign
        fields = ("key", "title", "placement", "priority", "starts_at", "ends_at", "audience")
        labels = {"starts_at": "Shows from", "ends_at": "Shows until"}
        help_texts = {
            "key": "Its name in reports and links, such as spring-sale.",
            "placement": "The spot of the shop where it shows.",
            "priority": "Of all campaigns that run in a placement at the same time, the one with"
            " the highest number shows; of equal ones the older.",
            "starts_at": "Empty: as soon as it is published.",
            "ends_at": "Empty: until somebody ends it.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["seen"] = mark_of(self.instance)

    def clean_seen(self) -> str:
        """Refuse to overwrite what a colleague has saved since; whoever saves next waits."""
        seen = str(self.cleaned_data["seen"])
        rows = Campaign.objects.select_for_update().filter(pk=self.instance.pk)
        now = next(iter(rows), None)
        if seen and now is not None and seen != mark_of(now):
            # beside the form: a field that nobody sees cannot tell
            self.add_error(
                None,
                "A colleague has saved this campaign meanwhile: keep a copy of yours,"
                " open it anew.",
            )
        return seen

    def clean_audience(self) -> Any:
        """Return the rule in the form in which it is kept."""
        return canonical(self.cleaned_data["audience"])

    def problems(self, given: dict[str, Any]) -> list[Problem]:
        """Judge key and fields; the audience's field has judged itself."""
        key = given.get("key", self.instance.key)
        found = [*faults.campaign_key_faults(key), *faults.campaign_faults(given)]
        if given["placement"].kind != Placement.Kind.CONTENT:
            found.append(Problem("placement", "this spot shows recommendations, not campaigns"))
        return found

    def values(self) -> dict[str, Any]:
        """Return what the services take."""
        given = {name: self.cleaned_data[name] for name in CAMPAIGN_FIELDS}
        return given | {"placement": given["placement"].key}


class BlockForm(_WithContent):
    """Fields of a block; without a key of its own it is named after its campaign."""

    at = {**{f"content.{name}": name for name in CONTENT_FIELDS}, "content": OTHER}
    # set by `BlockFormSet`
    campaign: Campaign | None = None

    class Meta:
        model = Block
        fields = ("key",)
        labels = {"key": "Key of the block"}
        help_texts = {
            "key": "What reports call this content. Empty: the campaign's key with “-block”."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "key" in self.fields:
            self.fields["key"].required = False

    def clean_key(self) -> str:
        """Return the key; one that is empty comes from the campaign, as soon as that has one."""
        given, named = str(self.cleaned_data["key"]), self.campaign.key if self.campaign else ""
        return given or (f"{named}-block"[:100] if not [*faults.key_faults(named)] else "")

    def problems(self, given: dict[str, Any]) -> list[Problem]:
        """Judge key and content."""
        # an empty one here: the campaign's key is at fault, and says so at its own field
        own = faults.key_faults(given["key"]) if given["key"] else ()
        return [*own, *faults.content_faults(given["content"])]


class BlockFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]  # not generic at run time
    """The one block of a campaign, which its form gets to know."""

    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        form = super()._construct_form(i, **kwargs)  # type: ignore[misc]  # not in the stubs
        form.campaign = self.instance
        return form
