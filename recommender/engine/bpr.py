"""Factorisation that learns to rank what a user met above what they did not (implicit).

Seldom the best here, and there for comparison; one thread, as with more its result is never the
same twice.

References
----------
Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit
from threadpoolctl import threadpool_limits

from recommender.engine.base import Config, Cost, Interactions, Scores, SideInfo
from recommender.engine.factors import FactorsConfig, Folding, InPasses, Look, plain, sized
from recommender.engine.lazy import bpr
from recommender.engine.matrix import user_items


@dataclass(frozen=True, slots=True)
class BprConfig(FactorsConfig):
    """Stochastic descent: `rate` of learning, `ridge`, passes over the pairs.

    A visitor's vector is predicted from the mean of their items' by a regression over the users
    that were trained, held back by `fold_ridge`.
    """

    rate: float = 0.01
    ridge: float = 0.01
    iterations: int = 100
    fold_ridge: float = 1.0
    user_power: float = 0.0


class Bpr(InPasses):
    """Scores are chances (logistic) that a visitor prefers an item to one of no appeal."""

    key = "bpr"
    config_type = BprConfig

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
        """Return the model; weights do not matter to it, only who met what."""
        assert isinstance(config, BprConfig)  # noqa: S101 -- narrows the type
        matrix = user_items(data, config, as_of_s)
        if not matrix.nnz:
            nothing = np.full(data.n_items, -np.inf, np.float32)
            return cls(*plain(np.zeros((data.n_items, 1), np.float32), nothing))
        with threadpool_limits(1, "blas"):
            model = bpr.BayesianPersonalizedRanking(
                factors=sized(config.factors, data.n_users, data.n_items, matrix.nnz),
                learning_rate=config.rate,
                regularization=config.ridge,
                iterations=config.iterations,
                num_threads=1,
                random_state=config.seed,
            )

            def made() -> Bpr:
                return cls._of(matrix, model.item_factors, model.user_factors, config)

            def after(done: int, *_told: object) -> None:
                if look is not None:
                    look(done + 1, made)

            model.fit(matrix, show_progress=False, callback=after)
        return cls._of(matrix, model.item_factors, model.user_factors, config)

    @classmethod
    def _of(
        cls,
        matrix: csr_matrix,
        item_factors: NDArray[np.float32],
        user_factors: NDArray[np.float32],
        config: BprConfig,
    ) -> Self:
        # implicit keeps the bias as a last factor, which a user's vector meets with a 1
        learned = np.asarray(item_factors, np.float32)
        items, bias = learned[:, :-1].copy(), learned[:, -1].copy()
        users = np.asarray(user_factors, np.float32)[:, :-1]
        turn, shift = _folding(matrix, items, users, config)
        bias += items @ shift
        # what nobody met still has the random vector it began with
        unmet = np.bincount(matrix.indices, minlength=len(items)) == 0
        items[unmet], bias[unmet] = 0, -np.inf
        return cls(items, bias, Folding(turn, 0.0, 1.0))

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of one step a pair and pass."""
        assert isinstance(config, BprConfig)  # noqa: S101 -- narrows the type
        k = sized(config.factors, n_users, n_items, nnz)
        seconds = config.iterations * nnz * (2e-7 + 3e-9 * k)
        return Cost(seconds, 8.0 * (n_users + n_items) * k + 80.0 * nnz)

    def _told(self, products: Scores) -> Scores:
        scores: Scores = expit(products)
        return scores


def _folding(
    matrix: csr_matrix, items: NDArray[np.float32], users: NDArray[np.float32], config: BprConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (k, k) and (k,): a user's vector is about the mean of their items' times it, plus."""
    degree = np.diff(matrix.indptr)
    known = np.flatnonzero(degree)
    means = (matrix[known] @ items) / np.asarray(matrix[known].sum(axis=1))
    center, target = means.mean(axis=0), users[known].mean(axis=0)
    means = means - center
    normal = means.T @ means
    normal[np.diag_indices_from(normal)] += config.fold_ridge
    turn = np.linalg.solve(normal, means.T @ (users[known] - target)).astype(np.float32)
    return turn, (target - center @ turn).astype(np.float32)
