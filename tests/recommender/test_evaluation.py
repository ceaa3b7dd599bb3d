"""Metrics of served models by hand, and their splits."""

import numpy as np
import pytest

from recommender.engine.base import Interactions, Query
from recommender.engine.evaluation import Case, Metrics, evaluate
from recommender.engine.popularity import Popularity
from recommender.engine.splits import basket_cases, cut_s, next_cases, visit_cases

NOBODY = Query(np.zeros(0, np.int32), np.zeros(0, np.float32))
DAY_S = 86_400.0


def ranking(*rows: int, n_items: int = 5) -> Popularity:
    """A model that recommends `rows` in this order to everybody."""
    scores = np.linspace(1, 0.5, len(rows), dtype=np.float32)
    return Popularity(np.array(rows, np.int32), scores, n_items)


def case(*truth: int, query: Query = NOBODY) -> Case:
    return Case(query, np.array(truth, np.int32))


def test_evaluate__hand_worked() -> None:
    """Hits at ranks 2 and 3 of truth {1, 2, 4}; the other user has none."""
    found = evaluate(ranking(0, 1, 2), [case(1, 2, 4), case(3)], count=3)

    gain = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3) + 1 / np.log2(4))
    expected = Metrics(2, (2 / 3) / 2, gain / 2, 0.5, 0.25, 3 / 5)
    for name in ("users", "recall", "ndcg", "hit_rate", "mrr", "coverage"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))


def test_evaluate__perfect_ranking__one() -> None:
    found = evaluate(ranking(2, 0), [case(0, 2)], count=20)

    assert (found.recall, found.ndcg, found.mrr) == pytest.approx((1.0, 1.0, 1.0))


def test_evaluate__nobody__none_not_zero() -> None:
    assert evaluate(ranking(1), [], count=5) == Metrics(0, None, None, None, None, None)


def test_evaluate__discovery__known_items_neither_asked_nor_found() -> None:
    query = Query(np.array([1], np.int32), np.ones(1, np.float32))

    found = evaluate(
        ranking(1, 2), [case(1, 2, query=query), case(1, query=query)], count=1, own=False
    )

    assert (found.users, found.recall) == (1, 1.0)


def _data(*rows: tuple[int, int, float]) -> Interactions:
    users, items, days = (np.array(column) for column in zip(*rows, strict=True))
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(rows), np.float32),
        days * DAY_S,
        int(users.max()) + 1,
        9,
    )


def test_cut__long_data_a_week__short_data_a_fifth() -> None:
    assert cut_s(np.array([0.0, 100 * DAY_S])) == 93 * DAY_S
    assert cut_s(np.array([0.0, 10 * DAY_S])) == 8 * DAY_S
    assert cut_s(np.array([5.0, 5.0])) == cut_s(np.zeros(0)) == np.inf


def test_next_cases__users_on_both_sides__newest_weighs_most() -> None:
    data = _data((0, 1, 1), (0, 2, 2), (0, 3, 9), (0, 3, 9.5), (1, 4, 1), (2, 5, 9))

    cases = next_cases(data, 5 * DAY_S)

    assert [c.truth.tolist() for c in cases] == [[3]]
    assert cases[0].query.rows.tolist() == [1, 2]
    assert cases[0].query.weights[1] > cases[0].query.weights[0]


def test_next_cases__sampled__same_seed_same_users() -> None:
    data = _data(*((user, user % 9, day) for user in range(50) for day in (1.0, 9.0)))

    first, second = (next_cases(data, 5 * DAY_S, limit=7) for _ in range(2))

    assert len(first) == 7
    assert [c.truth.tolist() for c in first] == [c.truth.tolist() for c in second]


def test_visit_cases__visitors_of_the_last_days__last_step_asked_of_the_ones_before() -> None:
    data = _data((0, 1, 1), (0, 2, 9), (1, 3, 8), (1, 4, 8.1), (1, 3, 8.2), (2, 5, 9))

    cases = visit_cases(data, 5 * DAY_S)

    assert [(c.query.rows.tolist(), c.truth.tolist()) for c in cases] == [([3, 4], [3])]


def test_basket_cases__last_item_hidden__never_in_the_query() -> None:
    data = _data((0, 1, 9), (0, 2, 9), (0, 2, 9), (1, 3, 9), (2, 1, 1), (2, 2, 1))

    cases = basket_cases(data, 5 * DAY_S)

    assert [(c.query.rows.tolist(), c.truth.tolist()) for c in cases] == [([1], [2])]
