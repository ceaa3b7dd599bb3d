"""Whose actions belong together: a customer's, a visit's, or a day's. Each gets a user row."""

from collections.abc import Callable

import numpy as np

from recommender.engine.base import Interactions

# A visit ends after half an hour without an action, here as everywhere in the product.
VISIT_GAP_S = 1800.0


def as_baskets(data: Interactions) -> Interactions:
    """Return `data` with one user row for each (user, UTC day)."""
    if not len(data):
        return data
    day = (data.at_s // 86_400).astype(np.int64)
    day -= day.min()
    key = data.users.astype(np.int64) * (int(day.max()) + 1) + day
    unique, users = np.unique(key, return_inverse=True)
    return Interactions(
        users.astype(np.int32), data.items, data.weights, data.at_s, len(unique), data.n_items
    )


def as_visits(data: Interactions) -> Interactions:
    """Return `data` with one user row for each visit: what a user did with no longer pause."""
    if not len(data):
        return data
    order = np.lexsort((data.at_s, data.users))
    users, at_s = data.users[order], data.at_s[order]
    begins = np.append(True, (users[1:] != users[:-1]) | (np.diff(at_s) > VISIT_GAP_S))
    rows = np.empty(len(order), np.int32)
    rows[order] = np.cumsum(begins) - 1
    n_visits = int(begins.sum())
    return Interactions(rows, data.items, data.weights, data.at_s, n_visits, data.n_items)


def _as_is(data: Interactions) -> Interactions:
    return data


UNITS: dict[str, Callable[[Interactions], Interactions]] = {
    "customer": _as_is,
    "visit": as_visits,
    "day": as_baskets,
}
