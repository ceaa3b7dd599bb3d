"""Graph filtering: neighbours of the normalised graph plus its lowest frequencies, made sparse.

The closed form of what graph neural networks learn on the same data. Dense in the paper; here each
item keeps its strongest partners, which costs no accuracy on the Gowalla set and lets it serve like
any neighbour model.

References
----------
Shen et al., "How powerful is graph convolution for recommendation?", CIKM 2021, equation 9 and
algorithm 1 (GF-CF).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.engine.base import Config, Cost, Interactions, SideInfo
from recommender.engine.itemitem import ItemItem
from recommender.engine.lazy import extmath
from recommender.engine.matrix import (
    MatrixConfig,
    column_sums,
    inverse,
    row_sums,
    scale_columns,
    scale_rows,
    user_items,
)
from recommender.engine.products import largest_of_dense

# Dense rows at a time: 40,000 items take 80 MB.
_BLOCK_ENTRIES = 20_000_000


@dataclass(frozen=True, slots=True)
class GfcfConfig(MatrixConfig):
    """`factors`: frequencies of the ideal low-pass filter; 0 lets the size of the data say.

    `alpha` weighs that filter against the linear one. `neighbours` kept an item. `num_threads` of
    BLAS.
    """

    factors: int = 0
    alpha: float = 0.3
    neighbours: int = 300
    seed: int = 42
    num_threads: int = 1
    user_power: float = 0.0


class Gfcf(ItemItem):
    """Row i: what item i adds to each other item; none to itself."""

    key = "gfcf"
    config_type = GfcfConfig

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model."""
        assert isinstance(config, GfcfConfig)  # noqa: S101 -- narrows the type
        if not len(data):
            return cls.nothing(data.n_items, config)
        matrix = user_items(data, config, as_of_s)
        degree = column_sums(matrix)
        scale_rows(matrix, inverse(row_sums(matrix), 0.5))
        scale_columns(matrix, inverse(degree, 0.5))
        met = np.flatnonzero(degree)
        if not len(met):
            # all of it too old to weigh anything
            return cls.nothing(data.n_items, config)
        graph = matrix[:, met]
        with threadpool_limits(config.num_threads, "blas"):
            kept = _filter(graph, degree[met], config)
        return cls.among(kept, met, data.n_items, config)

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of a dense (n_items, n_items) product in blocks, and of the SVD."""
        assert isinstance(config, GfcfConfig)  # noqa: S101 -- narrows the type
        n, k = float(n_items), _factors(n_items, n_users, config)
        seconds = n * n * (2 * k / 3e10 + 1e-8) + 4e-9 * nnz * k * 10
        return Cost(seconds, 4 * _BLOCK_ENTRIES * 4 + 12.0 * (n + n_users) * k + 8.0 * n * 300)


def _factors(n_items: int, n_users: int, config: GfcfConfig) -> int:
    """Return how many frequencies pass: a sixteenth of the smaller side, 16 to 256."""
    most = max(min(n_items, n_users) - 1, 0)
    return min(config.factors or int(np.clip(min(n_items, n_users) // 16, 16, 256)), most)


def _filter(graph: csr_matrix, degree: NDArray[np.float64], config: GfcfConfig) -> csr_matrix:
    """Return the sparse filter over items met, (m, m)."""
    n_users, n_items = graph.shape
    k = _factors(n_items, n_users, config)
    if k:
        _, _, low = extmath.randomized_svd(
            graph, k, n_iter=4, random_state=config.seed, flip_sign=False
        )
        low = low.astype(np.float32)
    else:
        low = np.zeros((0, n_items), np.float32)
    root = np.sqrt(degree).astype(np.float32)
    # row i, column j: sum over k of low[k, i] / root[i] * low[k, j] * root[j]
    left = np.ascontiguousarray((low / root).T) * np.float32(config.alpha)
    right = low * root
    linear = graph.T.tocsr()
    block = max(1, _BLOCK_ENTRIES // n_items)
    buffer = np.empty((min(block, n_items), n_items), np.float32)

    def rows_of(start: int, stop: int) -> NDArray[np.float32]:
        dense = np.matmul(left[start:stop], right, out=buffer[: stop - start])
        near = (linear[start:stop] @ graph).tocoo()
        # entries of a sparse product are each there once
        dense[near.row, near.col] += near.data
        dense[np.arange(stop - start), np.arange(start, stop)] = 0
        return dense

    return largest_of_dense(rows_of, (n_items, n_items), config.neighbours, block=block)
