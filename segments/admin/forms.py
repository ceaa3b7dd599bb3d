"""Forms of the segments' pages: a new one, its draft, a list; faults stand at their fields."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse_lazy
from django.utils.text import format_lazy

from personalization.lib.errors import AppError, Problem
from segments import lists, selectors, services
from segments.engine.validation import faults
from segments.faultwords import sentence
from segments.forms import RuleField
from segments.models import Segment, SegmentVersion
from segments.wire import lines_of

_KEY_WORDS = "Use small letters, digits, - and _, without spaces."
# A million ids of forty characters.
MAX_FILE_BYTES = 64 * 1024 * 1024


class _RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Title, description and a rule that the rule builder edits."""

    rule = RuleField(
        label="Who is in it",
        catalogue_url=reverse_lazy("segment-catalogue"),
        preview_url=format_lazy("{}?faults=words", reverse_lazy("segment-preview")),
    )

    class Meta:
        model = Segment
        fields: tuple[str, ...] = ("title", "description")
        widgets = {"description": forms.Textarea(attrs={"rows": 2, "class": "vTextField"})}

    def own_key(self) -> str:
        """Return the key that the rule must not name."""
        return str(self.instance.key)

    def clean(self) -> dict[str, Any]:
        """Put every fault of the rule at its field, each with its condition."""
        given = super().clean() or {}
        rule = given.get("rule")
        found = faults(rule, selectors.catalogue(), own_key=self.own_key()) if rule else []
        if found:
            self.add_error("rule", _errors(found))
        return given


class NewSegmentForm(_RuleForm):
    """A segment that is not there yet."""

    class Meta(_RuleForm.Meta):
        fields = ("title", "key", "description")
        help_texts = {
            "title": "What colleagues call these people, such as Loyal but lapsing.",
            "key": "What rules and the storefront call it. It cannot be changed later.",
        }

        error_messages = {"key": {"invalid": _KEY_WORDS}}

    def own_key(self) -> str:
        """Return the key that was typed."""
        return str(self.cleaned_data.get("key", ""))

    def clean_key(self) -> str:
        """Refuse what cannot be a key."""
        key = str(self.cleaned_data["key"])
        try:
            services.check_key(key)
        except AppError as error:
            raise ValidationError([one.problem for one in error.details]) from error
        return key


class DraftForm(_RuleForm):
    """A segment's texts and its draft; what is in force stays as it is.

    `seen` marks the draft that the page was opened with; the service overwrites no newer one.
    `number` names the version to begin with, where it is not the newest.
    """

    number: int | None = None

    note = forms.CharField(
        max_length=200,
        required=False,
        label="What changed",
        help_text="For colleagues; it stands beside the version.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source = self._source(self.instance)
        if source is not None:
            self.initial.update(rule=source.rule, note=_note(source))
        self.initial["seen"] = selectors.mark_of(_draft(self.instance))

    def _source(self, row: Segment) -> SegmentVersion | None:
        """Return the version that editing begins with: the draft, what is in force, the newest."""
        rows = list(row.versions.all())
        asked = next((one for one in rows if one.number == self.number), None)
        return asked or _draft(row) or row.published or (rows[0] if rows else None)


class ListTextForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The texts of a list, which has no rule to edit."""

    class Meta(_RuleForm.Meta):
        pass


class UploadForm(forms.Form):
    """A file of ids, or ids that were pasted."""

    title = forms.CharField(
        max_length=200,
        required=False,
        label="Title",
        help_text="What colleagues call the list; empty keeps the one it has.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    key = forms.SlugField(
        max_length=60,
        error_messages={"invalid": _KEY_WORDS},
        label="Key",
        help_text="Of a new list, or of the one to change. Small letters, digits, - and _.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    file = forms.FileField(
        required=False,
        label="File",
        help_text="One id a line, or CSV with a column user_id, anonymous_id, uuid or id.",
    )
    ids = forms.CharField(
        required=False,
        label="Or ids",
        help_text="One a line.",
        widget=forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"}),
    )
    replace = forms.BooleanField(
        required=False,
        label="Replace the list",
        help_text="Whoever is not in the file leaves it.",
    )

    def clean(self) -> dict[str, Any]:
        """Ask for one source of ids, and for a file that can be read in one go."""
        given = super().clean() or {}
        file, ids = given.get("file"), given.get("ids", "").strip()
        if bool(file) == bool(ids) and "file" not in self.errors:
            self.add_error("file", "Choose a file, or type ids below: one of both.")
        if file and file.size > MAX_FILE_BYTES:
            self.add_error("file", f"At most {lists.MAX_LINES:,} lines; send several lists.")
        return given

    def lines(self) -> Iterable[str]:
        """Return the lines that were given."""
        given = self.cleaned_data
        if given["file"]:
            return lines_of({"file": given["file"]})
        return str(given["ids"]).splitlines()


def _errors(found: Sequence[Problem]) -> list[ValidationError]:
    return [ValidationError(sentence(one)) for one in found]


def _draft(row: Segment) -> SegmentVersion | None:
    drafts = row.versions.filter(status=SegmentVersion.Status.DRAFT)
    return drafts.first()


def _note(version: SegmentVersion) -> str:
    """Return the note of a draft; a new one begins without."""
    return version.note if version.status == SegmentVersion.Status.DRAFT else ""
