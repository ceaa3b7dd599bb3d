"""Pictures lie in their boxes; a fitting process that fails says why."""

from pathlib import Path

import numpy as np
import pytest

from personalization.ops import fitprocess
from personalization.ops.fitprocess import FittingError
from segments.learning import fitting
from segments.learning.engine import pictures
from segments.learning.engine.arrays import Arrays
from segments.learning.engine.clusters import ClusterConfig
from segments.learning.engine.features import DAY_US
from segments.learning.engine.learned import learn
from segments.learning.engine.recipes import RECIPES, Before, CannotLearn, Recipe
from tests.segments.learning.contract import rng
from tests.segments.learning.people import DAY0, events, shoppers

UNTIL_US = (DAY0 + 240) * DAY_US


def test_dots__any_points__in_the_box_and_noise_first() -> None:
    found = pictures.dots([[-5.0, 2.0, 1], [7.0, 2.0, -1], [0.0, 9.0, 9]])

    assert [one.hue for one in found] == ["noise", "c1", "c1"]
    assert all(0 <= one.x <= pictures.MAP_SIDE and 0 <= one.y <= pictures.MAP_SIDE for one in found)
    # upwards is up
    assert found[2].y < found[1].y
    assert pictures.dots([]) == []
    assert len(pictures.dots([[1.0, 1.0, 0]])) == 1


def test_profile__differences__around_the_middle_and_bounded() -> None:
    traits = [
        {"feature": "orders", "difference": 1.25},
        {"feature": "sessions", "difference": -99.0},
    ]

    found = pictures.profile(traits, {"orders": "orders so far"})

    assert [(one.x, one.width, one.up) for one in found] == [(100, 50, True), (0, 100, False)]
    assert [one.label for one in found] == ["orders so far", "sessions"]
    assert found[0].said == "+1.2 standard deviations"


def test_shares__longest__fills_the_bar() -> None:
    found = pictures.shares(
        [{"feature": "a", "share": 0.4}, {"feature": "b", "share": 0.1}], {"a": "A"}
    )

    assert [(one.label, one.width, one.said) for one in found] == [
        ("A", 200, "40.0%"),
        ("b", 50, "10.0%"),
    ]
    assert pictures.shares([], {}) == []


@pytest.mark.parametrize("key", [*RECIPES, "vips"])
def test_learn__empty_log__says_what_is_missing(key: str) -> None:
    recipe = RECIPES.get(key, Recipe(key, "lookalike", "Like VIPs", {"segment": key}))

    with pytest.raises(CannotLearn):
        learn(recipe, events([]), as_of_us=UNTIL_US, rng=rng())


def test_learn__twice__equal_bytes() -> None:
    log = shoppers(2, people=150)
    recipe = Recipe("kinds", "cluster", "Kinds", {"algorithm": "kmeans", "k": 3})

    first, second = (learn(recipe, log, as_of_us=UNTIL_US, rng=rng(3)).arrays for _ in range(2))

    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_learn__release_has_moved_features__begins_anew() -> None:
    log, nobody = shoppers(2, people=150), np.zeros(0, np.int64)
    recipe = Recipe("kinds", "cluster", "Kinds", {"algorithm": "minibatch", "k": 3})
    first = learn(recipe, log, as_of_us=UNTIL_US, rng=rng(3)).arrays

    def base(arrays: Arrays) -> int | None:
        before = Before(nobody, nobody, 3, arrays, version=7)
        told = learn(recipe, log, as_of_us=UNTIL_US, rng=rng(4), before=before).facts
        found: int | None = told.get("base")
        return found

    assert base(first) == 7
    assert base({**first, "columns": first["columns"][::-1]}) is None


def test_process__tasks__each_leaves_a_fit_or_says_why_not(tmp_path: Path) -> None:
    fitting.write_events(tmp_path, shoppers(2, people=150))
    good = Recipe("kinds", "cluster", "Kinds", {"algorithm": "minibatch", "k": 3})
    poor = Recipe("vips", "lookalike", "Like VIPs", {"segment": "vips"})
    for name, recipe in (("0", good), ("1", poor)):
        fitting.write_task(
            tmp_path / name, recipe, as_of_us=UNTIL_US, seed=1, members=np.array([1, 2])
        )
    beats: list[int] = []

    with fitprocess.started("segments.learning.fitting", tmp_path, ["0", "1"]) as wait:
        wait("0", lambda: beats.append(1))
        fit = fitting.read_result(tmp_path / "0")
        wait("1", lambda: beats.append(1))
        with pytest.raises(CannotLearn, match="20 members"):
            fitting.read_result(tmp_path / "1")

    assert (fit.algorithm, fit.objection) == ("minibatch", "")
    assert fit.facts["config"]["k"] == ClusterConfig(k=3).k
    assert beats


def test_process__broken_task__its_last_words(tmp_path: Path) -> None:
    fitting.write_events(tmp_path, events([]))

    with (
        fitprocess.started("segments.learning.fitting", tmp_path, ["0"]) as wait,
        pytest.raises(FittingError, match=r"ended with 1: .*task\.json"),
    ):
        wait("0", lambda: None)
