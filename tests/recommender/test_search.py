"""The search of settings: what it finds, when it ends, what it starts from."""

from dataclasses import fields

import pytest

from recommender.engine.algorithms import RECIPES
from recommender.engine.search import SPACES, Settings, Span, searched

SPACE = {"power": Span(0.0, 1.0), "count": Span(1, 100, log=True)}


def hill(settings: Settings) -> float:
    """Highest at power .7 and count 30."""
    return float(-((settings["power"] - 0.7) ** 2) - (settings["count"] / 30 - 1) ** 2)


def test_searched__a_hill__climbed_and_the_same_again() -> None:
    first, second = (
        searched(SPACE, {"power": 0.0, "count": 1}, hill, spent=lambda: False, trials=60)
        for _ in range(2)
    )

    assert first == second
    settings, value = first
    assert value > -0.05
    assert isinstance(settings["count"], int)


def test_searched__budget_spent__the_settings_to_beat_alone() -> None:
    found, value = searched(SPACE, {"power": 0.5, "count": 500}, hill, spent=lambda: True)

    assert found == {"power": 0.5, "count": 100}
    assert value == hill(found)


def test_searched__settings_that_are_refused__worth_nothing() -> None:
    def fussy(settings: Settings) -> float:
        if settings["power"] > 0.5:
            msg = "too dear"
            raise ValueError(msg)
        return hill(settings)

    found, _ = searched(SPACE, {"power": 0.1, "count": 30}, fussy, spent=lambda: False, trials=25)

    assert found["power"] <= 0.5


@pytest.mark.parametrize("name", SPACES)
def test_spaces__settings_of_the_recipe(name: str) -> None:
    known = {field.name for field in fields(RECIPES[name].config)}

    assert set(SPACES[name]) <= known
