"""Lists and their metrics, worked by hand; intervals and what lies beyond accuracy."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recommender.engine.base import Interactions, Query
from recommender.engine.cases import Cases, FoldIn
from recommender.engine.lists import Lists, best, rank
from recommender.engine.measures import (
    beyond,
    each,
    gini,
    intervals,
    means,
    resampled,
    standard_error,
)
from recommender.engine.popularity import Popularity


def lists_of(*rows: tuple[int, ...], width: int = 20) -> Lists:
    found = np.full((len(rows), width), -1, np.int32)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return Lists(found, (found >= 0).astype(np.float32))


def cases_of(*pairs: tuple[tuple[int, ...], tuple[int, ...]], n_items: int = 30) -> Cases:
    """Cases of (history newest first, truth)."""
    lengths = [len(history) for history, _ in pairs]
    history = np.array([row for rows, _ in pairs for row in rows], np.int32)
    return Cases(
        np.cumsum([0, *lengths]),
        history,
        np.ones(len(history), np.float32),
        np.array([place for length in lengths for place in range(length)], np.int32),
        np.zeros(len(history), np.float32),
        np.cumsum([0, *(len(truth) for _, truth in pairs)]),
        np.array([row for _, truth in pairs for row in truth], np.int32),
        n_items,
    )


def test_each__hand_worked() -> None:
    """Hits at ranks 2 and 3 of three truths; at rank 11; none."""
    cases = cases_of(((), (1, 2, 9)), ((), (7,)), ((), (8,)))
    late = (*range(10, 20), 7)

    found = each(lists_of((0, 1, 2), late, (0,)), cases)

    gain = 1 / np.log2(3) + 1 / np.log2(4)
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert found["Recall@20"].tolist() == pytest.approx([2 / 3, 1, 0])
    assert found["NDCG@20"].tolist() == pytest.approx([gain / ideal, 1 / np.log2(12), 0])
    assert found["HR@20"].tolist() == [1, 1, 0]
    assert found["MRR@20"].tolist() == pytest.approx([1 / 2, 1 / 11, 0])
    assert found["MAP@20"].tolist() == pytest.approx([(1 / 2 + 2 / 3) / 3, 1 / 11, 0])
    assert found["HR@10"].tolist() == [1, 0, 0]


def test_each__more_truths_than_places__a_full_list_is_perfect() -> None:
    found = each(lists_of(tuple(range(20))), cases_of(((), tuple(range(25)))))

    assert found["NDCG@20"][0] == pytest.approx(1)
    assert found["MAP@20"][0] == pytest.approx(1)
    assert found["Recall@20"][0] == pytest.approx(0.8)


def test_means__nobody__none_not_zero() -> None:
    assert means(each(lists_of(), cases_of())) == dict.fromkeys(
        each(lists_of(), cases_of()), None
    ) | {"users": 0}


def test_intervals__hold_the_mean__same_seed_same_ends() -> None:
    values = {"HR@20": np.array([0.0, 1.0] * 50)}

    first, second = (intervals(values, np.random.default_rng(1), np.arange(100)) for _ in range(2))

    assert first == second
    ends = first["HR@20"]
    assert ends is not None
    # a share of a half of 100: standard error .05
    assert ends == pytest.approx((0.4, 0.6), abs=0.03)


def test_intervals__many_cases_of_each_user__no_narrower_than_one_of_each() -> None:
    once = np.array([0.0, 1.0] * 5)
    users = np.tile(np.arange(10), 10)

    told = intervals({"HR@20": once}, np.random.default_rng(1), users[:10])
    again = intervals({"HR@20": np.tile(once, 10)}, np.random.default_rng(1), users)

    assert again == told


def test_standard_error__one_value_each__the_usual__copies_add_nothing() -> None:
    values, users = np.random.default_rng(3).normal(size=40), np.arange(40)

    told = standard_error(values, users)

    assert told == pytest.approx(values.std(ddof=1) / np.sqrt(40))
    assert standard_error(np.repeat(values, 7), np.repeat(users, 7)) == pytest.approx(told)


def test_standard_error__fewer_than_two_users__nothing_is_known() -> None:
    assert standard_error(np.ones(5), np.zeros(5, np.int64)) == np.inf
    assert standard_error(np.zeros(0), np.zeros(0, np.int64)) == np.inf


def test_intervals__users_of_many_and_of_few_cases__each_case_counts_alike() -> None:
    """Either user alone, or both: three cases of four."""
    table, users = np.array([[1.0], [0.0], [1.0], [1.0]]), np.array([5, 2, 5, 5])

    drawn = resampled(table, users, np.random.default_rng(1), 50)

    assert set(drawn.ravel().tolist()) == {0.0, 0.75, 1.0}


def test_intervals__nobody__none() -> None:
    rng, nobody = np.random.default_rng(1), np.zeros(0, np.int64)

    assert intervals({"HR@20": np.zeros(0)}, rng, nobody) == {"HR@20": None}


@pytest.mark.parametrize(
    ("counts", "expected"), [((1, 1, 1, 1), 0), ((0, 0, 0, 4), 0.75), ((1, 3), 0.25)]
)
def test_gini__alike_none__one_for_all(counts: tuple[int, ...], expected: float) -> None:
    assert gini(np.array(counts)) == pytest.approx(expected)


def test_beyond__hand_worked() -> None:
    """Four users; item 0 met by all, 1 and 2 by the same one, 3 by nobody."""
    met = csr_matrix(np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]))

    found = beyond(lists_of((1, 2), (0, 3)), met, np.random.default_rng(1))

    assert found["coverage@20"] == 1
    assert found["Gini@20"] == 0
    assert found["novelty@20"] == pytest.approx((2 + 2 + 0 + 2) / 4)
    # 1 and 2 are as alike as can be, 0 and 3 share nobody
    assert found["diversity@20"] == pytest.approx(0.5)


def test_beyond__nothing_shown__none() -> None:
    found = beyond(lists_of(()), csr_matrix((1, 30)), np.random.default_rng(1))

    assert set(found.values()) == {None}


def test_best__highest_first_ties_by_row__nothing_below_zero() -> None:
    found = best(np.array([[0, 2, 3, 2], [-1, 0, 0, 0.5]], np.float32), 3)

    assert found.rows.tolist() == [[2, 1, 3], [3, -1, -1]]
    assert found.scores.tolist() == [[3, 2, 2], [0.5, 0, 0]]


@pytest.mark.parametrize("own", [True, False])
def test_rank__as_recommend_does(*, own: bool) -> None:
    data = Interactions(
        np.arange(6, dtype=np.int32),
        np.array([0, 1, 1, 2, 2, 2], np.int32),
        np.ones(6, np.float32),
        np.zeros(6),
        6,
        4,
    )
    model = Popularity.fit(data, Popularity.config_type(), as_of_s=0)
    cases = cases_of(((2, 0), (1,)), ((), (1,)), n_items=4)

    every, fresh = rank(model, cases, FoldIn(), count=3, own=own)

    for lists, with_own in ((every, own), (fresh, False)):
        for row, query in zip(lists.rows, cases.queries(FoldIn()), strict=True):
            assert isinstance(query, Query)
            expected = model.recommend(query, 3, own=with_own).rows.tolist()
            assert row[row >= 0].tolist() == expected
