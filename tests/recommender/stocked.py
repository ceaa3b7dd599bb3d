"""A shop that is stocked for shelves: products of two brands, and models fitted in this process."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import numpy as np

from personalization.catalog import serve as catalogue
from personalization.catalog import services as catalogue_services
from personalization.ops import serve as config
from recommender import live
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Algorithm, Interactions, SideInfo
from recommender.live import Live
from recommender.serve import Answer, Visit, recommend
from recommender.strategies import save_strategy
from tests.recommender.shop import NOW

NOW_S = NOW.timestamp()
KEYS = [f"p{n}" for n in range(12)]
NEW = {"p10", "p11"}


def stock(**columns: Sequence[Any]) -> None:
    """Twelve products: even ones of brand acme, odd ones of bolt, p0..p5 shoes, then hats.

    The later the dearer; p10 and p11 came last week, the others last year. `columns` of own values.
    """
    rows = [
        {
            "key": key,
            "title": key.upper(),
            "brand": ("acme", "bolt")[n % 2],
            "categories": ["shoes" if n < 6 else "hats"],
            "price_minor": 1000 * (n + 1),
            **{name: values[n] for name, values in columns.items()},
        }
        for n, key in enumerate(KEYS)
    ]
    old = [row for row in rows if row["key"] not in NEW]
    new = [row for row in rows if row["key"] in NEW]
    then = NOW - timedelta(days=300)
    catalogue_services.upsert_products(old, actor="test", now=then)
    catalogue_services.upsert_products(new, actor="test", now=NOW - timedelta(days=7))
    catalogue_services.upsert_categories(
        [{"key": "shoes", "title": "Shoes"}, {"key": "hats", "title": "Hats"}],
        actor="test",
        now=NOW,
    )
    catalogue.forget()
    catalogue.refresh()


def install(*names: str, keys: Sequence[str] = KEYS) -> None:
    """Serve models of these names: the earlier an item, the more popular; neighbours are alike."""
    n = len(keys)
    users = np.repeat(np.arange(n), np.arange(n, 0, -1)).astype(np.int32)
    items = np.concatenate([np.arange(n - user) for user in range(n)]).astype(np.int32)
    data = Interactions(
        users, items, np.ones(len(users), np.float32), np.full(len(users), NOW_S), n, n
    )
    made: Mapping[str, Live] = {
        name: Live(
            name,
            1,
            name * 4,
            _fitted(name, data),
            list(keys),
            {key: row for row, key in enumerate(keys)},
        )
        for name in names
    }
    live.forget()
    live._held.models = MappingProxyType(dict(made))
    live._held.looks.watched = True


def _fitted(name: str, data: Interactions) -> Algorithm:
    recipe = RECIPES[name]
    if name != "popular_in_group":
        return recipe.algorithm.fit(data, recipe.config, as_of_s=NOW_S)
    # who is loyal meets p6, who comes from Germany p9
    one = np.ones(2, np.float32)
    pair = (np.array([0, 1], np.int32), np.array([6, 9], np.int32), one, np.full(2, NOW_S))
    side = SideInfo(groups=[["segment:loyal"], ["country:DE"]])
    few = Interactions(*pair, n_users=2, n_items=data.n_items)
    return recipe.algorithm.fit(few, recipe.config, as_of_s=NOW_S, side=side)


def strategy(key: str = "mine", **values: Any) -> str:
    """Publish a strategy of what is popular, with rules; return its key."""
    given = {"title": key, "algorithm": "popularity", "params": {}, "exclude_bought_days": 30}
    save_strategy(key=key, values={**given, **values}, actor="test")
    config.reload()
    return key


def ask(key: str, *, explain: bool = False, **options: Any) -> Answer:
    """Ask a strategy."""
    visit = Visit(**{"now_s": NOW_S, "count": 4, **options})
    return recommend(key, visit, explain=explain)


def ids(answer: Answer) -> list[str]:
    """Keys of the items in order."""
    return [item.id for item in answer.items]


def product(key: str, op: str, value: Any = None) -> dict[str, Any]:
    """A condition on a product."""
    leaf = {"kind": "product", "key": key, "op": op}
    return leaf if value is None else {**leaf, "value": value}
