"""The field of a rule: JSON in, every fault out with its path, what was typed stays as typed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from django import forms

from personalization.lib.errors import Problem
from segments.forms import MAX_RULE_CHARS, RuleField

LEAF = '{"kind": "segment", "key": "vip"}'


def two_faults(_rule: Mapping[str, Any]) -> Sequence[Problem]:
    return [Problem("and[0].event", "is unknown"), Problem("and[1]", "is empty")]


class RuleForm(forms.Form):
    rule = RuleField(catalogue_url="/names", preview_url="/count", kinds=("count", "segment"))
    judged = RuleField(required=False, faults=two_faults)


def form(**data: str) -> RuleForm:
    return RuleForm(data)


def test_rule_field__an_object__is_cleaned() -> None:
    given = form(rule=LEAF)

    assert given.is_valid()
    assert given.cleaned_data == {"rule": {"kind": "segment", "key": "vip"}, "judged": None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Add at least one condition."),
        ("{", "Enter a valid JSON."),
        ("[1]", "A rule is a JSON object."),
        ('{"and": [], "and": []}', "A member is there twice: and."),
        ('{"kind": "score", "value": NaN}', "NaN is no number of JSON."),
        ('{"not":' * 3000 + "1" + "}" * 3000, "The rule is nested too deeply."),
        (" " * (MAX_RULE_CHARS + 1), f"The rule is longer than {MAX_RULE_CHARS} characters."),
    ],
)
def test_rule_field__no_rule__is_refused_and_shown_as_it_was_typed(text: str, said: str) -> None:
    given = form(rule=text)

    assert given.errors["rule"] == [said]
    assert given["rule"].value() == text


def test_rule_field__faults_of_the_language__all_become_errors_with_paths() -> None:
    given = form(rule=LEAF, judged=LEAF)

    assert given.errors["judged"] == ["Condition 1, event: is unknown.", "Condition 2: is empty."]


def test_rule_widget__drawn__tells_its_script_and_holds_the_json() -> None:
    drawn = str(RuleForm(initial={"rule": {"kind": "segment", "key": "ü<"}})["rule"])

    assert 'data-catalogue-url="/names" data-preview-url="/count"' in drawn
    assert 'data-kinds="count segment"' in drawn
    assert "&quot;key&quot;: &quot;ü&lt;&quot;" in drawn
    assert "<script" not in drawn


def test_rule_widget__media__is_deferred_scripts_in_order() -> None:
    media = str(RuleForm().media)

    assert media.count("defer") == media.count("<script")
    # with or without the hash of collected files in their names
    first, last = (re.search(rf"rules/{name}(\.\w+)?\.js", media) for name in ("json", "builder"))
    assert first is not None
    assert last is not None
    assert first.start() < last.start()
