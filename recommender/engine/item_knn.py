"""Item-item neighbours: items met by the same visitors are alike, in one of four measures.

BM25 is the default: on sessions and on sequences of purchases it beat the other three. The query's
own weights (the newer, the heavier) are half of the method.

References
----------
Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001, section
3.1.2 (cosine). Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond",
2009, section 3.4 (a user is a document, an item a term). Aiolli, "Efficient top-N recommendation
for very large scale binary rated datasets", RecSys 2013, section 3.2 (asymmetric cosine). Koren,
"Factorization meets the neighborhood", KDD 2008, section 2.1 (shrinkage).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from scipy.sparse import csr_matrix

from recommender.engine.base import Config, Cost, Interactions, SideInfo
from recommender.engine.itemitem import ItemItem
from recommender.engine.matrix import (
    MatrixConfig,
    column_sums,
    inverse,
    scale_columns,
    user_items,
)
from recommender.engine.products import Finish, largest


@dataclass(frozen=True, slots=True)
class ItemKnnConfig(MatrixConfig):
    """How neighbours are found.

    `measure`: bm25, tfidf, cosine or asymmetric. `neighbours` kept an item. `self_similar`: whether
    an item speaks for itself too, which counts where visitors return to what they saw. `k1`, `b`
    of BM25. `alpha` of the asymmetric cosine (0.5: symmetric), `shrink` what is added to the
    product of norms, so that a pair met once is no sure thing.
    """

    measure: str = "bm25"
    neighbours: int = 400
    self_similar: bool = True
    k1: float = 1.2
    b: float = 0.3
    alpha: float = 0.6
    shrink: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a measure that does not exist."""
        if self.measure not in MEASURES:
            msg = f"measure must be one of {', '.join(MEASURES)}, not {self.measure!r}"
            raise ValueError(msg)


class _Factors(NamedTuple):
    """The product that gives similarities, and what is done to its entries."""

    left: csr_matrix
    right: csr_matrix
    finish: Finish | None = None


class ItemKnn(ItemItem):
    """Neighbours of each item by the configured measure."""

    key = "item_knn"
    config_type = ItemKnnConfig

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model; an item that nobody met has no neighbours."""
        assert isinstance(config, ItemKnnConfig)  # noqa: S101 -- narrows the type
        if not len(data):
            return cls.nothing(data.n_items, config)
        matrix = user_items(data, config, as_of_s)
        factors = MEASURES[config.measure](matrix, config)
        similarity = largest(
            factors.left,
            factors.right,
            config.neighbours,
            diagonal=config.self_similar,
            finish=factors.finish,
        )
        return cls.of(similarity, config)

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of multiplying each pair with its user's others."""
        assert isinstance(config, ItemKnnConfig)  # noqa: S101 -- narrows the type
        return neighbour_cost(n_users, n_items, nnz, config.neighbours)


def neighbour_cost(n_users: int, n_items: int, nnz: int, neighbours: int) -> Cost:
    """Return the cost of `largest` on users of skewed activity (twice the mean counts)."""
    products = 4.0 * nnz * nnz / max(n_users, 1)
    kept = min(products, float(n_items) * min(neighbours, n_items))
    return Cost(4e-8 * products + 3e-5 * n_items, 80.0 * nnz + 24.0 * kept + 2e8)


def _bm25(matrix: csr_matrix, config: ItemKnnConfig) -> _Factors:
    """Weigh each pair by BM25; similarity is the product of the weights."""
    lengths = np.asarray(matrix.sum(axis=1)).ravel()
    norm = config.k1 * (1 - config.b + config.b * lengths / (lengths.mean() or 1.0))
    matrix.data = (
        matrix.data
        * np.float32(config.k1 + 1)
        / (matrix.data + np.repeat(norm, np.diff(matrix.indptr)).astype(np.float32))
    )
    scale_columns(matrix, _idf(matrix))
    return _Factors(matrix.T.tocsr(), matrix)


def _tfidf(matrix: csr_matrix, config: ItemKnnConfig) -> _Factors:
    """Root of the weight by idf, then cosine."""
    np.sqrt(matrix.data, out=matrix.data)
    scale_columns(matrix, _idf(matrix))
    return _cosine(matrix, config)


def _cosine(matrix: csr_matrix, _config: ItemKnnConfig) -> _Factors:
    scale_columns(matrix, inverse(column_sums(matrix, 2.0), 0.5))
    return _Factors(matrix.T.tocsr(), matrix)


def _asymmetric(matrix: csr_matrix, config: ItemKnnConfig) -> _Factors:
    """Divide by |i|**(2 alpha) |j|**(2 - 2 alpha) + shrink: i the query's item, j the found."""
    squares = column_sums(matrix, 2.0)
    own = (squares**config.alpha).astype(np.float32)
    other = (squares ** (1 - config.alpha)).astype(np.float32)

    def finish(block: csr_matrix, start: int) -> None:
        lengths = np.diff(block.indptr)
        owns = np.repeat(own[start : start + len(lengths)], lengths)
        block.data /= owns * other[block.indices] + np.float32(config.shrink)

    return _Factors(matrix.T.tocsr(), matrix, finish)


def _idf(matrix: csr_matrix) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return ln(1 + (n - df + ½) / (df + ½)): above 0 for an item that everybody met, too."""
    met = np.bincount(matrix.indices, minlength=matrix.shape[1])
    users = np.count_nonzero(np.diff(matrix.indptr))
    idf: np.ndarray[tuple[int], np.dtype[np.float32]] = np.log1p(
        (users - met + 0.5) / (met + 0.5)
    ).astype(np.float32)
    return idf


MEASURES: dict[str, Callable[[csr_matrix, ItemKnnConfig], _Factors]] = {
    "bm25": _bm25,
    "tfidf": _tfidf,
    "cosine": _cosine,
    "asymmetric": _asymmetric,
}
