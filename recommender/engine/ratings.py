"""Ratings predicted: what somebody would say of an item, for RMSE and MAE.

No list is made of it: what people rate highly is not what they turn to next. It is measured where
the data hold ratings, beside the mean that any prediction must beat.

References
----------
Koren, "Factor in the neighbors: scalable and accurate collaborative filtering", TKDD 2010, section
2.1 (baseline estimates by damped means). Koren, Bell and Volinsky, "Matrix factorization techniques
for recommender systems", IEEE Computer 2009, section on biases.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Rows
from recommender.engine.logs import Log

# Damping of a mean: opinions of the average that each item and each person starts from (Koren's
# values for Netflix), and of the vectors of what is left.
_ITEM_DAMPING, _USER_DAMPING = 25.0, 10.0
_FACTORS, _ROUNDS, _RIDGE = 16, 10, 12.0

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratings:
    """`mean`, `of_item` (n_items,), `of_user` (n_users,), vectors (n, k) of what is left."""

    mean: float
    of_item: Values
    of_user: Values
    items: Values
    users: Values
    low: float
    high: float

    def predict(self, users: Rows, items: Rows) -> Values:
        """Return what each of `users` (n,) would give each of `items` (n,), within the scale."""
        left = (self.users[users] * self.items[items]).sum(axis=1)
        told = self.mean + self.of_item[items] + self.of_user[users] + left
        # a scale has ends: nobody says 5.3 of 5
        found: Values = np.clip(told, self.low, self.high)
        return found


def fit(known: Log, n_users: int, n_items: int, *, seed: int = 42) -> Ratings:
    """Return the model of at least one rating; strangers get the mean."""
    given = known.weights.astype(np.float64)
    mean = float(given.mean())
    of_item = _damped(known.items, given - mean, n_items, _ITEM_DAMPING)
    rest = given - mean - of_item[known.items]
    of_user = _damped(known.users, rest, n_users, _USER_DAMPING)
    rest = rest - of_user[known.users]
    items = np.random.default_rng(seed).normal(0, 0.1, (n_items, _FACTORS))
    users = np.zeros((n_users, _FACTORS))
    for _ in range(_ROUNDS):
        users = _solved(known.users, items[known.items], rest, n_users)
        items = _solved(known.items, users[known.users], rest, n_items)
    low, high = float(given.min()), float(given.max())
    return Ratings(mean, of_item, of_user, items, users, low, high)


def _damped(rows: Rows, values: Values, count: int, damping: float) -> Values:
    sums = np.bincount(rows, values, minlength=count)
    found: Values = sums / (np.bincount(rows, minlength=count) + damping)
    return found


def _solved(rows: Rows, vectors: Values, rest: Values, count: int) -> Values:
    """Return for each row the ridge regression of its `rest` on its `vectors` (n, k)."""
    order = np.argsort(rows, kind="stable")
    bounds = np.searchsorted(rows[order], np.arange(count + 1))
    found = np.zeros((count, vectors.shape[1]))
    ridge = _RIDGE * np.eye(vectors.shape[1])
    for row in np.flatnonzero(np.diff(bounds)).tolist():
        own = order[bounds[row] : bounds[row + 1]]
        part = vectors[own]
        found[row] = np.linalg.solve(part.T @ part + ridge, part.T @ rest[own])
    return found


def errors(known: Log, asked: Log, n_users: int, n_items: int) -> dict[str, float | int] | None:
    """Return RMSE and MAE of the ratings of `asked`, and of their mean; None without a rating."""
    if not (len(known) and len(asked)):
        return None
    model = fit(known, n_users, n_items)
    truth = asked.weights.astype(np.float64)
    missed = model.predict(asked.users, asked.items) - truth
    plain = model.mean - truth
    return {
        "RMSE": _root(missed),
        "MAE": round(float(np.abs(missed).mean()), 6),
        "RMSE of the mean": _root(plain),
        "MAE of the mean": round(float(np.abs(plain).mean()), 6),
        "ratings": len(truth),
    }


def _root(values: Values) -> float:
    return round(float(np.sqrt((values**2).mean())), 6)
