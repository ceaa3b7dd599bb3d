"""What pages get of a model that searches, beside its figures: which share of the best is kept."""

import numpy as np
import pytest

from recommender.engine import factors
from recommender.engine.algorithms import RECIPES
from recommender.engine.als import Als, AlsConfig
from recommender.engine.base import Interactions, SideInfo
from recommender.engine.cases import FoldIn
from recommender.engine.factors import Folding
from recommender.engine.lists import Lists, rank
from recommender.engine.popularity import Popularity, PopularityConfig
from recommender.engine.served import KEPT, MOST, as_served
from recommender.engine.training import measure
from recommender.model_pages import _served
from tests.recommender.test_measures import cases_of

N_ITEMS = 3_000
FOLD = FoldIn()


@pytest.fixture(autouse=True)
def headed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten numbers are many, and no more than forty items are looked at whole."""
    monkeypatch.setattr(factors, "HEADED", 10)
    monkeypatch.setattr(factors, "_LOOKED_AT", 40)
    monkeypatch.setattr(factors, "_LOOKED_SHARE", 0.0)


def model(width: int = 8) -> Als:
    """Vectors of directions that tell less and less."""
    rng = np.random.default_rng(3)
    items = (rng.normal(size=(N_ITEMS, width)) / np.arange(1, width + 1)).astype(np.float32)
    return Als(items, np.zeros(N_ITEMS, np.float32), Folding(items.T @ items, 50.0, 5.0))


CASES = cases_of(*(((n, n + 1), (n + 2,)) for n in range(60)), n_items=N_ITEMS)


def full(of: Als) -> Lists:
    return rank(of, CASES, FOLD, count=20, own=False)[1]


def test_as_served__a_search_that_misses__the_share_by_hand() -> None:
    made = model()
    stored = Als.from_arrays(made.to_arrays(), AlsConfig())
    told = as_served(made, AlsConfig(), CASES, FOLD, full(made))

    shares = [
        len({*top.rows.tolist()} & {*best.tolist()}) / 20
        for top, best in zip(
            (stored.recommend(query, 20) for query in CASES.queries(FOLD)),
            full(made).rows,
            strict=True,
        )
    ]
    assert told is not None
    assert 0.2 < told[KEPT] < 1
    assert told[KEPT] == pytest.approx(np.mean(shares), abs=1e-6)
    assert told["questions"] == 60


def test_as_served__a_search_that_misses_nothing__all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(factors, "_LOOKED_AT", N_ITEMS)
    told = as_served(model(), AlsConfig(), CASES, FOLD, full(model()))

    assert told is not None
    assert told[KEPT] == 1
    assert told["NDCG@20"] == told["NDCG@20 in full"]


def test_as_served__more_questions_than_it_asks__some_of_them() -> None:
    many = CASES.take(np.arange(MOST + 20) % 60)
    made = model()
    lists = rank(made, many, FOLD, count=20, own=False)[1]
    once, again = (as_served(made, AlsConfig(), many, FOLD, lists) for _ in range(2))

    assert once is not None
    assert once["questions"] == MOST
    assert once == again


def test_as_served__nobody_knows_the_visitors__undefined() -> None:
    nobody = cases_of(((), (1,)), n_items=N_ITEMS)
    none = Lists(np.full((1, 20), -1, np.int32), np.zeros((1, 20), np.float32))
    told = as_served(model(), AlsConfig(), nobody, FOLD, none)

    assert told is not None
    assert told[KEPT] is None
    assert _served(told) == ""


def test_as_served__ranks_all_of_its_items__nothing_to_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(factors, "HEADED", 10**9)
    few = np.zeros(1, np.int32)
    data = Interactions(few, few, np.ones(1, np.float32), np.zeros(1), 1, N_ITEMS)
    plain = Popularity.fit(data, PopularityConfig(), as_of_s=0.0)

    assert as_served(model(), AlsConfig(), CASES, FOLD, full(model())) is None
    assert as_served(plain, PopularityConfig(), CASES, FOLD, full(model())) is None


@pytest.mark.parametrize(("name", "told"), [("als", True), ("item_knn", False)])
def test_measure__the_stored_form_is_asked_and_the_page_says_so(name: str, told: bool) -> None:
    rng = np.random.default_rng(5)
    n = 3_000
    users = rng.integers(120, size=n).astype(np.int32)
    items = (users % 4 + 4 * rng.integers(60, size=n)).astype(np.int32)
    at_s = np.sort(rng.random(n)) * 30 * 86_400
    data = Interactions(users, items, np.ones(n, np.float32), at_s, 120, 240)
    recipe = RECIPES[name].changed({"factors": 16} if name == "als" else {})

    found, _ = measure(recipe, data, SideInfo())

    assert ("as_served" in found) == told
    words = _served(found.get("as_served"))
    assert bool(words) == told
    if told:
        served = found["as_served"]
        assert f"get {100 * served[KEPT]:.1f} % of the best 20" in words
        # of the same questions and truths as the page's figure of what is new to a customer
        assert 0 < found["discovery"]["NDCG@20"] != found["NDCG@20"]
        assert served["NDCG@20 in full"] == pytest.approx(found["discovery"]["NDCG@20"], abs=1e-6)
