"""Sources combined, one by one and all at once; weights that are learned only where they pay."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.engine.base import EMPTY, Ranked
from recommender.engine.blend import Blend, board, combine, is_gain, learn
from recommender.engine.cases import FoldIn
from recommender.engine.lists import Lists, blend
from recommender.engine.measures import each
from tests.recommender.test_measures import cases_of


def ranked(*pairs: tuple[int, float]) -> Ranked:
    rows, scores = zip(*pairs, strict=True)
    return Ranked(np.array(rows, np.int32), np.array(scores, np.float32))


def test_combine__each_by_its_highest__sums_sources_and_ties() -> None:
    first, second = ranked((3, 10.0), (1, 5.0)), ranked((1, 0.2), (0, 0.1), (4, 0.1))

    found = combine([first, second], [1.0, 0.6], 5)

    assert found.rows.tolist() == [1, 3, 0, 4]
    assert found.scores.tolist() == pytest.approx([1.1, 1.0, 0.3, 0.3])
    assert found.sources.tolist() == [1, 0, 1, 1]
    assert found.ranked.rows.tolist() == found.rows.tolist()


def test_combine__equal_shares__the_earlier_source() -> None:
    found = combine([ranked((2, 1.0)), ranked((2, 7.0))], [1.0, 1.0], 5)

    assert (found.scores.tolist(), found.sources.tolist()) == ([2.0], [0])


@pytest.mark.parametrize("parts", [[], [EMPTY, EMPTY]])
def test_combine__nothing_said__nothing(parts: list[Ranked]) -> None:
    assert len(combine(parts, [1.0] * len(parts), 5).rows) == 0


def test_combine__a_weight_of_nothing__not_heard() -> None:
    assert combine([ranked((1, 1.0)), ranked((2, 1.0))], [1.0, 0.0], 5).rows.tolist() == [1]


def test_combine__row_beyond_the_catalogue__refused() -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 5\)"):
        combine([ranked((5, 1.0))], [1.0], 5)


def random_lists(rng: np.random.Generator, n: int, width: int, n_items: int) -> Lists:
    rows = np.stack([rng.choice(n_items, width, replace=False) for _ in range(n)]).astype(np.int32)
    scores = -np.sort(-rng.random((n, width)).astype(np.float32), axis=1)
    silent = rng.random(n) < 0.2
    rows[silent], scores[silent] = -1, 0
    return Lists(rows, scores)


def test_blend__many_cases__as_combine_one_by_one() -> None:
    rng = np.random.default_rng(3)
    parts = [random_lists(rng, 40, 8, 25) for _ in range(3)]
    weights = [1.0, 0.5, 0.25]

    found = blend(parts, weights, 25, count=10)

    for case in range(40):
        single = [
            Ranked(part.rows[case][part.rows[case] >= 0], part.scores[case][part.rows[case] >= 0])
            for part in parts
        ]
        expected = combine(single, weights, 25)
        said = found.rows[case] >= 0
        assert found.rows[case][said].tolist() == expected.rows[:10].tolist()
        assert found.scores[case][said].tolist() == expected.scores[:10].tolist()


def test_board__blended__the_ndcg_of_the_lists() -> None:
    rng = np.random.default_rng(4)
    cases = cases_of(
        *(((), tuple(rng.choice(30, 3, replace=False).tolist())) for _ in range(50)), n_items=30
    )
    parts = [random_lists(rng, 50, 12, 30) for _ in range(3)]
    weights = [0.3, 1.0, 0.7]

    found = board(parts, cases).blended(weights)

    expected = each(blend(parts, weights, 30, count=20), cases)["NDCG@20"]
    assert found.tolist() == pytest.approx(expected.tolist())


def told(rng: np.random.Generator, truths: np.ndarray, skill: float) -> Lists:
    """Lists that put the truth first with probability `skill`, else anything."""
    lists = random_lists(rng, len(truths), 10, 200)
    lists.scores[:] = np.linspace(1, 0.1, 10)
    knows = rng.random(len(truths)) < skill
    lists.rows[:] = rng.integers(0, 200, lists.rows.shape)
    lists.rows[knows, 0] = truths[knows]
    return lists


def test_learn__two_that_know_different_things__both() -> None:
    rng = np.random.default_rng(5)
    truths = rng.integers(0, 200, 600)
    cases = cases_of(*(((), (int(row),)) for row in truths), n_items=200)
    parts = [told(rng, truths, 0.4), told(rng, truths, 0.4), told(rng, truths, 0.0)]

    weights = learn(board(parts, cases))

    assert min(weights[:2]) > 0
    assert weights[2] == 0
    assert max(weights) == 1


def test_learn__noise_beside_the_best__the_best_alone() -> None:
    rng = np.random.default_rng(6)
    truths = rng.integers(0, 200, 300)
    cases = cases_of(*(((), (int(row),)) for row in truths), n_items=200)

    weights = learn(board([told(rng, truths, 0.0), told(rng, truths, 0.5)], cases))

    assert weights == (0.0, 1.0)


def test_learn__one_case__the_best_alone() -> None:
    cases = cases_of(((), (1,)), n_items=3)
    right, wrong = (
        Lists(np.array([[row]], np.int32), np.ones((1, 1), np.float32)) for row in (1, 2)
    )

    assert learn(board([wrong, right], cases)) == (0.0, 1.0)


def test_is_gain__more_than_noise() -> None:
    each_of_another = np.arange(10)
    assert is_gain(np.full(10, 0.1), each_of_another)
    assert not is_gain(np.array([1.0, -0.9] * 5), each_of_another)
    assert not is_gain(np.zeros(10), each_of_another)
    assert not is_gain(np.ones(1), np.zeros(1, np.int64))
    assert not is_gain(np.zeros(0), np.zeros(0, np.int64))


def test_is_gain__many_questions_of_few__counts_the_few() -> None:
    gain = np.repeat([1.0, 1.0, -0.5], 100)

    assert is_gain(gain, np.arange(300))
    assert not is_gain(gain, np.repeat([0, 1, 2], 100))
    assert not is_gain(np.full(300, 0.1), np.zeros(300, np.int64))


def test_learn__a_blend_helps_only_one_who_asks_often__the_best_alone() -> None:
    """The second source puts right what the first ranks second; half the questions are of one."""
    cases = cases_of(*(((), (1,)) for _ in range(80)), n_items=3)
    often = np.arange(80) % 2 == 0
    first = Lists(
        np.where(often[:, None], [[2, 1]], [[1, 2]]).astype(np.int32),
        np.tile(np.array([[1.0, 0.9]], np.float32), (80, 1)),
    )
    second = Lists(
        np.where(often, 1, -1)[:, None].astype(np.int32), often[:, None].astype(np.float32)
    )
    users = np.where(often, 0, np.arange(80))

    apart = learn(board([first, second], cases), single=0)
    together = learn(board([first, second], replace(cases, users=users)), single=0)

    assert apart[1] > 0
    assert together == (1.0, 0.0)


def test_blend__through_json__the_same() -> None:
    made = Blend((("item_knn", 1.0), ("popularity", 0.25)), {"item_knn": FoldIn(0.8)})

    assert Blend.from_json(made.to_json()) == made


@pytest.mark.parametrize("sources", [[], [["popularity", 0.0]], [["popularity", float("nan")]]])
def test_blend__weights_that_are_none__refused(sources: list[list[object]]) -> None:
    with pytest.raises(ValueError, match="weights above 0"):
        Blend.from_json({"sources": sources})
