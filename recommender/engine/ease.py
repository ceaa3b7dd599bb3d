"""Item-item weights by ridge regression in closed form: each item from all the others.

The strongest model of small catalogues, for baskets above all. Time grows with the cube of the
number of items that anybody met, memory with the square; `cost` says so before anybody tries.

References
----------
Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, equations 8 and 9.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.engine.base import Config, Cost, Interactions, SideInfo, TooDearError
from recommender.engine.itemitem import ItemItem
from recommender.engine.matrix import MatrixConfig, user_items
from recommender.engine.products import largest_of_dense

# Rows whose largest weights are picked at once.
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class EaseConfig(MatrixConfig):
    """How strongly weights are held back, and what is kept.

    `ridge`: the penalty; 0 takes `ridge_share` of the mean of the diagonal of the Gram matrix over
    items met, and at least `ridge_least`. `neighbours` of largest magnitude are kept an item.
    `most_items`: more items that somebody met are refused. `num_threads` of BLAS.
    """

    ridge: float = 0.0
    ridge_share: float = 2.0
    ridge_least: float = 20.0
    neighbours: int = 1000
    most_items: int = 11_000
    num_threads: int = 1
    user_power: float = 0.0


class Ease(ItemItem):
    """Row i: what item i adds to each other item, negative weights too; 0 on the diagonal."""

    key = "ease"
    config_type = EaseConfig

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model.

        Raises
        ------
        TooDearError
            More than `most_items` items were met.
        """
        assert isinstance(config, EaseConfig)  # noqa: S101 -- narrows the type
        matrix = user_items(data, config, as_of_s)
        met = np.flatnonzero(np.bincount(matrix.indices, minlength=data.n_items))
        if len(met) > config.most_items:
            cost = cls.cost(data.n_users, len(met), len(data), config)
            msg = (
                f"EASE on {len(met):,} items would take about {cost.seconds:,.0f} s and"
                f" {cost.bytes / 1e9:.1f} GB; most_items allows {config.most_items:,}"
            )
            raise TooDearError(msg)
        if not len(met):
            return cls.nothing(data.n_items, config)
        with threadpool_limits(config.num_threads, "blas"):
            weights = _weights(matrix[:, met], config)
        kept = largest_of_dense(
            lambda start, stop: weights[start:stop], weights.shape, config.neighbours, block=_BLOCK
        )
        return cls.among(kept, met, data.n_items, config)

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of inverting (n_items, n_items): n^3 steps, in double precision.

        The peak is there, or, of few items, where each row's largest weights are picked in blocks.
        """
        assert isinstance(config, EaseConfig)  # noqa: S101 -- narrows the type
        n = float(n_items)
        kept = n * min(config.neighbours, n_items)
        picking = 4.0 * n * n + 24.0 * n * min(n_items, _BLOCK) + 32.0 * kept
        return Cost(n**3 / 4e10 + 1e-7 * nnz, max(20.0 * n * n, picking) + 80.0 * nnz)


def _weights(matrix: csr_matrix, config: EaseConfig) -> NDArray[np.float32]:
    """Return (n, n): -P / diag(P) with P the inverse of the Gram matrix plus the ridge."""
    gram: NDArray[np.float64] = (matrix.T @ matrix).toarray().astype(np.float64)
    diagonal = np.diag_indices_from(gram)
    ridge = config.ridge or max(
        config.ridge_share * float(gram[diagonal].mean()), config.ridge_least
    )
    gram[diagonal] += ridge
    # symmetric and positive definite: Cholesky costs half of what a general inverse does; the
    # transposed view is the same matrix in the order that LAPACK overwrites
    factor = linalg.cholesky(gram.T, lower=True, overwrite_a=True, check_finite=False)
    inverse, _ = linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)
    _mirror(inverse)
    weights = np.empty(inverse.shape, np.float32)
    np.divide(inverse, -np.diag(inverse), out=weights, casting="same_kind")
    weights[diagonal] = 0
    return weights


def _mirror(matrix: NDArray[np.float64], block: int = 1024) -> None:
    """Copy what lies below the diagonal above it, in place."""
    for start in range(0, len(matrix), block):
        stop = start + block
        corner = np.tril(matrix[start:stop, start:stop])
        matrix[start:stop, start:stop] = corner + np.tril(corner, -1).T
        matrix[start:stop, stop:] = matrix[stop:, start:stop].T
