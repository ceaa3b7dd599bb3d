"""What a visitor met before, in a useful order: recently viewed, and due to be bought again.

Both rank the query's own items and nothing else; ask them with `own=True`.

References
----------
Bhagat et al., "Buy It Again: modeling repeat purchase recommendations", KDD 2018, sections 4.1
(share of customers who come back for an item) and 4.4 (an interval to wait for). Hu et al.,
"Modeling personalized item frequency information for next-basket recommendation", SIGIR 2020 (the
decayed frequency that deep models did not beat).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import (
    Algorithm,
    Arrays,
    Config,
    Cost,
    Interactions,
    Query,
    Scores,
    SideInfo,
    newest_once,
)


@dataclass(frozen=True, slots=True)
class RecentlyViewedConfig(Config):
    """`decay`: score of the n-th newest action."""

    decay: float = 0.9


class RecentlyViewed(Algorithm):
    """The query's items, newest first. Nothing is learned but how many items there are."""

    key = "recently_viewed"
    config_type = RecentlyViewedConfig
    own_only = True

    def __init__(self, n_items: int, config: RecentlyViewedConfig) -> None:
        self.n_items = n_items
        self._config = config

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model."""
        assert isinstance(config, RecentlyViewedConfig)  # noqa: S101 -- narrows the type
        return cls(data.n_items, config)

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return nothing."""
        return Cost(0.0, 0.0)

    def score(self, query: Query) -> Scores:
        """Return a score for each item of the query, by the place where it was last met."""
        scores = np.zeros(self.n_items, np.float32)
        rows, weights = newest_once(query, self._config.decay)
        scores[rows] = weights
        return scores

    def to_arrays(self) -> Arrays:
        """Return the size."""
        return {"n_items": np.array([self.n_items], np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: Config) -> Self:
        """Return the stored model."""
        assert isinstance(config, RecentlyViewedConfig)  # noqa: S101 -- narrows the type
        if arrays["n_items"].shape != (1,):
            msg = "recently_viewed arrays do not fit together"
            raise ValueError(msg)
        return cls(int(arrays["n_items"][0]), config)


@dataclass(frozen=True, slots=True)
class BuyAgainConfig(Config):
    """How the past of a customer turns into what is due.

    `half_life_days`: age at which a purchase counts half. `prior`: customers of an average item
    that every item's share of repeaters starts from. `waiting`: how much of its score an item lacks
    right after it was bought, given back until its usual interval is over.
    """

    half_life_days: float = 90.0
    prior: float = 5.0
    waiting: float = 0.5


class BuyAgain(Algorithm):
    """`repeat` (n_items,) share of customers who came back, `interval_days` (n_items,)."""

    key = "buy_again"
    config_type = BuyAgainConfig
    own_only = True

    def __init__(self, repeat: Scores, interval_days: Scores, config: BuyAgainConfig) -> None:
        self._repeat = repeat
        self._interval_days = interval_days
        self._config = config
        self.n_items = len(repeat)

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model; purchases of one item on one day are one."""
        assert isinstance(config, BuyAgainConfig)  # noqa: S101 -- narrows the type
        day = np.floor(data.at_s / 86_400)
        order = np.lexsort((day, data.items, data.users))
        users, items, days = data.users[order], data.items[order], day[order]
        same = (users[1:] == users[:-1]) & (items[1:] == items[:-1])
        again = same & (days[1:] > days[:-1])
        waits, of_item = (days[1:] - days[:-1])[again], items[1:][again]
        first = np.append(np.ones(min(len(users), 1), np.bool_), ~same)
        buyers = np.bincount(items[first], minlength=data.n_items)
        pair = np.cumsum(first)[1:][again]
        repeaters = np.bincount(of_item[np.diff(pair, prepend=-1) > 0], minlength=data.n_items)
        mean = repeaters.sum() / buyers.sum() if buyers.any() else 0.0
        # nobody came back for anything: still what was met last is likelier than nothing
        prior = max(config.prior, 1e-9)
        repeat = (repeaters + prior * max(mean, 1e-3)) / (buyers + prior)
        usual = float(np.median(waits)) if len(waits) else 30.0
        log_sum = np.bincount(of_item, np.log(waits), minlength=data.n_items)
        times = np.bincount(of_item, minlength=data.n_items)
        # the geometric mean resists the one who came back after a year
        interval = np.exp((log_sum + prior * np.log(usual)) / (times + prior))
        return cls(repeat.astype(np.float32), interval.astype(np.float32), config)

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of one sort."""
        return Cost(5e-7 * nnz, 60.0 * nnz + 48.0 * n_items)

    def score(self, query: Query) -> Scores:
        """Return decayed frequency times the item's share of repeaters, less while it is not due.

        Without ages the query's weights stand for the frequency, and nothing is known of intervals.
        """
        scores = np.zeros(self.n_items, np.float32)
        rows = query.rows
        if not len(query.ages_days):
            scores[rows] = query.weights * self._repeat[rows]
            return scores
        place = np.searchsorted(rows, query.newest)
        ages = np.maximum(query.ages_days, 0.0)
        counts = np.bincount(place, np.exp2(-ages / self._config.half_life_days), len(rows))
        last = np.full(len(rows), np.inf, np.float32)
        np.minimum.at(last, place, ages)
        due = np.minimum(last / self._interval_days[rows], 1.0)
        scores[rows] = counts * self._repeat[rows] * (1 - self._config.waiting * (1 - due))
        return scores

    def reasons(self, query: Query, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the items themselves: they were met before."""
        return np.where(np.isin(rows, query.rows), rows, -1).astype(np.int32)

    def to_arrays(self) -> Arrays:
        """Return shares and intervals."""
        return {"repeat": self._repeat, "interval_days": self._interval_days}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: Config) -> Self:
        """Return the stored model."""
        assert isinstance(config, BuyAgainConfig)  # noqa: S101 -- narrows the type
        if len(arrays["repeat"]) != len(arrays["interval_days"]):
            msg = "buy_again arrays do not fit together"
            raise ValueError(msg)
        return cls(arrays["repeat"], arrays["interval_days"], config)
