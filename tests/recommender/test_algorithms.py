"""Every algorithm against the contract, and what is particular to each."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recommender.engine import factors
from recommender.engine.algorithms import RECIPES
from recommender.engine.als import Als, AlsConfig
from recommender.engine.base import Algorithm, Config, Interactions, Query
from recommender.engine.factors import Factors
from recommender.engine.item_knn import ItemKnn, ItemKnnConfig
from recommender.engine.popularity import Popularity, PopularityConfig
from recommender.engine.units import as_baskets
from tests.recommender import contract

DAY_S = 86_400.0


@pytest.mark.parametrize("rule", contract.RULES, ids=lambda rule: rule.__name__.strip("_"))
@pytest.mark.parametrize("name", RECIPES)
def test_contract(name: str, rule: Callable[[type[Algorithm], Config], None]) -> None:
    rule(RECIPES[name].algorithm, RECIPES[name].config)


_FACTORS = [name for name, recipe in RECIPES.items() if issubclass(recipe.algorithm, Factors)]


@pytest.mark.parametrize("rule", contract.RULES, ids=lambda rule: rule.__name__.strip("_"))
@pytest.mark.parametrize("name", _FACTORS)
def test_contract__factors_stored_with_a_head__hold_it_too(
    name: str,
    rule: Callable[[type[Algorithm], Config], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit = contract._fit

    def stored(algorithm: type[Algorithm], config: Config) -> Algorithm:
        return algorithm.from_arrays(fit(algorithm, config).to_arrays(), config)

    monkeypatch.setattr(factors, "HEADED", 1)
    monkeypatch.setattr(contract, "_fit", stored)

    rule(RECIPES[name].algorithm, RECIPES[name].config)


def test_factors__of_one_direction__still_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "HEADED", 1)
    fitted = Als.fit(contract.interactions(), AlsConfig(factors=1), as_of_s=contract.AS_OF_S)
    stored = Als.from_arrays(fitted.to_arrays(), AlsConfig())
    query = fitted.fold_in(np.array([1, 2]), np.ones(2))

    assert stored.recommend(query, 5).rows.tolist() == fitted.recommend(query, 5).rows.tolist()


def test_recipes__without_a_fit__load_neither_scikit_learn_nor_implicit() -> None:
    """Web workers know all recipes and fit none; the packages would weigh on each of them."""
    code = (
        "import recommender.engine.strategies, sys;"
        " print({'sklearn', 'implicit'} & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "set()"


def _of(*rows: tuple[int, int, float], n_items: int) -> Interactions:
    """(user, item, days ago) rows as interactions of weight 1 before second 0."""
    users, items, ages = (np.array(column) for column in zip(*rows, strict=True))
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(rows), np.float32),
        -ages * DAY_S,
        int(users.max()) + 1,
        n_items,
    )


def test_popularity__half_life__halves_the_old() -> None:
    data = _of((0, 0, 0), (1, 1, 30), (2, 1, 30), (3, 1, 30), n_items=3)

    scores = Popularity.fit(data, PopularityConfig(half_life_days=30), as_of_s=0.0).score(
        Query(np.zeros(0, np.int32), np.zeros(0, np.float32))
    )

    np.testing.assert_allclose(scores, [1 / 1.5, 1.0, 0.0])


def test_item_knn__hand_worked__cosine() -> None:
    """Users {0,1}, {0,1}, {0,2}: cos(0,1) = 2/sqrt(3*2), cos(0,2) = 1/sqrt(3)."""
    data = _of((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (2, 0, 0), (2, 2, 0), n_items=3)
    config = ItemKnnConfig(measure="cosine", user_power=0, half_life_days=0)
    model = ItemKnn.fit(data, config, as_of_s=0.0)

    ranked = model.recommend(model.fold_in(np.array([0]), np.ones(1)), 5)

    assert ranked.rows.tolist() == [1, 2]
    np.testing.assert_allclose(ranked.scores, [2 / 6**0.5, 1 / 3**0.5], rtol=1e-6)


def test_item_knn__reason__names_the_closest_own_item() -> None:
    data = _of((0, 0, 0), (0, 1, 0), (1, 2, 0), (1, 3, 0), n_items=5)
    model = ItemKnn.fit(data, ItemKnnConfig(), as_of_s=0.0)
    query = model.fold_in(np.array([0, 2]), np.ones(2))

    assert model.reasons(query, np.array([1, 3, 4], np.int32)).tolist() == [0, 2, -1]


def test_item_knn__reasons_of_many__the_twelve_heaviest_are_asked() -> None:
    says = csr_matrix((np.ones(15), (np.arange(15), 20 + np.arange(15))), shape=(40, 40))
    model = ItemKnn.of(says, ItemKnnConfig())
    query = model.fold_in(np.arange(15), np.arange(15, 0, -1.0))

    assert model.reasons(query, np.array([20, 31, 32, 39], np.int32)).tolist() == [0, 11, -1, -1]


def test_item_knn__cap__keeps_the_newest_of_a_heavy_user() -> None:
    rows = [(0, item, float(item)) for item in range(10)]
    model = ItemKnn.fit(_of(*rows, n_items=10), ItemKnnConfig(cap=3), as_of_s=0.0)

    assert np.flatnonzero(np.diff(model.to_arrays()["indptr"])).tolist() == [0, 1, 2]


def test_item_knn__very_old_interactions__no_nan() -> None:
    model = ItemKnn.fit(
        _of((0, 0, 1e6), (0, 1, 1e6), (1, 1, 0), n_items=2), ItemKnnConfig(), as_of_s=0.0
    )

    assert np.isfinite(model.to_arrays()["data"]).all()


@pytest.mark.parametrize(
    "fault", [{"weights": np.nan}, {"weights": 0.0}, {"items": 9}, {"users": -1}, {"at_s": np.inf}]
)
def test_interactions__what_implicit_would_swallow__refused(fault: dict[str, float]) -> None:
    arrays: dict[str, Any] = {
        "users": np.zeros(1, np.int32),
        "items": np.zeros(1, np.int32),
        "weights": np.ones(1, np.float32),
        "at_s": np.zeros(1),
    }
    for name, value in fault.items():
        arrays[name] = np.full(1, value, arrays[name].dtype)

    with pytest.raises(ValueError, match="must"):
        Interactions(**arrays, n_users=1, n_items=1)


def test_recipe__weights__of_the_kinds_that_it_learns_from() -> None:
    data = _of((0, 0, 0), (0, 1, 0), (0, 2, 0), n_items=3)
    kinds = np.array([0, 2, 3], np.int8)  # view, add, order
    base = RECIPES["bought_together"]

    usual = base.select(data, kinds)
    other = dataclasses.replace(base, weights={"order": 9.0}).select(data, kinds)

    assert usual.items.tolist() == other.items.tolist() == [1, 2]
    assert usual.weights.tolist() == [1, 1], "as the data says"
    assert other.weights.tolist() == [3, 9]


def test_as_baskets__two_days__two_users() -> None:
    baskets = as_baskets(_of((0, 0, 0.1), (0, 1, 0.2), (0, 2, 1.5), (1, 0, 0.1), n_items=3))

    assert baskets.n_users == 3
    assert baskets.users[0] == baskets.users[1] != baskets.users[2]
