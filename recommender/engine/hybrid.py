"""Factors that know what an item is: a cold item gets its vector from its description.

LightFM's role (an item is the sum of its features' vectors and its own) on factors that are learnt
as ALS learns them: ridge regression from descriptions to vectors, then each item's own vector
counts against the predicted one by how many interactions stand behind it.

References
----------
Kula, "Metadata embeddings for user and item cold-start recommendations", CBRecSys 2015, section 3.
Gantner et al., "Learning attribute-to-feature mappings for cold-start recommendations", ICDM 2010,
section IV (mapping by regression).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine.als import Als, AlsConfig, solved
from recommender.engine.base import Config, Cost, Interactions, SideInfo
from recommender.engine.content import FeaturesConfig, features
from recommender.engine.factors import Folding, InPasses, Look
from recommender.engine.lazy import linear_model
from recommender.engine.matrix import user_items


@dataclass(frozen=True, slots=True)
class HybridConfig(AlsConfig):
    """`support`: interactions at which an item's own vector counts half beside the predicted one.

    `feature_ridge` holds the regression back.
    """

    support: float = 5.0
    feature_ridge: float = 1.0


class Hybrid(InPasses):
    """Vectors of items, their own and their descriptions' mixed."""

    key = "hybrid"
    config_type = HybridConfig

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
        """Return the model; without side information it is ALS, and that is what is looked at."""
        assert isinstance(config, HybridConfig)  # noqa: S101 -- narrows the type
        matrix = user_items(data, config, as_of_s)
        items, bias, folding = solved(matrix, config, look)
        met = np.bincount(matrix.indices, minlength=data.n_items).astype(np.float32)
        described = features(side or SideInfo(), data.n_items, FeaturesConfig())
        if not described.nnz or not matrix.nnz:
            return cls(items, bias, folding)
        predicted = _predicted(described, items, met, config)
        known = (met / (met + np.float32(config.support)))[:, None]
        # who has no description keeps the own vector whole
        known[np.diff(described.indptr) == 0] = 1
        mixed = (known * items + (1 - known) * predicted).astype(np.float32)
        return cls(mixed, bias, Folding(mixed.T @ mixed, folding.ridge, folding.confidence))

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return ALS's cost, and of some hundred passes over the descriptions."""
        seconds, size = Als.cost(n_users, n_items, nnz, config)
        return Cost(seconds + 5e-4 * n_items, size + 4000.0 * n_items)


def _predicted(
    described: csr_matrix,
    items: NDArray[np.float32],
    met: NDArray[np.float32],
    config: HybridConfig,
) -> NDArray[np.float32]:
    """Return the vector that each item's description gives, (n_items, k)."""
    warm = np.flatnonzero((met > 0) & (np.diff(described.indptr) > 0))
    if not len(warm):
        return np.zeros_like(items)
    model = linear_model.Ridge(alpha=config.feature_ridge, solver="sparse_cg", fit_intercept=True)
    model.fit(described[warm], items[warm], sample_weight=np.sqrt(met[warm]))
    predicted: NDArray[np.float32] = model.predict(described)
    return predicted.reshape(items.shape)
