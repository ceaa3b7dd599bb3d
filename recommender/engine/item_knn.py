"""Item-item neighbours by cosine: items met by the same visitors are alike (implicit).

Fits in seconds, answers for a visitor's latest clicks in tens of microseconds and can say why.
implicit hangs in a forked child once its threads ran, so it is fitted in a process of its own, one
thread.

References
----------
Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001, section
3.1.2.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from implicit._nearest_neighbours import NearestNeighboursScorer
from implicit.nearest_neighbours import CosineRecommender
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine.base import (
    EMPTY,
    Algorithm,
    Arrays,
    Config,
    Interactions,
    Query,
    Ranked,
    Rows,
    Scores,
)

# Weights fall by 0.8 a place: the thirteenth item adds a fourteenth of what the first does.
_ASKED_FOR_REASONS = 12


@dataclass(frozen=True, slots=True)
class ItemKnnConfig(Config):
    """How neighbours are found.

    `neighbours` kept an item, itself included (implicit counts it). `half_life_days`: age at which
    an interaction counts half, 0 for never. `user_power`: a user's row is divided by
    degree**user_power, so that one who meets everything steers little. `cap` bounds one user's
    distinct items, newest first.
    """

    neighbours: int = 200
    half_life_days: float = 90.0
    user_power: float = 0.5
    cap: int = 200


class ItemKnn(Algorithm):
    """`indptr` (n_items + 1,), `indices` and `data` (n_pairs,): row i holds i's neighbours."""

    key = "item_knn"
    config_type = ItemKnnConfig

    def __init__(self, indptr: Rows, indices: Rows, data: Scores) -> None:
        self._indptr = indptr
        self._indices = indices
        self._data = data
        self.n_items = len(indptr) - 1
        similarity = csr_matrix(
            (data, indices, indptr), shape=(self.n_items, self.n_items), copy=False
        )
        # its C++ side keeps pointers into these arrays: they live as long as this object
        self._similarity = similarity
        self._scorer = NearestNeighboursScorer(similarity)

    @classmethod
    def fit(cls, data: Interactions, config: Config, *, as_of_s: float) -> Self:
        """Return the model; an item that nobody met has no neighbours."""
        assert isinstance(config, ItemKnnConfig)  # noqa: S101 -- narrows the type
        if not len(data):
            return cls(
                np.zeros(data.n_items + 1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)
            )
        matrix = _user_items(data, config, as_of_s)
        # a new object each time: implicit reads out of range when one is fitted twice
        model = CosineRecommender(K=min(config.neighbours, data.n_items), num_threads=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # implicit hands its own COO matrices to itself
            model.fit(matrix, show_progress=False)
        similarity = model.similarity
        similarity.sort_indices()
        return cls(
            similarity.indptr.astype(np.int32),
            similarity.indices.astype(np.int32),
            similarity.data.astype(np.float32),
        )

    def recommend(
        self,
        query: Query,
        count: int,
        *,
        allowed: NDArray[np.bool_] | None = None,
        own: bool = False,
    ) -> Ranked:
        """Return the items most alike to the query's; a query without known items gets nothing."""
        if count <= 0 or not len(query.rows):
            return EMPTY
        span = np.array([0, len(query.rows)], np.int32)
        # what filters take away is made up for by asking again for more
        wanted = min(self.n_items, count if allowed is None else 2 * count + 16)
        while True:
            rows, scores = self._scorer.recommend(
                span, query.rows, query.weights, K=wanted, remove_own_likes=not own
            )
            keep = scores > 0
            if allowed is not None:
                keep &= allowed[rows]
            places = np.flatnonzero(keep)[:count]
            if len(places) == count or len(rows) < wanted or wanted == self.n_items:
                return Ranked(rows[places], scores[places].astype(np.float32))
            wanted = min(self.n_items, wanted * 4)

    def score(self, query: Query) -> Scores:
        """Return the weighted sum of similarities to the query's items."""
        scores = np.zeros(self.n_items, np.float64)
        for row, weight in zip(query.rows, query.weights, strict=True):
            span = slice(self._indptr[row], self._indptr[row + 1])
            scores[self._indices[span]] += self._data[span] * np.float64(weight)
        return scores.astype(np.float32)

    def reasons(self, query: Query, rows: Rows) -> Rows:
        """Return the query's items with the largest weighted similarity to each of `rows`.

        Only the heaviest of the query's items are asked: the others hardly moved the score.
        """
        best = np.full(len(rows), -1, np.int32)
        shares = np.zeros(len(rows), np.float32)
        for place in np.argsort(-query.weights, kind="stable")[:_ASKED_FOR_REASONS].tolist():
            own, weight = query.rows[place], query.weights[place]
            span = slice(self._indptr[own], self._indptr[own + 1])
            neighbours = self._indices[span]
            if not len(neighbours):
                continue
            at = np.minimum(neighbours.searchsorted(rows), len(neighbours) - 1)
            share = np.where(neighbours[at] == rows, self._data[span][at] * weight, 0)
            better = share > shares
            best[better] = own
            shares[better] = share[better]
        return best

    def to_arrays(self) -> Arrays:
        """Return the similarity matrix in CSR parts, columns of a row sorted."""
        return {"indptr": self._indptr, "indices": self._indices, "data": self._data}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: Config) -> Self:
        """Return the stored model, reading the arrays in place."""
        indptr, indices, data = arrays["indptr"], arrays["indices"], arrays["data"]
        n_items = len(indptr) - 1
        fits = (
            n_items >= 0
            and len(indices) == len(data) == int(indptr[-1])
            and int(indptr[0]) == 0
            and bool((np.diff(indptr) >= 0).all())
            and (not len(indices) or 0 <= int(indices.min()) <= int(indices.max()) < n_items)
        )
        # the scorer is C++ without bounds checks: what does not fit would read foreign memory
        if not fits:
            msg = "item_knn arrays do not fit together"
            raise ValueError(msg)
        return cls(indptr, indices, data)


def _user_items(data: Interactions, config: ItemKnnConfig, as_of_s: float) -> csr_matrix:
    """Return (n_users, n_items) float64: decayed weights, rows capped and divided by degree."""
    weights = data.weights.astype(np.float64)
    if config.half_life_days > 0:
        age_days = np.maximum(as_of_s - data.at_s, 0.0) / 86_400
        weights = weights * np.exp2(-age_days / config.half_life_days)
    newest_first = np.lexsort((-data.at_s, data.users))
    pair = data.users[newest_first].astype(np.int64) * data.n_items + data.items[newest_first]
    unique, first, place = np.unique(pair, return_index=True, return_inverse=True)
    summed = np.bincount(place, weights[newest_first])
    users = (unique // data.n_items).astype(np.int32)
    # rank of a pair among its user's pairs by recency: the cap keeps the newest
    by_recency = np.argsort(first, kind="stable")
    starts = np.searchsorted(users[by_recency], np.arange(data.n_users))
    rank = np.arange(len(unique)) - starts[users[by_recency]]
    kept = by_recency[(rank < config.cap) & (summed[by_recency] > 0)]
    items = (unique % data.n_items).astype(np.int32)
    degree = np.bincount(users[kept], minlength=data.n_users)
    scaled = summed[kept] / np.maximum(degree[users[kept]], 1) ** config.user_power
    return csr_matrix((scaled, (users[kept], items[kept])), shape=(data.n_users, data.n_items))
