"""Item-item models: one stored form (CSR, row i holds what item i speaks for), one scorer.

An answer touches the neighbours of the query's items and nothing else, so that it costs the same in
a catalogue of ten thousand or a million items. The arrays are read in place: web workers share the
mapped file. (implicit's scorer would copy every weight as a double into each worker.)
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine.base import (
    EMPTY,
    NOBODY,
    Algorithm,
    Arrays,
    Config,
    Query,
    Ranked,
    Rows,
    Scores,
    best,
)
from recommender.engine.gather import check_csr, spans, summed

# Weights fall by 0.8 a place: the thirteenth item adds a fourteenth of what the first does.
_ASKED_FOR_REASONS = 12


class ItemItem(Algorithm):
    """`indptr` (n_items + 1,), `indices` and `data` (n_pairs,): columns of a row sorted.

    Subclasses fit; the rest is here. The score of item j is the sum over the query's items i of
    weight(i) * data[i, j].
    """

    def __init__(self, indptr: Rows, indices: Rows, data: Scores, config: Config) -> None:
        self.config = config
        self._indptr = indptr
        self._indices = indices
        self._data = data
        self.n_items = len(indptr) - 1

    @classmethod
    def of(cls, similarity: csr_matrix, config: Config) -> Self:
        """Return the model of an (n_items, n_items) matrix."""
        similarity.sort_indices()
        return cls(
            similarity.indptr.astype(np.int32, copy=False),
            similarity.indices.astype(np.int32, copy=False),
            similarity.data.astype(np.float32, copy=False),
            config,
        )

    @classmethod
    def among(cls, kept: csr_matrix, met: NDArray[np.intp], n_items: int, config: Config) -> Self:
        """Return the model of a matrix (m, m) of the items `met` (m,) alone."""
        entries = kept.tocoo()
        pairs = (met[entries.row], met[entries.col])
        return cls.of(csr_matrix((entries.data, pairs), shape=(n_items, n_items)), config)

    @classmethod
    def nothing(cls, n_items: int, config: Config) -> Self:
        """Return the model that has nothing to say."""
        return cls.of(csr_matrix((n_items, n_items), dtype=np.float32), config)

    def asked(self, query: Query) -> tuple[Rows, Scores]:
        """Return the item rows (each once) and weights that are multiplied; subclasses may turn."""
        return query.rows, query.weights

    def recommend(
        self,
        query: Query,
        count: int,
        *,
        allowed: NDArray[np.bool_] | None = None,
        own: bool = False,
    ) -> Ranked:
        """Return the items that the query's speak for; a query without known items gets nothing."""
        if count <= 0 or not len(query.rows):
            return EMPTY
        rows, scores = self._summed(query, NOBODY.rows if own else query.rows)
        keep = scores > 0
        if allowed is not None:
            keep &= allowed.take(rows)
        return best(rows[keep], scores[keep], count)

    def score(self, query: Query) -> Scores:
        """Return the weighted sum of the rows of the query's items."""
        scores = np.zeros(self.n_items, np.float32)
        rows, found = self._summed(query)
        scores[rows] = found
        return scores

    def score_many(self, queries: Sequence[Query]) -> Scores:
        """Return one sparse product of all queries, as dense scores."""
        asked = [self.asked(query) for query in queries]
        if not asked:
            return np.zeros((0, self.n_items), np.float32)
        indptr = np.cumsum([0, *(len(rows) for rows, _ in asked)])
        rows = np.concatenate([rows for rows, _ in asked])
        weights = np.concatenate([weights for _, weights in asked])
        shape = (self.n_items, self.n_items)
        left = csr_matrix((weights, rows, indptr), shape=(len(asked), self.n_items))
        right = csr_matrix((self._data, self._indices, self._indptr), shape=shape, copy=False)
        scores: Scores = (left @ right).toarray()
        return scores

    def reasons(self, query: Query, rows: Rows) -> Rows:
        """Return the query's items with the largest weighted similarity to each of `rows`.

        Only the heaviest of the query's items are asked: the others hardly moved the score.
        """
        asked, weights = self.asked(query)
        if len(asked) > _ASKED_FOR_REASONS:
            heaviest = np.argsort(-weights, kind="stable")[:_ASKED_FOR_REASONS]
            asked, weights = asked[heaviest], weights[heaviest]
        touched, shares, lengths = self._said(asked, weights)
        if not len(touched):
            return np.full(len(rows), -1, np.int32)
        # the columns of each item are sorted: with its number before them all are
        numbers = np.arange(len(asked)) * self.n_items
        keys = touched + numbers.repeat(lengths)
        wanted = rows + numbers[:, None]
        at = keys.searchsorted(wanted)
        found = shares.take(at, mode="clip")
        found[keys.take(at, mode="clip") != wanted] = 0
        return np.where(found.max(axis=0) > 0, asked.take(found.argmax(axis=0)), -1)

    def to_arrays(self) -> Arrays:
        """Return the CSR parts."""
        return {"indptr": self._indptr, "indices": self._indices, "data": self._data}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: Config) -> Self:
        """Return the stored model, reading the arrays in place."""
        indptr, indices, data = arrays["indptr"], arrays["indices"], arrays["data"]
        check_csr(cls.key, indptr, indices, data, n_columns=len(indptr) - 1)
        return cls(indptr, indices, data, config)

    def _summed(self, query: Query, without: Rows = NOBODY.rows) -> tuple[Rows, Scores]:
        """Return (items touched, each once, in no order; their sums)."""
        asked, weights = self.asked(query)
        touched, shares, _ = self._said(asked, weights)
        return summed(touched, shares, self.n_items, without=without)

    def _said(self, items: Rows, weights: Scores) -> tuple[Rows, Scores, NDArray[np.int64]]:
        """Return (what each of `items` speaks for, item after item; how much; how many of each)."""
        at, lengths = spans(self._indptr, items)
        return self._indices.take(at), self._data.take(at) * weights.repeat(lengths), lengths
