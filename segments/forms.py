"""A rule as a form field: JSON in, the parsed object out, every fault with its path."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from personalization.lib.errors import Problem
from personalization.lib.http import nested_deeper
from personalization.lib.parsers import MAX_LEVELS
from personalization.lib.storable import unstorable
from segments.engine.language import given
from segments.faultwords import blanks, sentence
from segments.widgets import RuleWidget

# A rule within the cost limit is far smaller; this only keeps somebody from parsing megabytes.
MAX_RULE_CHARS = 200_000

Judge = Callable[[Mapping[str, Any]], Sequence[Problem]]


def _none(_rule: Mapping[str, Any]) -> Sequence[Problem]:
    """Find no fault: for fields whose rules are judged where they are saved."""
    return ()


class RuleField(forms.JSONField):
    """A rule of docs/rules.md, edited by the rule builder.

    `faults` judges a rule that can be read; its problems become the field's errors, each with
    the condition that it is about. `catalogue_url`, `preview_url` and `kinds` are the widget's.
    """

    default_error_messages = {
        "required": _("Add at least one condition."),
        "no_object": _("A rule is a JSON object."),
        "too_long": _("The rule is longer than %(limit)s characters."),
        "doubled": _("A member is there twice: %(name)s."),
        "no_number": _("%(name)s is no number of JSON."),
        "too_deep": _("The rule is nested too deeply."),
    }

    def __init__(
        self,
        *,
        catalogue_url: str | Promise = "",
        preview_url: str | Promise = "",
        kinds: Sequence[str] = (),
        faults: Judge = _none,
        **options: Any,
    ) -> None:
        self._faults = faults
        options.setdefault(
            "widget",
            RuleWidget(catalogue_url=catalogue_url, preview_url=preview_url, kinds=kinds),
        )
        super().__init__(**options)

    def to_python(self, value: Any) -> Any:
        """Return the rule as an object, None where nothing was given and nothing is required."""
        if isinstance(value, str) and len(value) > MAX_RULE_CHARS:
            raise self._error("too_long", limit=MAX_RULE_CHARS)
        if isinstance(value, str):
            self._refuse_odd(value)
        rule = super().to_python(value)
        if rule is not None and not isinstance(rule, dict):
            raise self._error("no_object")
        if nested_deeper(rule, MAX_LEVELS):
            raise self._error("too_deep")
        return rule

    def validate(self, value: Any) -> None:
        """Refuse what is missing and what `faults` finds, all of it at once."""
        super().validate(value)
        if value is None:
            return
        found = [*self._faults(value), *blanks(value)]
        problems = [ValidationError(sentence(one)) for one in found]
        if problems:
            raise ValidationError(problems)

    def prepare_value(self, value: Any) -> Any:
        """Return the text for the textarea: what somebody typed stays as it was typed."""
        if isinstance(value, InvalidJSONInput) or value is None:
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was sent, letter by letter: reading it here would lose what was wrong."""
        return (
            InvalidJSONInput(data) if isinstance(data, str) else super().bound_data(data, initial)
        )

    def _refuse_odd(self, text: str) -> None:
        """Refuse what Python's parser takes although it is no JSON, or would drop."""
        try:
            json.loads(text, object_pairs_hook=self._members, parse_constant=self._constant)
        except json.JSONDecodeError:
            return  # Django's own message says so
        except RecursionError:
            raise self._error("too_deep") from None
        except ValueError:
            # so many digits Python does not read
            raise self._error("no_number", name=_("So long a number")) from None

    def _members(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return the members of an object; Python's own parser would drop the first of two."""
        names = [name for name, _value in pairs]
        for name in names:
            if names.count(name) > 1:
                raise self._error("doubled", name=name)
        return dict(pairs)

    def _constant(self, name: str) -> Any:
        raise self._error("no_number", name=name)

    def _error(self, code: str, **params: Any) -> ValidationError:
        return ValidationError(self.error_messages[code], code=code, params=params)


class OptionalRuleField(RuleField):
    """A rule that may be left out; a builder without a condition means none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)
        self.widget.attrs["rows"] = 3

    def to_python(self, value: Any) -> Any:
        """Return the rule, None for none."""
        rule = super().to_python(value)
        unkept = next(unstorable(rule), None)
        if unkept is not None:
            # a draft is kept before it is judged
            raise ValidationError(sentence(unkept))
        return given(rule)
