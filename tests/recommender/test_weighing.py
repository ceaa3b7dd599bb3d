"""Weights of events, half-lives and decay as the shop sets them: training, fold-in, checks."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from recommender import live, services
from recommender.checks import weights_are_sound
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import NOBODY
from recommender.engine.queries import DECAY, KIND_WEIGHTS
from recommender.models import ModelVersion
from recommender.serve import Visit
from recommender.weighing import kind_weights, recent_decay
from tests.recommender.shop import NOW, customer, events, ordered, products, viewed


def best(slot: str) -> str:
    """Train what is popular, and return the product that it puts first."""
    trained = services.train(slot=slot, actor="test", now=NOW, models=["popularity"])
    assert trained is not None
    assert [one.status for one in trained] == ["live"]
    model = live.refresh()["popularity"]
    return model.keys[int(model.model.recommend(NOBODY, 1).rows[0])]


def test_settings__at_rest__the_usual_ones() -> None:
    assert kind_weights() == KIND_WEIGHTS
    assert recent_decay() == DECAY


def test_kind_weights__training__weighs_by_them_and_takes_the_same_data_again(
    shop: Path, settings: Any
) -> None:
    products("seen", "bought")
    events([*(viewed(customer(f"u{n}"), "seen", n) for n in range(3))])
    events([ordered(customer("u9"), ["bought"], 1)])
    before = best("s1")
    settings.RECOMMENDER_KIND_WEIGHTS = ["order=0.5"]
    events([viewed(customer("late"), "seen", -0.1)])
    grown = services.refresh(slot="h1", actor="test", now=NOW + timedelta(minutes=30))
    after = best("s2")

    assert (before, after) == ("bought", "seen")
    assert grown is None
    made = ModelVersion.objects.get(number=2).manifest["facts"]
    assert made["weights"] == {"view": 1.0, "wishlist": 2.0, "add": 3.0, "order": 0.5}


def test_half_life__training__ages_by_it(shop: Path, settings: Any) -> None:
    products("old", "new")
    events([viewed(customer(f"o{n}"), "old", 20 * 24) for n in range(4)])
    events([viewed(customer(f"n{n}"), "new", 1) for n in range(2)])
    before = best("s1")
    settings.RECOMMENDER_HALF_LIFE_DAYS = ["popularity=5"]
    after = best("s2")

    assert (before, after) == ("old", "new")
    assert ModelVersion.objects.get(number=2).manifest["facts"]["config"]["half_life_days"] == 5


def test_fold_in__weights_and_decay__of_the_settings(settings: Any) -> None:
    settings.RECOMMENDER_KIND_WEIGHTS = ["view=2", " add = 4"]
    settings.RECOMMENDER_RECENT_DECAY = 0.5
    actions = [("view", "a", 0.0), ("order", "b", 0.0), ("view", "c", 0.0)]
    seeds = Visit(recent=actions, item="d", cart=("e",)).seeds()

    assert [weight for _, weight, _ in seeds["recent"]] == [2.0, 2.5, 0.5]
    assert [seeds["item"][0][1], seeds["cart"][0][1]] == [4.0, 4.0]


@pytest.mark.parametrize(
    ("setting", "value", "code", "words"),
    [
        ("RECOMMENDER_KIND_WEIGHTS", ["view=1", "look=2"], "E001", "does not know 'look'"),
        ("RECOMMENDER_KIND_WEIGHTS", ["view"], "E001", "cannot use 'view'"),
        ("RECOMMENDER_KIND_WEIGHTS", ["view=0"], "E001", "cannot use 'view=0'"),
        ("RECOMMENDER_KIND_WEIGHTS", ["view=nan"], "E001", "cannot use 'view=nan'"),
        ("RECOMMENDER_HALF_LIFE_DAYS", ["content=9"], "E002", "does not know 'content'"),
        ("RECOMMENDER_HALF_LIFE_DAYS", ["popularity=-1"], "E002", "cannot use 'popularity=-1'"),
        ("RECOMMENDER_RECENT_DECAY", 1.5, "E003", "no such share"),
    ],
)
def test_check__a_setting_that_cannot_be_used__named_with_a_hint(
    settings: Any, setting: str, value: object, code: str, words: str
) -> None:
    setattr(settings, setting, value)
    (found,) = weights_are_sound(None)

    assert found.id == f"recommender.{code}"
    assert setting in found.msg
    assert words in found.msg
    assert found.hint


def test_check__is_run_by_django(settings: Any) -> None:
    settings.RECOMMENDER_RECENT_DECAY = 0
    found = [one.id for one in run_checks(tags=["compatibility"])]

    assert "recommender.E003" in found


def test_changed__keeps_all_else() -> None:
    recipe = RECIPES["item_knn"]
    changed = recipe.changed({"half_life_days": 9.0}).config.to_json()

    assert changed == {**recipe.config.to_json(), "half_life_days": 9.0}
    assert recipe.changed({}) is recipe
