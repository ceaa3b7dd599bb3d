"""The form of an event type: its properties as rows, or as JSON for experts."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from personalization.events import registry, tail
from personalization.events.engine.property_rows import (
    Row,
    by_use,
    properties_of,
    rows_of,
    settled,
)
from personalization.events.engine.schema import TYPES
from personalization.events.engine.taxonomy import FACTS
from personalization.events.models import EventSchema
from personalization.lib.errors import AppError

# Empty rows for more properties; saving gives new ones.
_SPARE = 5
# A form has at most 1,000 values (DATA_UPLOAD_MAX_NUMBER_FIELDS), and a row up to eight.
_MAX_ROWS = 100
_PREFIX = "rows"
# A type of the registry as the form calls it.
_TYPE_TITLES: Mapping[str, str] = {
    "string": "text",
    "id": "id",
    "number": "number",
    "boolean": "true or false",
    "datetime": "date and time",
    "list": "list",
    "objects": "list of objects",
    "object": "object",
}
_NUMBER = {"step": "any", "class": "vNumberField"}


def _number(label: str) -> forms.FloatField:
    return forms.FloatField(required=False, label=label, widget=forms.NumberInput(_NUMBER))


class PropertyForm(forms.Form):
    """One property that events of the type may carry."""

    name = forms.CharField(required=False, label="Property")
    type = forms.ChoiceField(
        required=False,
        label="Holds",
        choices=[("", "(choose)"), *((one, _TYPE_TITLES[one]) for one in TYPES)],
    )
    required = forms.BooleanField(required=False, label="Required")
    stand_ins = forms.CharField(required=False, label="Or instead")
    least = _number("At least")
    most = _number("At most")
    title = forms.CharField(required=False, label="Rules call it")

    def clean(self) -> dict[str, Any]:
        """Say what a row lacks."""
        given = super().clean() or {}
        if given.get("DELETE") or not any(given.values()):
            return given
        if not given.get("name"):
            self.add_error("name", "Write the property as events carry it, or remove the row.")
        if not given.get("type") and "type" not in self.errors:
            self.add_error("type", "Choose what it holds, such as text.")
        return given

    def row(self) -> Row | None:
        """Return the property, None for a row that is empty or taken away."""
        given = self.cleaned_data
        if given.get("DELETE") or not given.get("name"):
            return None
        names = (one.strip() for one in given["stand_ins"].split(","))
        return Row(
            name=given["name"],
            type=given["type"],
            required=given["required"],
            stand_ins=tuple(filter(None, names)),
            least=_plain(given["least"]),
            most=_plain(given["most"]),
            title=given["title"],
        )


_Rows = forms.formset_factory(
    PropertyForm, extra=_SPARE, can_delete=True, max_num=_MAX_ROWS + _SPARE
)


class EventTypeForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An event type; its description is checked as `registry.check_type` does.

    `rows` holds the properties, one a row; it is None where they are JSON: for who asks for that
    (`as_json`), or sends it, and where rows could not say what is stored.
    """

    as_json = False
    fact = forms.ChoiceField(
        choices=[(fact, fact or "nothing more than its name") for fact in FACTS],
        required=False,
        label="Understood as",
        help_text="What profiles and recommendations take the event for.",
    )

    class Meta:
        model = EventSchema
        fields = ("name", "title", "fact", "properties")
        labels = {"properties": "Properties as JSON"}
        help_texts = {
            "name": "As the shop sends it, such as Level Reached.",
            "title": "What rules and pages call it; empty: its name.",
            "properties": (
                'For example {"level": {"type": "number", "required": true, "min": 0}}. Types: '
                "string, id, number, boolean, datetime, list, objects, object."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = rows_of(self.instance.properties)
        self.in_rows_possible = stored is not None and len(stored) <= _MAX_ROWS
        wanted = self.in_rows_possible and not self.as_json
        self.rows = None
        # who may only look gets a form without the fields that would be saved
        if "properties" in self.fields and (
            f"{_PREFIX}-TOTAL_FORMS" in self.data if self.is_bound else wanted
        ):
            initial = None if self.is_bound else self._initial(stored or ())
            self.rows = _Rows(self.data or None, prefix=_PREFIX, initial=initial)

    def _initial(self, stored: Sequence[Row]) -> list[dict[str, Any]]:
        shares = tail.carried().get(self.instance.name, {}) if stored else {}
        return [_initial(row) for row in by_use(stored, shares)]

    def is_valid(self) -> bool:
        """Whether all of it may be saved."""
        return (self.rows is None or self.rows.is_valid()) and super().is_valid()

    def clean(self) -> dict[str, Any]:
        """Name every fault of the description."""
        data: dict[str, Any] = super().clean() or {}
        if self.rows is not None:
            # an empty value that was not sent would leave what is stored
            data["properties"] = self.instance.properties = self._read(self.rows)
        if not self.errors:
            try:
                registry.check_type(
                    name=data.get("name", self.instance.name),
                    fact=data.get("fact", ""),
                    properties=data.get("properties", {}),
                )
            except AppError as error:
                for fault in error.details:
                    self.add_error(None, f"{fault.path} {fault.problem}")
        return data

    def _read(self, rows: Any) -> Any:
        """Return the description that the rows give; each fault stands at its row, and on top."""
        stored = self.instance.properties
        found = stored
        if rows.is_valid():
            kept = [form for form in rows.forms if form.row() is not None]
            found, faults = properties_of([form.row() for form in kept])
            for fault in faults:
                kept[fault.at].add_error(fault.field, fault.fix)
        for number, form in enumerate(rows.forms, 1):
            gone = form.cleaned_data.get("DELETE")
            for text in [] if gone else [text for texts in form.errors.values() for text in texts]:
                self.add_error(None, f"Row {number}: {text}")
        for text in rows.non_form_errors():
            self.add_error(None, text)
        # what the rows do not change stays as it was written
        return stored if self.in_rows_possible and settled(stored) == found else found


def _initial(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "type": row.type,
        "required": row.required,
        "stand_ins": ", ".join(row.stand_ins),
        "least": _plain(row.least),
        "most": _plain(row.most),
        "title": row.title,
    }


def _plain(number: float | None) -> float | None:
    """Return a whole number without its decimal point."""
    return int(number) if number is not None and float(number).is_integer() else number
