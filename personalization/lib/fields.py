"""Form fields for people instead of for machines: money, lists by lines, names with values.

Also the one way in which faults of our own checks come to stand at the fields of a form.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst

from personalization.lib import money
from personalization.lib.errors import Problem


def show_faults(
    form: forms.BaseForm,
    problems: Iterable[Problem],
    *,
    fields: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
) -> None:
    """Put each problem at the field that its path begins with; what fits no field, on top.

    `fields` gives paths (`content.link`) or their beginnings (`content`) other fields than those of
    the same name; `words` replaces sentences of the API (`must be later than starts_at`) by those
    of the form.
    """
    for problem in problems:
        name, rest = field_of(problem.path, fields or {})
        text = (words or {}).get(problem.problem, problem.problem)
        if name not in form.fields:
            form.add_error(None, f"{problem.path}: {text}" if problem.path else text)
            continue
        form.add_error(name, f"{rest}: {text}." if rest else f"{capfirst(text)}.")


def field_of(path: str, fields: Mapping[str, str] = MappingProxyType({})) -> tuple[str, str]:
    """Return the name of the field that a path means, and what of the path it does not say."""
    begin, _, rest = path.partition(".")
    begin = begin.partition("[")[0]
    if path in fields:
        return fields[path], ""
    return fields.get(begin, begin), rest


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in minor units (None: none is known) and its ISO 4217 currency."""

    minor: int | None
    currency: str


class _PriceWidget(forms.MultiWidget):
    def __init__(self) -> None:
        super().__init__(
            [
                forms.NumberInput({"step": "any", "min": "0", "aria-label": "Amount"}),
                forms.TextInput(
                    {"size": 4, "maxlength": 3, "aria-label": "Currency", "placeholder": "EUR"}
                ),
            ]
        )

    def decompress(self, value: Any) -> list[Any]:
        """Return amount and currency of a `Price`."""
        if not isinstance(value, Price):
            return [None, ""]
        places = money.digits(value.currency)
        minor = value.minor
        amount = None if minor is None else f"{Decimal(minor).scaleb(-places):.{places}f}"
        return [amount, value.currency]


class MoneyField(forms.MultiValueField):
    """An amount as people write it, with its currency; comes out as a `Price`."""

    widget = _PriceWidget

    def __init__(self, **options: Any) -> None:
        parts = (
            forms.DecimalField(required=False, min_value=0, max_value=Decimal(10) ** 12),
            forms.CharField(required=False, max_length=3),
        )
        super().__init__(parts, required=False, require_all_fields=False, **options)

    def compress(self, data_list: Any) -> Price:
        """Return the price of amount and currency."""
        amount, currency = data_list or (None, "")
        currency = (currency or "").strip().upper()
        if amount is None:
            return Price(None, currency)
        if not currency:
            msg = "Give the currency of the amount, such as EUR."
            raise ValidationError(msg)
        minor = money.to_minor(amount, currency)
        places = money.digits(currency)
        if minor is None or Decimal(minor).scaleb(-places) != amount:
            msg = f"Write an amount of {currency} with at most {places} decimals."
            raise ValidationError(msg)
        return Price(minor, currency)


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea({"rows": 3, "class": "vLargeTextField"})
        super().__init__(required=False, widget=widget, **options)

    def prepare_value(self, value: Any) -> Any:
        """Return the list as lines; what was typed stays."""
        return "\n".join(map(str, value)) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        """Return the filled lines."""
        text = super().to_python(value) or ""
        return [line.strip() for line in text.splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other lines were sent."""
        return bool(self.to_python(data) != list(initial or []))


class PairsField(forms.CharField):
    """Names with values, one a line (`material: oak`); a whole JSON object will do, too.

    A value that reads as JSON is what it says: 0.4 a number, true a yes, ["a"] a list. Text that
    would be mistaken for such stands in quotes.
    """

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea({"rows": 4, "class": "vLargeTextField", "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **options)

    def prepare_value(self, value: Any) -> Any:
        """Return the object as lines; what was typed stays."""
        if not isinstance(value, Mapping):
            return value
        return "\n".join(f"{_name_text(name)}: {_value_text(one)}" for name, one in value.items())

    def to_python(self, value: Any) -> Any:
        """Return the object that the lines, or the JSON, say."""
        text = super().to_python(value) or ""
        if text.startswith("{"):
            return _whole_object(text)
        found: dict[str, Any] = {}
        for line in filter(None, map(str.strip, text.splitlines())):
            name, one = _pair(line)
            if name in found:
                msg = f"“{name}” stands on two lines."
                raise ValidationError(msg)
            found[name] = one
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other names or values were sent."""
        try:
            return bool(self.to_python(data) != (initial or {}))
        except ValidationError:
            return True


def _whole_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"This begins like JSON and is none: {error}."
        raise ValidationError(msg) from error
    assert isinstance(found, dict)  # noqa: S101 -- it begins with a brace
    return found


def _pair(line: str) -> tuple[str, Any]:
    if line.startswith('"'):
        try:
            name, end = json.JSONDecoder().raw_decode(line)
        except ValueError:
            name, end = "", 0
        colon, value = line[end:].strip()[:1], line[end:].strip()[1:]
    else:
        name, colon, value = line.partition(":")
    if not name.strip() or colon != ":":
        msg = f"“{line[:60]}”: write a name, a colon and a value, such as “material: oak”."
        raise ValidationError(msg)
    return (name if line.startswith('"') else name.strip()), _value(value.strip())


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(text: str) -> Any:
    """NaN and Infinity are no JSON: they are words."""
    raise ValueError(text)


def _value_text(value: Any) -> str:
    plain = isinstance(value, str) and value == value.strip() and value.isprintable()
    return str(value) if plain and _value(value) == value else _dumped(value)


def _name_text(name: str) -> str:
    plain = name and name == name.strip() and name.isprintable() and ":" not in name
    return name if plain and name[0] not in '"{' else _dumped(name)


def _dumped(value: Any) -> str:
    """Return JSON on one line: Unicode has line ends of its own, which are written as escapes."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)
