"""Learning curves and drift: what training notes besides, at what cost, and what its page says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client

from recommender import model_pages, registry, services
from recommender.engine import windows
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Interactions
from recommender.engine.cases import FoldIn
from recommender.engine.holdout import customers
from recommender.engine.learning import MOST, Asked, fitted
from recommender.engine.training import Fitted, Log, train
from recommender.models import ModelVersion
from tests.recommender.shop import NOW, two_tastes

DAY_S = 86_400.0


def tastes(people: int = 300, days: int = 30) -> Interactions:
    """Customers of ten tastes view two of the twelve products of their own each day."""
    rng = np.random.default_rng(7)
    users = np.repeat(np.arange(people), 2 * days)
    day = np.tile(np.repeat(np.arange(days), 2), people)
    items = users % 10 * 12 + (12 * rng.random(len(users)) ** 2).astype(np.int64)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(users), np.float32),
        day * DAY_S + users * 60.0,
        people,
        120,
    )


DATA = tastes()
HELD = customers(DATA, 24 * DAY_S)


def curve(name: str, **config: Any) -> dict[str, Any] | None:
    recipe = RECIPES[name].changed(config)
    asked = Asked.of(HELD.cases, FoldIn(), own=True)
    _, found = fitted(recipe, HELD.known, asked, as_of_s=HELD.cut_s, side=Log(DATA, KINDS).side)
    return found


KINDS = np.zeros(len(DATA), np.int8)


@pytest.mark.parametrize(
    ("name", "at"),
    [("als", [2, 4, 8, 15]), ("hybrid", [2, 4, 8, 15]), ("bpr", [12, 25, 50, 100])],
)
def test_fitted__in_passes__looked_at_between_them(name: str, at: list[int]) -> None:
    found = curve(name, factors=8)

    assert found is not None
    assert [number for number, _ in found["points"]] == at
    assert found["questions"] == MOST
    assert found["points"][-1][1] > 0.2


def test_fitted__watched__the_very_same_model() -> None:
    recipe = RECIPES["als"].changed({"factors": 8})
    asked = Asked.of(HELD.cases, FoldIn(), own=True)
    watched, _ = fitted(recipe, HELD.known, asked, as_of_s=0.0, side=Log(DATA, KINDS).side)
    alone = recipe.algorithm.fit(HELD.known, recipe.config, as_of_s=0.0)

    for name, array in alone.to_arrays().items():
        np.testing.assert_array_equal(watched.to_arrays()[name], array)


@pytest.mark.parametrize(("iterations", "sure"), [(2, True), (4, False)])
def test_fitted__stopped_early__more_would_help_until_it_is_next_to_nothing(
    iterations: int,
    sure: bool,
) -> None:
    found = curve("als", factors=8, iterations=iterations)

    assert found is not None
    assert found["gain"] > 0
    assert found["sure"] == sure


@pytest.mark.parametrize("name", ["item_knn", "transitions", "popularity", "rp3beta", "user_knn"])
def test_fitted__quick_to_fit__by_customers_for_a_third_of_a_fit_at_most(name: str) -> None:
    found = curve(name)

    assert found is not None
    numbers = [number for number, _ in found["points"]]
    assert found["by"] == "customers"
    assert numbers[-1] == 300
    assert sum(numbers[:-1]) <= 300 / 3
    assert found["points"][0][1] <= found["points"][-1][1] + 0.05


@pytest.mark.parametrize("name", ["ease", "svd", "gfcf", "content", "recently_viewed"])
def test_fitted__a_part_costs_as_much_as_all__no_curve(name: str) -> None:
    assert curve(name) is None


def test_train__few_questions__no_curve_and_no_drift() -> None:
    small = DATA.where(DATA.users < 8)
    made, _ = train(RECIPES["popularity"], Log(small, KINDS[: len(small)]), as_of_s=30 * DAY_S)

    assert (made.metrics["learning"], made.metrics["drift"]) == (None, None)


def drift_of(data: Interactions, kinds: np.ndarray[Any, Any] = KINDS) -> dict[str, str]:
    found = windows.moved(data, kinds, 24 * DAY_S)
    assert found is not None
    assert [one["psi"] for one in found] == sorted((one["psi"] for one in found), reverse=True)
    return {one["feature"]: one["verdict"] for one in found}


def test_moved__nothing_changes__steady() -> None:
    assert set(drift_of(DATA).values()) == {"steady"}


def test_moved__rarely_bought_products_at_random__steady() -> None:
    # ten purchases of each product: a tenth of those of the last days met none of the days before
    rng, n = np.random.default_rng(7), 10_000
    users, items = (rng.integers(0, size, n).astype(np.int32) for size in (2_000, 2_000))
    at_s = rng.uniform(0, 30 * DAY_S, n)
    data = Interactions(users, items, np.ones(n, np.float32), at_s, 2_000, 2_000)

    assert drift_of(data, np.zeros(n, np.int8))["products"] == "steady"


def test_moved__half_of_the_customers_too_few__products_are_not_told() -> None:
    one_customer = replace(DATA, users=np.zeros(len(DATA), np.int32))

    assert set(drift_of(one_customer)) == {"kinds", "hours"}


def test_moved__new_products_events_or_hours__each_told_apart() -> None:
    late = DATA.at_s > 24 * DAY_S
    newer = replace(
        DATA, items=np.where(late, DATA.items + 120, DATA.items).astype(np.int32), n_items=240
    )
    later = replace(DATA, at_s=np.where(late, DATA.at_s + 12 * 3_600, DATA.at_s))

    assert drift_of(newer) == {"products": "shifted", "kinds": "steady", "hours": "steady"}
    assert drift_of(DATA, late.astype(np.int8))["kinds"] == "shifted"
    assert drift_of(later)["hours"] == "shifted"


def test_moved__by_hand__the_index_of_its_formula() -> None:
    n = 1_000
    at_s = np.concatenate([np.zeros(n), np.full(n, 2.0)])
    kinds = np.concatenate([np.repeat([0, 1], [800, 200]), np.repeat([0, 1], [500, 500])])
    ones = np.zeros(2 * n, np.int32)
    data = Interactions(ones, ones, np.ones(2 * n, np.float32), at_s, 1, 1)
    found = windows.moved(data, kinds.astype(np.int8), 1.0)

    expected = (0.5 - 0.8) * np.log(0.5 / 0.8) + (0.5 - 0.2) * np.log(0.5 / 0.2)
    assert found is not None
    assert found[0] == {"feature": "kinds", "psi": round(expected, 4), "verdict": "shifted"}


def version(number: int, psi: float | None, *, sure: bool) -> ModelVersion:
    """A version with a learning curve and drift; too few to judge without a `psi`."""
    points = [[20, 0.1], [80, 0.2], [320, 0.3]]
    told = {"by": "customers", "points": points, "gain": 0.1, "sure": sure, "questions": 250}
    moved = psi and [
        {"feature": "kinds", "psi": psi, "verdict": "shifted"},
        {"feature": "hours", "psi": 0.01, "verdict": "steady"},
    ]
    metrics = {"NDCG@20": 0.3, "users": 250, "learning": told, "drift": moved}
    return registry.register(
        name="popularity",
        fitted=Fitted({}, {"interactions": 10, "items": 3}, metrics),
        item_keys=["a"],
        about={"mode": registry.FULL, "until_s": number},
        run_id=None,
        now=NOW,
    )


def test_page__learning_and_drift__words_lines_and_numbers(
    shop: Path, admin_client: Client
) -> None:
    version(1, 0.3, sure=True)
    latest = version(2, 0.6, sure=True)
    page = admin_client.get(f"/admin/recommender/modelversion/{latest.pk}/change/").content.decode()

    assert "More data would probably help: from 80 to 320 customers it gained +0.1000." in page
    assert '<th scope="row" class="number">320</th><td class="number">0.3000</td>' in page
    assert '<td class="number">0.600</td><td><span class="badge bad">shifted</span></td>' in page
    assert "Largest index from 0.300 (v1) to 0.600 (v2)" in page
    assert "coverage@20" in page


def test_page__drift_of_too_few__neutral_and_says_so(shop: Path, admin_client: Client) -> None:
    few, some = version(1, None, sure=True), version(2, 0.3, sure=True)
    addresses = [f"/admin/recommender/modelversion/{one.pk}/change/" for one in (few, some)]
    pages = [admin_client.get(address).content.decode() for address in addresses]

    verdict = '<td><span class="badge ">too few to judge</span></td>'
    assert [page.count(verdict) for page in pages] == [3, 1]
    assert '<span class="badge bad">' not in pages[0]


def test_page__gain_within_noise__says_that_more_would_hardly_help(shop: Path) -> None:
    told = model_pages.model_page(version(1, 0.3, sure=False))["learning"]

    assert told["words"] == (
        "More of the same data would hardly help: from 80 to 320 customers it gained +0.1000,"
        " noise or next to nothing."
    )


def test_train__a_shop__both_are_on_the_row_and_the_same_again(shop: Path) -> None:
    two_tastes()
    for slot in ("s1", "s2"):
        services.train(slot=slot, actor="t", now=NOW, models=["item_knn"])
    first, second = ModelVersion.objects.order_by("number")

    assert first.metrics["learning"]["by"] == "customers"
    assert first.metrics["learning"]["points"] == second.metrics["learning"]["points"]
    assert first.manifest_sha256 == second.manifest_sha256
    assert first.metrics["drift"] is None
