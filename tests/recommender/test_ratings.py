"""Ratings: predictions that beat the mean where there is something to know, errors by hand."""

import numpy as np
import pytest

from recommender.engine import ratings
from recommender.engine.logs import Log


def log(users: np.ndarray, items: np.ndarray, weights: np.ndarray) -> Log:
    return Log(
        users.astype(np.int32),
        items.astype(np.int32),
        weights.astype(np.float32),
        np.zeros(len(users)),
        timed=False,
        ordered=False,
        ratings=True,
    )


def taste(seed: int, count: int) -> Log:
    """Half of the people love even items and half odd ones; ratings of 1 and 5."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(40, size=count), rng.integers(30, size=count)
    return log(users, items, np.where(users % 2 == items % 2, 5.0, 1.0))


def test_errors__tastes_that_differ__known_after_fitting() -> None:
    found = ratings.errors(taste(1, 600), taste(2, 200), 40, 30)

    assert found is not None
    assert found["RMSE of the mean"] == pytest.approx(2, abs=0.1)
    assert found["RMSE"] < 1
    assert found["MAE"] <= found["RMSE"]
    assert found["ratings"] == 200


def test_errors__by_hand__one_known_rating_is_the_mean() -> None:
    known = log(np.array([0]), np.array([0]), np.array([3.0]))
    asked = log(np.array([1, 1]), np.array([1, 0]), np.array([4.0, 1.0]))

    found = ratings.errors(known, asked, 2, 2)

    assert found == {
        "RMSE": pytest.approx(np.sqrt(2.5)),
        "MAE": 1.5,
        "RMSE of the mean": pytest.approx(np.sqrt(2.5)),
        "MAE of the mean": 1.5,
        "ratings": 2,
    }


def test_predict__within_the_scale() -> None:
    model = ratings.fit(taste(1, 600), 40, 30)

    told = model.predict(*(side.ravel().astype(np.int32) for side in np.mgrid[0:40, 0:30]))

    assert told.min() >= 1
    assert told.max() <= 5


def test_errors__nothing_asked__none() -> None:
    nothing = log(np.zeros(0), np.zeros(0), np.zeros(0))

    assert ratings.errors(taste(1, 9), nothing, 40, 30) is None
