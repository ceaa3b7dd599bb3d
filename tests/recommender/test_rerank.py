"""The second look: trees as scikit-learn scores them, features by hand, and where it is taken."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from recommender.engine import rerank
from recommender.engine.base import SideInfo
from recommender.engine.cases import Cases
from recommender.engine.lists import Lists
from recommender.engine.logs import Log
from recommender.engine.rerank import KNOWN, Facts, facts, features, learned, reordered
from recommender.engine.trees import Reranker
from tests.recommender.test_measures import cases_of, lists_of


def fitted() -> tuple[HistGradientBoostingClassifier, np.ndarray]:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3_000, 5)).astype(np.float32)
    right = rng.random(3_000) < expit(rows[:, 0] * 2 - rows[:, 3] ** 2)
    model = HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=9, early_stopping=False)
    with threadpool_limits(1):
        model.fit(rows, right)
    return model, rng.normal(size=(6_000, 5)).astype(np.float32)


def test_reranker__scores__those_of_scikit_learn() -> None:
    model, rows = fitted()

    assert Reranker.of(model).score(rows) == pytest.approx(model.decision_function(rows))


def test_reranker__through_arrays__the_same() -> None:
    model, rows = fitted()
    made = Reranker.of(model)

    again = Reranker.from_arrays(made.to_arrays())

    assert again.score(rows).tolist() == made.score(rows).tolist()


@pytest.mark.parametrize("name", ["left", "roots", "value", "base"])
def test_reranker__arrays_that_do_not_fit__refused(name: str) -> None:
    arrays = Reranker.of(fitted()[0]).to_arrays()
    broken = {"left": arrays["left"] + 10_000, "roots": arrays["roots"] - 1}
    arrays[name] = broken.get(name, arrays[name][:-1])

    with pytest.raises(ValueError, match="do not fit together"):
        Reranker.from_arrays(arrays)


def log(*rows: tuple[int, int, float]) -> Log:
    users, items, at_s = (np.array(column) for column in zip(*rows, strict=True))
    return Log(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(rows), np.float32),
        at_s.astype(np.float64),
        timed=True,
        ordered=True,
    )


def test_facts__popularity_trend_and_age_by_hand() -> None:
    known = log(*((0, 0, float(at)) for at in range(9)), (1, 1, 9.0))
    side = SideInfo(attributes=[["red"], ["red", "big"], []], prices=np.array([np.e, 0, np.nan]))

    found = facts(known, 3, side)

    assert found.popularity.tolist() == pytest.approx([np.log(10), np.log(2), 0])
    # the newest tenth is item 1's alone
    assert found.trend.tolist() == pytest.approx([np.log(1 / 1.9), np.log(2 / 1.1), 0])
    assert found.freshness.tolist() == [0, 0.5, 1]
    assert found.prices.tolist() == pytest.approx([1, np.nan, np.nan], nan_ok=True)
    assert found.attributes is not None
    assert np.asarray(found.attributes.power(2).sum(axis=1)).ravel().tolist() == pytest.approx(
        [1, 1, 0]
    )


def about(n_items: int) -> Facts:
    nothing = np.zeros(n_items, np.float32)
    return Facts(nothing, nothing, nothing, np.full(n_items, np.nan, np.float32), None)


def test_features__by_hand() -> None:
    cases = cases_of(((3, 4, 3), (1,)), ((), (2,)), n_items=6)
    first = Lists(np.array([[3, 1], [2, -1]], np.int32), np.array([[4, 2], [5, 0]], np.float32))
    part = Lists(np.array([[1, 5], [-1, -1]], np.int32), np.array([[8, 4], [0, 0]], np.float32))
    side = SideInfo(attributes=[[], ["red"], [], ["red"], ["blue"], []])
    known = facts(log((0, 3, 1.0)), 6, side)._replace(
        prices=np.array([0, 2, 0, 1, np.nan, 0], np.float32)
    )

    case, place, rows = features(first, [part], cases, known)

    assert list(zip(case.tolist(), place.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0)]
    column = {name: rows[:, 1 + at].tolist() for at, name in enumerate(KNOWN)}
    assert rows[:, 0].tolist() == [0, 1, 0]
    assert column["blend"] == [1, 0.5, 1]
    assert column["times_met"] == [2, 0, 0]
    assert column["steps_since"] == [0, -1, -1]
    assert column["history_length"] == pytest.approx([np.log(4), np.log(4), 0])
    # both are red; red was met at steps 0 and 2
    assert column["affinity"] == pytest.approx([1 + 0.64, 1 + 0.64, 0])
    assert column["price_gap"] == [0, 1, 0]


def told(rng: np.random.Generator, n: int) -> tuple[Lists, Cases]:
    """Ten candidates a case in random order; the truth is the one that was met before."""
    rows = np.stack([rng.choice(50, 10, replace=False) for _ in range(n)]).astype(np.int32)
    first = Lists(rows, np.tile(np.linspace(1, 0.1, 10, dtype=np.float32), (n, 1)))
    truths = rows[np.arange(n), rng.integers(10, size=n)].tolist()
    return first, cases_of(*(((row,), (row,)) for row in truths), n_items=50)


def test_learned__what_the_sources_do_not_know__wins_and_reorders() -> None:
    first, cases = told(np.random.default_rng(2), 400)

    model = learned(first, [first], cases, about(50))

    assert model is not None
    found = reordered(model, first, [first], cases, about(50))
    assert found.rows[:, 0].tolist() == cases.truth.tolist()
    assert sorted(found.rows[0].tolist()) == sorted(first.rows[0].tolist())
    assert (found.scores[:, 0] > found.scores[:, 1]).all()


def test_learned__nothing_to_learn__none() -> None:
    """The order is that of the chances already, and nobody's history says more."""
    rng = np.random.default_rng(3)
    first, _ = told(rng, 400)
    places = rng.choice(10, 400, p=2.0 ** -np.arange(10) / (2.0 ** -np.arange(10)).sum())
    truths = first.rows[np.arange(400), places].tolist()
    blind = cases_of(*(((60,), (row,)) for row in truths), n_items=61)

    assert learned(first, [first], blind, about(61)) is None


def test_learned__too_few_truths__none() -> None:
    first, cases = told(np.random.default_rng(5), rerank.LEAST // 4)

    assert learned(first, [first], cases, about(50)) is None


def test_reordered__gaps__stay_behind() -> None:
    first, cases = told(np.random.default_rng(2), 400)
    _, _, rows = features(first, [first], cases, about(50))
    model = Reranker.fit(rows, rerank.labels(first, cases))
    short = lists_of((4, 7), width=10)

    found = reordered(model, short, [short], cases_of(((7,), (7,)), n_items=50), about(50))

    assert found.rows[0].tolist() == [7, 4, *[-1] * 8]
