"""The table of models: name -> algorithm, interactions that it learns from, settings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.als import Als, AlsConfig
from recommender.engine.base import Algorithm, Config, Interactions
from recommender.engine.baskets import Baskets, BasketsConfig
from recommender.engine.bpr import Bpr, BprConfig
from recommender.engine.content import Content, ContentConfig
from recommender.engine.ease import Ease, EaseConfig
from recommender.engine.gfcf import Gfcf, GfcfConfig
from recommender.engine.groups import GroupPopularity, GroupPopularityConfig
from recommender.engine.hybrid import Hybrid, HybridConfig
from recommender.engine.item_knn import ItemKnn, ItemKnnConfig
from recommender.engine.personal import (
    BuyAgain,
    BuyAgainConfig,
    RecentlyViewed,
    RecentlyViewedConfig,
)
from recommender.engine.popularity import Popularity, PopularityConfig
from recommender.engine.queries import KIND_WEIGHTS
from recommender.engine.rp3beta import Rp3beta, Rp3betaConfig
from recommender.engine.session_knn import SessionKnn, SessionKnnConfig
from recommender.engine.svd import Svd, SvdConfig
from recommender.engine.transitions import Transitions, TransitionsConfig
from recommender.engine.units import VISIT_GAP_S, shaped


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of model that strategies name.

    `kinds`: the fact kinds that it learns from. `unit`: whose actions belong together: those of a
    "customer", of a "visit", or of a "day" (a basket). `served`: trained every night; the others
    are there for selection and for who names them. `weights`: of each kind, where the usual ones
    (`queries.KIND_WEIGHTS`) do not suit. `visit_gap_s`: the pause that ends a visit.
    """

    algorithm: type[Algorithm]
    config: Config
    kinds: tuple[str, ...]
    unit: str = "customer"
    served: bool = False
    weights: Mapping[str, float] | None = None
    visit_gap_s: float = VISIT_GAP_S

    @property
    def baskets(self) -> bool:
        """Whether what a customer did on one day stands for itself."""
        return self.unit == "day"

    def select(self, data: Interactions, kinds: NDArray[np.int8]) -> Interactions:
        """Return the interactions that this recipe learns from, weighed as it says.

        `kinds` (len(data),): place of each one's kind in `queries.KIND_WEIGHTS`.
        """
        mask = self.learns_from(kinds)
        part = data.where(mask)
        if self.weights is None:
            return part
        table = KIND_WEIGHTS | dict(self.weights)
        weights = np.array(list(table.values()), np.float32)
        return replace(part, weights=weights[kinds[mask]])

    def learns_from(self, kinds: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return which of some interactions (n,) it learns from, by the places of their kinds."""
        wanted = [place for place, kind in enumerate(KIND_WEIGHTS) if kind in self.kinds]
        found: NDArray[np.bool_] = np.isin(kinds, wanted)
        return found

    def changed(self, settings: Mapping[str, Any]) -> "Recipe":
        """Return the recipe with these settings in its config.

        Raises
        ------
        TypeError, ValueError
            Its config has no such setting, or refuses the value.
        """
        if not settings:
            return self
        told = {**self.config.to_json(), **settings}
        return replace(self, config=type(self.config).from_json(told))

    def shape(self, data: Interactions) -> Interactions:
        """Return `data` with the rows of users that this recipe takes for one."""
        return shaped(data, self.unit, self.visit_gap_s)

    def parted(self, visit_gap_s: float) -> "Recipe":
        """Return the recipe with visits that end after this pause."""
        return self if visit_gap_s == self.visit_gap_s else replace(self, visit_gap_s=visit_gap_s)


_ALL = ("view", "wishlist", "add", "order")
_BOUGHT = ("add", "order")
RECIPES: dict[str, Recipe] = {
    "popularity": Recipe(Popularity, PopularityConfig(), _ALL, served=True),
    "item_knn": Recipe(ItemKnn, ItemKnnConfig(user_power=0.25), _ALL, served=True),
    "item_knn_tfidf": Recipe(ItemKnn, ItemKnnConfig(measure="tfidf"), _ALL),
    "item_knn_cosine": Recipe(ItemKnn, ItemKnnConfig(measure="cosine"), _ALL),
    "item_knn_asymmetric": Recipe(ItemKnn, ItemKnnConfig(measure="asymmetric"), _ALL),
    "transitions": Recipe(Transitions, TransitionsConfig(), _ALL, served=True),
    "session_knn": Recipe(SessionKnn, SessionKnnConfig(), _ALL, unit="visit"),
    "user_knn": Recipe(SessionKnn, SessionKnnConfig(ordered=False), _ALL),
    "rp3beta": Recipe(Rp3beta, Rp3betaConfig(), _ALL, served=True),
    "gfcf": Recipe(Gfcf, GfcfConfig(), _ALL),
    "ease": Recipe(Ease, EaseConfig(), _ALL),
    "als": Recipe(Als, AlsConfig(), _ALL, served=True),
    "bpr": Recipe(Bpr, BprConfig(), _ALL),
    "svd": Recipe(Svd, SvdConfig(), _ALL),
    "content": Recipe(Content, ContentConfig(), _ALL),
    "hybrid": Recipe(Hybrid, HybridConfig(), _ALL),
    "also_viewed": Recipe(
        ItemKnn,
        ItemKnnConfig(measure="asymmetric", self_similar=False),
        ("view", "wishlist"),
        unit="visit",
        served=True,
    ),
    "bought_together": Recipe(Baskets, BasketsConfig(), _BOUGHT, unit="day", served=True),
    "buy_again": Recipe(BuyAgain, BuyAgainConfig(), ("order",), served=True),
    "recently_viewed": Recipe(RecentlyViewed, RecentlyViewedConfig(), _ALL),
    "trending": Recipe(Popularity, PopularityConfig(half_life_days=3, against_days=60), _ALL),
    "popular_in_category": Recipe(GroupPopularity, GroupPopularityConfig(), _ALL),
    "popular_in_group": Recipe(GroupPopularity, GroupPopularityConfig(by="group"), _ALL),
}
SERVED = tuple(name for name, recipe in RECIPES.items() if recipe.served)
