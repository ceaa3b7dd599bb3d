"""Form fields for people: what they show comes back as it was."""

from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError

from personalization.lib.errors import Problem
from personalization.lib.fields import LinesField, MoneyField, PairsField, Price, show_faults


@pytest.mark.parametrize(
    ("amount", "currency", "price"),
    [
        ("8.90", "EUR", Price(890, "EUR")),
        ("8.9", "eur", Price(890, "EUR")),
        ("1200", "JPY", Price(1200, "JPY")),
        ("", "EUR", Price(None, "EUR")),
        ("", "", Price(None, "")),
    ],
)
def test_money__amount_and_currency__minor_units(amount: str, currency: str, price: Price) -> None:
    assert MoneyField().clean([amount, currency]) == price


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [("8.90", "", "currency"), ("8.905", "EUR", "2 decimals"), ("8.9", "JPY", "0 decimals")],
)
def test_money__what_cannot_be__told(amount: str, currency: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MoneyField().clean([amount, currency])


@pytest.mark.parametrize(
    ("price", "shown"),
    [(Price(890, "EUR"), ["8.90", "EUR"]), (Price(1200, "JPY"), ["1200", "JPY"])],
)
def test_money__stored__shown_as_people_write_it(price: Price, shown: list[str]) -> None:
    assert MoneyField.widget().decompress(price) == shown


def test_lines__list__there_and_back() -> None:
    field = LinesField()

    shown = field.prepare_value(["mugs", "tea: green"])

    assert shown == "mugs\ntea: green"
    assert field.clean(shown + "\n\n") == ["mugs", "tea: green"]
    assert not field.has_changed(["mugs", "tea: green"], shown)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"material": "oak", "margin": 0.4, "new": True, "gone": None},
        {"size": "42", "flag": "true", "word": "null", "quoted": '"x"'},
        {"odd name: really": "a: b", '"q"': "x", "{": "y", " edge ": " edge "},
        {
            "lines": "a\nb",
            "ends": "a\u2028b",
            "list": ["a", 1],
            "inner": {"deep": []},
            "nan": "NaN",
            "empty": "",
        },
    ],
)
def test_pairs__object__there_and_back(value: dict[str, Any]) -> None:
    field = PairsField()

    shown = field.prepare_value(value)

    assert field.clean(shown) == value
    assert not field.has_changed(value, shown)


def test_pairs__json__taken_too() -> None:
    assert PairsField().clean('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize("text", ["oak", "a: 1\na: 2", '{"a": ', '"a', ": x"])
def test_pairs__no_pairs__told(text: str) -> None:
    with pytest.raises(ValidationError):
        PairsField().clean(text)


class _Form(forms.Form):
    link = forms.CharField()
    end = forms.CharField()


def test_show_faults__path_of_a_field__there_in_its_words() -> None:
    form = _Form({"link": "x", "end": "y"})
    found = [
        Problem("content.link", "is no address"),
        Problem("ends_at", "must be later than starts_at"),
        Problem("end.theme", "is odd"),
        Problem("other", "is odd"),
    ]

    show_faults(
        form,
        found,
        fields={"content.link": "link", "ends_at": "end"},
        words={"must be later than starts_at": "the end must come after the start"},
    )

    assert form.errors == {
        "link": ["Is no address."],
        "end": ["The end must come after the start.", "theme: is odd."],
        "__all__": ["other: is odd"],
    }
