"""Whose actions belong together: a customer's, a visit's, or a day's. Each gets a user row."""

import numpy as np

from recommender.engine.base import Interactions

# A visit ends after half an hour without an action, here as everywhere in the product, unless the
# shop says otherwise.
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


def as_visits(data: Interactions, gap_s: float = VISIT_GAP_S) -> Interactions:
    """Return `data` with one user row for each visit: what a user did with no longer pause."""
    if not len(data):
        return data
    order = np.lexsort((data.at_s, data.users))
    users, at_s = data.users[order], data.at_s[order]
    begins = np.append(True, (users[1:] != users[:-1]) | (np.diff(at_s) > gap_s))
    rows = np.empty(len(order), np.int32)
    rows[order] = np.cumsum(begins) - 1
    n_visits = int(begins.sum())
    return Interactions(rows, data.items, data.weights, data.at_s, n_visits, data.n_items)


def shaped(data: Interactions, unit: str, visit_gap_s: float) -> Interactions:
    """Return `data` with one user row for each "customer" (as it is), "visit", or "day"."""
    if unit == "visit":
        return as_visits(data, visit_gap_s)
    return as_baskets(data) if unit == "day" else data
