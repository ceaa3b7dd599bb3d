"""Matrix factorisation of implicit feedback by alternating least squares (implicit).

References
----------
Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008. Takacs,
Pilaszy and Tikk, "Applications of the conjugate gradient method for implicit feedback collaborative
filtering", RecSys 2011 (the solver).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.engine.base import Config, Cost, Interactions, SideInfo
from recommender.engine.factors import FactorsConfig, Folding, InPasses, Look, sized
from recommender.engine.lazy import als
from recommender.engine.matrix import user_items

# Seconds of one core for a pass over both sides: of a row four products with the (k, k) gram, and
# its share of making that; of a pair its products of k numbers, and fetching it from memory; what a
# row costs besides. Least relative squares over twelve matrices: 0.1 to 1 million pairs, 6,000 to
# 220,000 rows, k from 16 to 256.
_S_ROW_K2, _S_PAIR_K, _S_PAIR, _S_ROW = 3.7e-10, 2.0e-9, 7.5e-8, 2.3e-6


@dataclass(frozen=True, slots=True)
class AlsConfig(FactorsConfig):
    """How confident an interaction makes, and how vectors are held back.

    `alpha`: confidence of a weight of 1; 0 takes 0.9 * sqrt(cells / pairs), 40 where one cell in
    two thousand is filled (Hu et al.'s choice), 5 where one in thirty is. `ridge` 0 takes 20 and
    half of alpha more.
    """

    alpha: float = 0.0
    ridge: float = 0.0
    iterations: int = 15
    user_power: float = 0.0


class Als(InPasses):
    """Vectors of items that explain who met them; one that nobody met has a vector of zeros."""

    key = "als"
    config_type = AlsConfig

    @classmethod
    def learn(
        cls,
        data: Interactions,
        config: Config,
        *,
        as_of_s: float,
        side: SideInfo | None = None,
        look: Look | None = None,
    ) -> Self:
        """Return the model."""
        assert isinstance(config, AlsConfig)  # noqa: S101 -- narrows the type
        return cls(*solved(user_items(data, config, as_of_s), config, look))

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of three steps of conjugate gradients a row, side and iteration.

        As measured by `tests/recommender/test_costs.py`: within a factor of two there.
        """
        assert isinstance(config, AlsConfig)  # noqa: S101 -- narrows the type
        k = sized(config.factors, n_users, n_items, nnz)
        rows = n_users + n_items
        one = _S_ROW_K2 * rows * k * k + _S_PAIR_K * nnz * k + _S_PAIR * nnz + _S_ROW * rows
        return Cost(config.iterations * one, 12.0 * rows * k + 80.0 * nnz)


def solved(
    matrix: csr_matrix, config: AlsConfig, look: Look | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32], Folding]:
    """Return (item vectors, biases of 0, folding) of a (users, items) matrix."""
    n_items = matrix.shape[1]
    bias = np.zeros(n_items, np.float32)
    if not matrix.nnz:
        return np.zeros((n_items, 1), np.float32), bias, Folding(np.eye(1, dtype=np.float32), 1, 1)
    met = np.flatnonzero(np.bincount(matrix.indices, minlength=n_items))
    active = int(np.count_nonzero(np.diff(matrix.indptr)))
    alpha = config.alpha or float(0.9 * np.sqrt(active * len(met) / matrix.nnz))
    ridge = config.ridge or 20.0 + alpha / 2
    k = sized(config.factors, active, len(met), matrix.nnz)
    # it warns where BLAS has threads of its own, and each row's tiny product would start them
    with threadpool_limits(1, "blas"):
        # a new object each time: implicit reads out of range when one is fitted twice
        model = als.AlternatingLeastSquares(
            factors=k,
            alpha=alpha,
            regularization=ridge,
            iterations=config.iterations,
            num_threads=config.num_threads,
            random_state=config.seed,
        )

        def state() -> tuple[NDArray[np.float32], NDArray[np.float32], Folding]:
            items = np.asarray(model.item_factors, np.float32)
            return items, bias, Folding(items.T @ items, ridge, alpha)

        def after(done: int, _seconds: float, _loss: float | None) -> None:
            if look is not None:
                look(done + 1, lambda: Als(*state()))

        model.fit(matrix, show_progress=False, callback=after)
    return state()
