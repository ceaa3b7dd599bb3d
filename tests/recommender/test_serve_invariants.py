"""What holds for every shelf whatever merchandisers ask: random strategies, visits and stocks."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personalization.catalog import serve as catalogue
from personalization.catalog.services import upsert_products
from recommender import masks
from recommender.engine.merchandising import faults
from recommender.engine.strategies import StrategySpec, spec_of
from recommender.productrules import rule_faults
from recommender.serve import Visit, recommend
from recommender.visits import excluded
from tests.recommender.shop import NOW
from tests.recommender.stocked import KEYS, NEW, NOW_S, install, product, stock

RULES = [
    product("brand", "eq", "acme"),
    product("category", "eq", "hats"),
    product("price_minor", "lt", 7000),
    product("created_at", "within_last", 30 * 86_400),
    {"not": product("key", "in", ["p0", "p6"])},
]
CASES = 300


@pytest.fixture(autouse=True)
def stocked(shop: Path) -> None:
    stock(stock=[5, 5, 0, 5, 5, 5, 5, 0, 5, 5, 5, 5])
    upsert_products([{"key": "p4", "attributes": {"regions": ["FR"]}}], actor="t", now=NOW)
    catalogue.refresh()
    install("popularity", "item_knn", keys=KEYS[:10])


def strategy(rng: np.random.Generator) -> StrategySpec:
    def some(value: Any, share: float = 0.4) -> Any:
        return value if rng.random() < share else None

    def rule() -> Any:
        return RULES[rng.integers(len(RULES))]

    def keys(most: int) -> list[str]:
        return [str(key) for key in rng.choice(KEYS, rng.integers(0, most), replace=False)]

    rules = {
        "filter": some(rule()),
        "boosts": [{"rule": rule(), "factor": float(rng.integers(0, 5))}],
        "bury": some(rule()),
        "pins": [{"item": key, "place": 2 * at + 1} for at, key in enumerate(keys(4))],
        "quotas": some([{"rule": rule(), "least": int(rng.integers(1, 4))}]),
        "caps": some({"brand": int(rng.integers(1, 4))}),
        "diversity": float(rng.choice([0.0, 0.5, 1.0])),
        "exclude_seen": bool(rng.random() < 0.5),
        "exploration": some({"share": float(rng.random()), "days": 30}),
        "editorial": keys(3),
    }
    rules = {name: value for name, value in rules.items() if value is not None}
    assert faults(rules, rule_faults) == []
    sources = [
        {"algorithm": "item_knn", "seeds": ["recent", "item"]},
        {"algorithm": "popularity", "weight": 0.3},
    ]
    given = {"key": "any", "sources": sources[: rng.integers(1, 3)], "rules": rules}
    rest = {"algorithm": "", "params": {}, "fallback": "", "exclude_bought_days": 30}
    return spec_of({**given, **rest, "active": True})


def visit(rng: np.random.Generator) -> Visit:
    def keys(most: int) -> list[str]:
        return [str(key) for key in rng.choice(KEYS, rng.integers(0, most), replace=False)]

    return Visit(
        recent=[("view", key, NOW_S) for key in keys(4)],
        item=next(iter(keys(2)), None),
        cart=keys(3),
        bought=dict.fromkeys(keys(3), NOW_S),
        exclude=keys(3),
        given=keys(9) if rng.random() < 0.2 else None,
        count=int(rng.integers(0, 13)),
        country=str(rng.choice(["", "DE"])),
        personal=bool(rng.random() < 0.8),
        seed=str(rng.integers(9)),
        now_s=NOW_S,
    )


def test_recommend__anything__promises_hold() -> None:
    for number in range(CASES):
        rng = np.random.default_rng(number)
        spec, asked = strategy(rng), visit(rng)
        answer = recommend(spec, asked, explain=True)
        shown = [item.id for item in answer.items]

        view, request = catalogue.view(), asked.request()
        may = masks.shelf_mask([spec.rules.filter] if spec.rules.filter else [], view, request)
        gone = excluded(asked if asked.personal else asked.impersonal(), spec, view)
        allowed = {key for key, row in view.index.items() if may[row] and key not in gone}
        allowed &= set(KEYS if asked.given is None else asked.given)
        assert len(shown) <= asked.count, number
        assert len(set(shown)) == len(shown), number
        assert set(shown) <= allowed, number
        if not spec.rules.caps:
            assert len(shown) == min(asked.count, len(allowed)), number
        brands = Counter(view.brands[view.index[key]] for key in shown)
        assert all(many <= most for _, most in spec.rules.caps for many in brands.values()), number
        for quota in spec.rules.quotas:
            held = masks.rule_mask(quota.rule, view, request)
            fits = Counter(view.brands[view.index[key]] for key in allowed if held[view.index[key]])
            most = dict(spec.rules.caps).get("brand", len(KEYS))
            room = sum(min(count, most) for count in fits.values())
            pinned = sum(1 for item in answer.items if item.source == "pin")
            least = min(quota.least, room, asked.count) - (pinned if spec.rules.caps else 0)
            met = sum(1 for key in shown if held[view.index[key]])
            assert met >= min(least, asked.count - pinned), number
        lost = {one.id for one in answer.lost}
        assert not lost & set(shown), number
        assert set(gone) <= lost or not asked.count, number
        drawn = [item for item in answer.items if item.source == "exploration"]
        assert {item.id for item in drawn} <= NEW, number
        assert recommend(spec, asked).items == answer.items, number


def test_recommend__not_personal__as_for_a_stranger() -> None:
    for number in range(60):
        rng = np.random.default_rng(number)
        spec, asked = strategy(rng), visit(rng)
        known = Visit(
            recent=asked.recent,
            cart=asked.cart,
            bought=asked.bought,
            seed=asked.seed,
            item=asked.item,
            count=6,
            personal=False,
            now_s=NOW_S,
        )
        stranger = Visit(cart=asked.cart, item=asked.item, count=6, personal=False, now_s=NOW_S)

        assert recommend(spec, known, explain=True) == recommend(spec, stranger, explain=True)
