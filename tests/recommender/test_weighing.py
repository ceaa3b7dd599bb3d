"""Weights of events, half-lives and decay as the shop sets them: training, fold-in, checks."""

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.checks import run_checks

from recommender import live, registry, services, weighing
from recommender.checks import weights_are_sound
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import NOBODY, Interactions
from recommender.engine.matrix import MatrixConfig, user_items
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


def test_check__the_ends_of_what_may_be_set__nothing_wrong(settings: Any) -> None:
    settings.RECOMMENDER_CUSTOMER_ITEMS = ["als=1", "session_knn=1000000"]
    settings.RECOMMENDER_PAIR_CAP = ["popularity=0.5", "item_knn=1000"]
    settings.RECOMMENDER_USER_POWER = ["als=0", "item_knn=1"]
    settings.RECOMMENDER_VISIT_GAP_MINUTES = 1440.0

    assert weights_are_sound(None) == []


def test_pair_cap__training__one_who_looks_all_day_says_no_more(shop: Path, settings: Any) -> None:
    products("watched", "wanted")
    eager = customer("eager")
    events([viewed(eager, "watched", n / 10) for n in range(9)])
    events([viewed(customer(f"u{n}"), "wanted", n) for n in range(3)])
    before = best("s1")
    settings.RECOMMENDER_PAIR_CAP = ["popularity=1"]
    after = best("s2")

    assert (before, after) == ("watched", "wanted")
    assert ModelVersion.objects.get(number=2).manifest["facts"]["config"]["pair_cap"] == 1


def test_caps__by_model__in_every_config_that_trains(settings: Any) -> None:
    settings.RECOMMENDER_CUSTOMER_ITEMS = ["als=7", "session_knn=5"]
    settings.RECOMMENDER_USER_POWER = ["als=0.75"]

    assert weighing.fixed() == {"als": {"cap": 7, "user_power": 0.75}, "session_knn": {"cap": 5}}
    config = RECIPES["als"].changed(weighing.fixed()["als"]).config.to_json()
    assert (config["cap"], config["user_power"]) == (7, 0.75)


def test_customer_items__a_robot__its_newest_alone() -> None:
    """One customer met items 0 to 5 in turn: by a cap of two the older ones are nobody's."""
    items = np.arange(6, dtype=np.int32)
    data = Interactions(
        np.zeros(6, np.int32), items, np.ones(6, np.float32), items.astype(np.float64), 1, 6
    )
    config = RECIPES["item_knn_cosine"].changed({"cap": 2}).config

    assert isinstance(config, MatrixConfig)
    assert user_items(data, config, 6.0).toarray()[0].astype(bool).tolist() == [
        *[False] * 4,
        True,
        True,
    ]


def test_visit_gap__training__tells_visits_apart_and_is_part_of_the_version(
    shop: Path, settings: Any
) -> None:
    """Cup and pan are looked at twenty minutes apart: of one visit, unless visits end sooner."""
    products("cup", "pan")
    for n in range(6):
        who = customer(f"u{n}")
        events([viewed(who, "cup", n + 1), viewed(who, "pan", n + 1 - 1 / 3)])
    paired = []
    for slot, minutes in (("s1", 30.0), ("s2", 10.0)):
        settings.RECOMMENDER_VISIT_GAP_MINUTES = minutes
        assert services.train(slot=slot, actor="test", now=NOW, models=["also_viewed"])
        version = ModelVersion.objects.order_by("number").last()
        assert version is not None
        assert version.manifest["facts"]["visit_gap_s"] == 60 * minutes
        found = live.load("also_viewed", version.number, version.manifest_sha256)
        assert isinstance(found, live.Live)
        asked = found.model.fold_in(np.array([0]), np.ones(1))
        paired.append(len(found.model.recommend(asked, 1).rows))
    first = ModelVersion.objects.order_by("number").first()

    assert paired == [1, 0]
    assert first is not None
    assert not registry.is_as_trained_now(first)
    # as it was registered before the pause could be set
    del first.manifest["facts"]["visit_gap_s"]
    assert not registry.is_as_trained_now(first)
    settings.RECOMMENDER_VISIT_GAP_MINUTES = 30.0
    assert registry.is_as_trained_now(first)


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
        ("RECOMMENDER_CUSTOMER_ITEMS", ["popularity=9"], "E005", "does not know 'popularity'"),
        ("RECOMMENDER_CUSTOMER_ITEMS", ["als=0"], "E005", "cannot use 'als=0'"),
        ("RECOMMENDER_CUSTOMER_ITEMS", ["als=2.5"], "E005", "cannot use 'als=2.5'"),
        ("RECOMMENDER_CUSTOMER_ITEMS", ["als=inf"], "E005", "cannot use 'als=inf'"),
        ("RECOMMENDER_PAIR_CAP", ["content=3"], "E006", "does not know 'content'"),
        ("RECOMMENDER_PAIR_CAP", ["popularity=0"], "E006", "cannot use 'popularity=0'"),
        ("RECOMMENDER_PAIR_CAP", ["gfcf=1e-300"], "E006", "cannot use 'gfcf=1e-300'"),
        ("RECOMMENDER_HALF_LIFE_DAYS", ["als=1e-320"], "E002", "cannot use 'als=1e-320'"),
        ("RECOMMENDER_USER_POWER", ["als=1e-9"], "E007", "cannot use 'als=1e-9'"),
        ("RECOMMENDER_USER_POWER", ["als=1.1"], "E007", "cannot use 'als=1.1'"),
        ("RECOMMENDER_USER_POWER", ["als=some"], "E007", "cannot use 'als=some'"),
        ("RECOMMENDER_VISIT_GAP_MINUTES", 0.0, "E008", "cannot be 0"),
        ("RECOMMENDER_VISIT_GAP_MINUTES", 1e-9, "E008", "cannot be 1e-09"),
        ("RECOMMENDER_VISIT_GAP_MINUTES", math.nan, "E008", "cannot be nan"),
        ("RECOMMENDER_VISIT_GAP_MINUTES", 2000.0, "E008", "cannot be 2000"),
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
