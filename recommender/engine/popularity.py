"""What most visitors do now: the sum of weighted interactions, halved every half-life.

The floor of every selection and of every fallback ladder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import (
    NOBODY,
    Algorithm,
    Arrays,
    Config,
    Cost,
    Interactions,
    Query,
    Ranked,
    Rows,
    Scores,
    SideInfo,
    walk,
)
from recommender.engine.matrix import capped_sums


@dataclass(frozen=True, slots=True)
class PopularityConfig(Config):
    """How fast the past fades, and how loud one visitor may be.

    `half_life_days`: after it an interaction counts half (30 was best on Online Retail).
    `pair_cap`: what one user adds to one item at most, in weights of a view. `against_days`: above
    0, popularity is divided by the one of this half-life, so that what rises comes first;
    `against_least`: share of the mean item's that is added to the divisor, against rare ones.
    """

    half_life_days: float = 30.0
    pair_cap: float = 10.0
    against_days: float = 0.0
    against_least: float = 1.0


class Popularity(Algorithm):
    """`order` (n,) int32 items with a score, best first; `ranked` (n,) float32 in (0, 1]."""

    key = "popularity"
    config_type = PopularityConfig

    def __init__(self, order: Rows, ranked: Scores, n_items: int) -> None:
        self._order = order
        self._ranked = ranked
        self.n_items = n_items

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model; scores are shares of the most popular item's."""
        assert isinstance(config, PopularityConfig)  # noqa: S101 -- narrows the type
        total = _totals(data, config.half_life_days, config.pair_cap, as_of_s)
        if config.against_days > 0 and total.any():
            usual = _totals(data, config.against_days, config.pair_cap, as_of_s)
            total /= usual + config.against_least * usual[usual > 0].mean()
        return cls.of(total)

    @classmethod
    def of(cls, total: NDArray[np.float64]) -> Self:
        """Return the model of the sum of each item's weights, (n_items,)."""
        top = float(total.max(initial=0.0))
        # 2^-1000 half-lives is 0 in float: items last met in another age have no score
        order = np.argsort(-total, kind="stable")[: int(np.count_nonzero(total))].astype(np.int32)
        return cls(order, (total[order] / (top or 1.0)).astype(np.float32), len(total))

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of one sort of the pairs."""
        return Cost(1e-7 * nnz, 80.0 * nnz + 24.0 * n_items)

    def recommend(
        self,
        query: Query,
        count: int,
        *,
        allowed: NDArray[np.bool_] | None = None,
        own: bool = False,
    ) -> Ranked:
        """Return the most popular items; the query matters for what is left out alone."""
        drop = NOBODY.rows if own else query.rows
        return walk(self._order, self._ranked, count, allowed=allowed, drop=drop)

    def score(self, query: Query) -> Scores:
        """Return popularity for every item, the same for everybody."""
        scores = np.zeros(self.n_items, np.float32)
        scores[self._order] = self._ranked
        return scores

    def to_arrays(self) -> Arrays:
        """Return order, scores and size."""
        return {
            "order": self._order,
            "ranked": self._ranked,
            "n_items": np.array([self.n_items], np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: Config) -> Self:
        """Return the stored model."""
        order, ranked, n_items = arrays["order"], arrays["ranked"], int(arrays["n_items"][0])
        if len(order) != len(ranked) or (
            len(order) and not 0 <= order.min() <= order.max() < n_items
        ):
            msg = "popularity arrays do not fit together"
            raise ValueError(msg)
        return cls(order, ranked, n_items)


def _totals(
    data: Interactions, half_life_days: float, pair_cap: float, as_of_s: float
) -> NDArray[np.float64]:
    """Return the sum of each item's decayed weights, (n_items,), what one user adds capped."""
    age_days = np.maximum(as_of_s - data.at_s, 0.0) / 86_400
    decayed = data.weights * np.exp2(-age_days / half_life_days)
    return capped_sums(data, decayed, pair_cap)
