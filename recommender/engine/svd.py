"""Truncated singular value decomposition: the directions in which most visitors differ.

References
----------
Cremonesi, Koren and Turrin, "Performance of recommender algorithms on top-N recommendation tasks",
RecSys 2010, section 3.2.2 (PureSVD; a visitor is the sum of their items' vectors). Nikolakopoulos
et al., "EigenRec", KAIS 2019 (columns divided by popularity to a power).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from recommender.engine.base import Config, Cost, Interactions, SideInfo
from recommender.engine.factors import Factors, FactorsConfig, plain, sized
from recommender.engine.lazy import extmath
from recommender.engine.matrix import column_sums, inverse, scale_columns, user_items


@dataclass(frozen=True, slots=True)
class SvdConfig(FactorsConfig):
    """`popularity_power`: columns are divided by norm**popularity_power, 0 for PureSVD."""

    popularity_power: float = 0.6


class Svd(Factors):
    """Right singular vectors."""

    key = "svd"
    config_type = SvdConfig

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model."""
        assert isinstance(config, SvdConfig)  # noqa: S101 -- narrows the type
        matrix = user_items(data, config, as_of_s)
        if not matrix.nnz:
            return cls(*plain(np.zeros((data.n_items, 1), np.float32)))
        scale_columns(matrix, inverse(np.sqrt(column_sums(matrix, 2.0)), config.popularity_power))
        k = sized(config.factors, data.n_users, data.n_items, matrix.nnz)
        with threadpool_limits(config.num_threads, "blas"):
            _, _, right = extmath.randomized_svd(matrix, k, n_iter=4, random_state=config.seed)
        return cls(*plain(np.ascontiguousarray(right.T, np.float32)))

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of ten sparse products and orthogonalisations."""
        assert isinstance(config, SvdConfig)  # noqa: S101 -- narrows the type
        k = sized(config.factors, n_users, n_items, nnz)
        rows = float(n_users + n_items)
        return Cost(1e-8 * nnz * k + 1e-9 * rows * k * k, 24.0 * rows * k + 80.0 * nnz)
