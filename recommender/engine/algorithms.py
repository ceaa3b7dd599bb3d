"""The table of models: name -> algorithm, interactions that it learns from, settings."""

from dataclasses import dataclass

import numpy as np

from recommender.engine.base import Algorithm, Config, Interactions
from recommender.engine.item_knn import ItemKnn, ItemKnnConfig
from recommender.engine.popularity import Popularity, PopularityConfig


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of model that strategies name.

    `kinds`: the fact kinds that it learns from. `baskets`: a customer's actions of one day are a
    user of their own, so that neighbours are things bought together rather than over a life.
    """

    algorithm: type[Algorithm]
    config: Config
    kinds: tuple[str, ...]
    baskets: bool = False


_ALL = ("view", "wishlist", "add", "order")
RECIPES: dict[str, Recipe] = {
    "popularity": Recipe(Popularity, PopularityConfig(), _ALL),
    "item_knn": Recipe(ItemKnn, ItemKnnConfig(), _ALL),
    "bought_together": Recipe(
        ItemKnn, ItemKnnConfig(half_life_days=180.0), ("add", "order"), baskets=True
    ),
}


def as_baskets(data: Interactions) -> Interactions:
    """Return `data` with one user row for each (user, UTC day)."""
    if not len(data):
        return data
    day = (data.at_s // 86_400).astype(np.int64)
    day -= day.min()
    key = data.users.astype(np.int64) * (int(day.max()) + 1) + day
    unique, users = np.unique(key, return_inverse=True)
    return Interactions(
        users.astype(np.int32), data.items, data.weights, data.at_s, len(unique), data.n_items
    )
