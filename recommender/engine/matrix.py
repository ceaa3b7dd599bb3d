"""Interactions as a sparse (users, items) matrix: aged, capped, divided by degree.

What every model that compares items or factorises starts from. One bot, reseller or crawler moves
little: a user counts with the newest `cap` items, a pair with `pair_cap` at most, and a row is
divided by degree**`user_power`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine.base import Config, Interactions, Rows


@dataclass(frozen=True, slots=True)
class MatrixConfig(Config):
    """How interactions become a matrix.

    `half_life_days`: age at which an interaction counts half, 0 for never. `user_power`: a user's
    row is divided by degree**user_power. `cap`: distinct items of one user, the newest, 0 for all.
    `pair_cap`: what one user adds to one item at most, 0 for no limit.
    """

    half_life_days: float = 90.0
    user_power: float = 0.5
    cap: int = 500
    pair_cap: float = 10.0


def user_items(data: Interactions, config: MatrixConfig, as_of_s: float) -> csr_matrix:
    """Return (n_users, n_items) float32, sorted, without explicit zeros.

    Peak memory: about three times what `data` holds.
    """
    weights = aged(data, config.half_life_days, as_of_s)
    shape = (data.n_users, data.n_items)
    matrix = csr_matrix((weights, (data.users, data.items)), shape=shape)
    matrix.sum_duplicates()
    if config.cap:
        _keep_newest(matrix, data, config.cap)
    if config.pair_cap:
        np.minimum(matrix.data, np.float32(config.pair_cap), out=matrix.data)
    # 2^-1000 half-lives is 0 in float
    matrix.eliminate_zeros()
    if config.user_power:
        degree = np.maximum(np.diff(matrix.indptr), 1)
        scale_rows(matrix, degree.astype(np.float32) ** np.float32(-config.user_power))
    return matrix


def aged(data: Interactions, half_life_days: float, as_of_s: float) -> NDArray[np.float32]:
    """Return the weights (len(data),) halved for every half-life of age; the future has age 0."""
    if half_life_days <= 0:
        return data.weights
    half_lives = np.maximum(as_of_s - data.at_s, 0.0)
    half_lives /= half_life_days * 86_400
    return (data.weights * np.exp2(-half_lives)).astype(np.float32)


def capped_sums(
    data: Interactions, weights: NDArray[np.floating[Any]], cap: float
) -> NDArray[np.float64]:
    """Return the sum of each item's weights, (n_items,); of one user at most `cap` an item."""
    pairs = data.users.astype(np.int64) * data.n_items + data.items
    pair, place = np.unique(pairs, return_inverse=True)
    capped = np.minimum(np.bincount(place, weights, minlength=len(pair)), cap)
    total = np.bincount(pair % max(data.n_items, 1), capped, minlength=data.n_items)
    return total.astype(np.float64, copy=False)


def scale_rows(matrix: csr_matrix, factors: NDArray[np.float32]) -> None:
    """Multiply each row by its factor, in place."""
    matrix.data *= np.repeat(factors, np.diff(matrix.indptr))


def scale_columns(matrix: csr_matrix, factors: NDArray[np.float32]) -> None:
    """Multiply each column by its factor, in place."""
    matrix.data *= factors[matrix.indices]


def column_sums(matrix: csr_matrix, power: float = 1.0) -> NDArray[np.float64]:
    """Return the sum of each column's entries**power, (n_items,)."""
    entries = matrix.data.astype(np.float64) ** power
    sums = np.bincount(matrix.indices, entries, minlength=matrix.shape[1])
    return sums.astype(np.float64, copy=False)


def row_sums(matrix: csr_matrix) -> NDArray[np.float64]:
    """Return the sum of each row's entries, (n_users,)."""
    return np.asarray(matrix.sum(axis=1), np.float64).ravel()


def inverse(values: NDArray[np.float64], power: float) -> NDArray[np.float32]:
    """Return values**-power, 0 where a value is 0."""
    safe = np.where(values > 0, values, 1.0)
    return np.where(values > 0, safe**-power, 0.0).astype(np.float32)


def in_order(data: Interactions) -> NDArray[np.intp]:
    """Return the order by user and time, (len(data),); what happened at once goes by item."""
    return np.lexsort((data.items, data.at_s, data.users))


def last_met(data: Interactions) -> tuple[Rows, Rows, NDArray[np.float64]]:
    """Return (user, item, when last) of each pair, in the order of a matrix: by user, then item."""
    order = np.lexsort((data.at_s, data.items, data.users))
    users, items, at_s = data.users[order], data.items[order], data.at_s[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    return users[last], items[last], at_s[last]


def _keep_newest(matrix: csr_matrix, data: Interactions, cap: int) -> None:
    """Set to 0 what users with more than `cap` items met longest ago."""
    heavy = np.diff(matrix.indptr) > cap
    if not heavy.any():
        return
    users, items, at_s = last_met(data.where(heavy[data.users]))
    newest = np.lexsort((items, -at_s, users))
    rank = np.empty(len(newest), np.int64)
    starts = np.searchsorted(users, users)
    rank[newest] = np.arange(len(newest)) - starts[newest]
    places = np.flatnonzero(np.repeat(heavy, np.diff(matrix.indptr)))
    matrix.data[places[rank >= cap]] = 0
