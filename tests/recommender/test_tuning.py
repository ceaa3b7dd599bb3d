"""The search of a model's settings: what it finds, what it may take, what a kill costs it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Interactions
from recommender.engine.budget import OutOfTimeError
from recommender.engine.measures import AIM
from recommender.engine.search import Settings
from recommender.engine.training import Limits, Log, NothingToLearnError
from recommender.engine.tuning import Budget, Trial, Verdict, space_of, tune

DAY_S = 86_400.0
RECIPE = RECIPES["popularity"]
AMPLE = Limits(1e9, 1e12)


def fashions(people: int = 150, days: int = 60) -> Log:
    """Everybody views a product a day, of ten that are new every eight days: what is old is out."""
    rng = np.random.default_rng(1)
    day = np.tile(np.arange(days), people)
    users = np.repeat(np.arange(people), days)
    items = day // 8 * 10 + rng.integers(0, 10, len(day))
    at_s = day * DAY_S + users * 60.0
    data = Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(day), np.float32),
        at_s,
        people,
        int(items.max()) + 1,
    )
    return Log(data, np.zeros(len(day), np.int8))


LOG = fashions()


def unstopped(_seconds: float) -> AbstractContextManager[None]:
    return nullcontext()


def searched(
    seconds: float,
    *,
    in_force: Settings | None = None,
    known: list[Trial] | None = None,
    trials: list[Trial] | None = None,
    **options: Any,
) -> Verdict:
    """A search by a clock that says one second later each time that it is asked."""
    ticks: Iterator[int] = count()
    budget = Budget(
        seconds,
        options.get("limits", AMPLE),
        lambda: float(next(ticks)),
        options.get("stopping", unstopped),
    )
    return tune(
        RECIPE,
        space_of("popularity", LOG.data.n_items),
        options.get("log", LOG),
        in_force=in_force or {},
        known=known or [],
        budget=budget,
        note=(trials if trials is not None else []).append,
    )


def test_tune__fashions__a_shorter_half_life_by_more_than_noise() -> None:
    found = searched(16.0)

    assert found.settings is not None
    assert found.settings["half_life_days"] < 20
    low, high = found.told["interval"]
    assert 0 < low < found.told["gain"] < high
    assert found.told["gain"] == pytest.approx(found.told[AIM] - found.told["default"], abs=2e-6)
    assert found.told["trials"] == 13


@pytest.mark.parametrize("seconds", [3.0, 6.0, 16.0])
def test_tune__budget__the_judgement_is_within_it(seconds: float) -> None:
    trials: list[Trial] = []
    found = searched(seconds, trials=trials)

    assert len(trials) >= seconds - 3
    assert found.seconds <= seconds


def test_tune__killed_and_gone_on__nothing_twice_and_the_same_verdict() -> None:
    whole: list[Trial] = []
    rest: list[Trial] = []
    first = searched(16.0, trials=whole)
    second = searched(16.0, known=whole[:9], trials=rest)

    assert rest == whole[9:]
    assert second == first


def test_tune__settings_in_force_are_worse_than_its_own__its_own_again() -> None:
    found = searched(5.0, in_force={"half_life_days": 900.0})

    assert found.settings == {}


def test_tune__the_best_is_in_force__stays() -> None:
    best = searched(16.0).settings
    assert best
    found = searched(6.0, in_force=best)

    assert found.settings is None
    assert "better than those in force" in found.reason


def test_tune__no_gain_beyond_noise__stays() -> None:
    rng = np.random.default_rng(2)
    data = replace(LOG.data, items=rng.integers(0, 40, len(LOG.data)).astype(np.int32))
    found = searched(12.0, log=Log(data, LOG.kinds))

    assert found.settings is None
    assert "not better by more than noise" in found.reason


@pytest.mark.parametrize("limits", [Limits(1e-9, 1e12), Limits(1e9, 1.0)])
def test_tune__too_dear_by_its_estimate__not_tried(limits: Limits) -> None:
    trials: list[Trial] = []
    found = searched(9.0, limits=limits, trials=trials)

    assert found.settings is None
    assert "not tried" in found.reason
    assert [one.value for one in trials] == [None]


def test_tune__a_trial_outlasts_the_search__stopped_and_worth_nothing() -> None:
    allowed: list[float] = []

    def stopping(seconds: float) -> AbstractContextManager[None]:
        allowed.append(seconds)
        if len(allowed) > 2:
            raise OutOfTimeError
        return nullcontext()

    trials: list[Trial] = []
    found = searched(6.0, stopping=stopping, trials=trials)

    assert allowed[:2] == [9.0, 8.0]
    assert [one.value is None for one in trials[:3]] == [False, False, True]
    assert "the time was over" in found.reason or "better than those in force" in found.reason


def test_tune__too_few_questions__nothing_to_learn() -> None:
    with pytest.raises(NothingToLearnError, match="50 are needed"):
        searched(9.0, log=fashions(people=9, days=20))


def test_space__of_a_large_catalogue__vectors_that_an_answer_can_read() -> None:
    few, many = (space_of("als", n_items)["factors"].high for n_items in (1_000, 100_000))

    assert (few, many) == (512, 128)
    assert "half_life_days" not in space_of("popularity", 9, fixed=["half_life_days"])
