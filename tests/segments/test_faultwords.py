"""Faults of rules as the rule builder tells them."""

from typing import Any

import pytest

from personalization.lib.errors import Problem
from segments.engine.catalogue import Catalogue, EventType
from segments.engine.validation import faults
from segments.faultwords import blanks, in_words, sentence

WORDS = Catalogue(events={"Product Viewed": EventType("Product Viewed", "Product Viewed")})


def counted(**members: Any) -> dict[str, Any]:
    leaf = {"kind": "count", "event": "Product Viewed", "op": "gte", "value": 1}
    return {"and": [{**leaf, "window": {"type": "last", "seconds": 60}, **members}]}


def test_sentence__no_days__the_condition_and_what_to_give() -> None:
    [found] = faults(counted(window={"type": "last", "seconds": 0}), WORDS)

    assert found.path == "and[0].window.seconds"
    words = "Condition 1, time: give a length of time above 0, and at most 3,660 days."
    assert sentence(found) == words


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("", "The rule:"),
        ("or[1]", "Condition 2:"),
        ("kind", "The rule, kind:"),
        ("and[2].value", "Condition 3, value:"),
        ("not.or[0].and[1].where[0].value", "Condition 1.2, value:"),
    ],
)
def test_sentence__path__numbers_as_the_builder(path: str, begins: str) -> None:
    assert sentence(Problem(path, "is odd")).startswith(begins)


@pytest.mark.parametrize(
    ("api", "form"),
    [
        ("is a text; send a number, without quotes", "write a number"),
        ("send a version such as 1.4.0", "give a version such as 1.4.0"),
        ("there is no event 'x'", "there is no event 'x'"),
    ],
)
def test_in_words__known_and_other__in_words(api: str, form: str) -> None:
    assert in_words(Problem("", api)) == form


@pytest.mark.parametrize(
    ("op", "value", "blank"),
    [
        ("eq", "", True),
        ("neq", "", True),
        ("in", ["a", ""], True),
        ("eq", "a", False),
        ("in", ["a"], False),
        ("exists", None, False),
        ("contains", "", False),
    ],
)
def test_blanks__comparison__with_nothing_alone(op: str, value: Any, blank: bool) -> None:
    rule = counted(where=[{"key": "brand", "op": op, "value": value}])

    assert [one.path for one in blanks(rule)] == (["and[0].where[0].value"] if blank else [])


@pytest.mark.parametrize("rule", [None, [], "x", {"and": None}, {"op": [], "value": ""}])
def test_blanks__no_rule__nothing(rule: Any) -> None:
    assert list(blanks(rule)) == []
