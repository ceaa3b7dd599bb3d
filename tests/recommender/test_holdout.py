"""Questions from the last days of a shop's log: who is asked what, of what."""

import numpy as np
import pytest

from recommender.engine import holdout, training
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Interactions
from recommender.engine.cases import FoldIn, halves
from recommender.engine.holdout import Holdout, baskets, customers, cut_s, pages, visits
from recommender.engine.personal import RecentlyViewed
from recommender.engine.popularity import Popularity

DAY_S = 86_400.0
MINUTE = 1 / 1440


def log(*rows: tuple[int, int, float], n_items: int = 9) -> Interactions:
    """(user, item, day) rows."""
    users, items, days = (np.array(column) for column in zip(*rows, strict=True))
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(rows), np.float32),
        days * DAY_S,
        int(users.max()) + 1,
        n_items,
    )


def asked(found: Holdout) -> list[tuple[list[int], list[int]]]:
    """(history, newest first; truth) of each case."""
    cases = found.cases
    return [
        (
            cases.items[cases.starts[n] : cases.starts[n + 1]].tolist(),
            cases.truth[cases.truth_starts[n] : cases.truth_starts[n + 1]].tolist(),
        )
        for n in range(len(cases))
    ]


def test_cut__long_data_a_week__short_data_a_fifth() -> None:
    assert cut_s(np.array([0.0, 100 * DAY_S])) == 93 * DAY_S
    assert cut_s(np.array([0.0, 10 * DAY_S])) == 8 * DAY_S
    assert cut_s(np.array([5.0, 5.0])) == cut_s(np.zeros(0)) == np.inf


def test_customers__on_both_sides__asked_for_all_that_came_newest_first() -> None:
    data = log((0, 1, 1), (0, 2, 2), (0, 3, 9), (0, 3, 9.5), (1, 4, 1), (2, 5, 9))

    found = customers(data, 5 * DAY_S)

    assert asked(found) == [([2, 1], [3])]
    assert (len(found.known), found.own) == (3, True)
    query = found.cases.queries(FoldIn(0.8))[0]
    assert query.weights[query.rows == 2] > query.weights[query.rows == 1]


def test_customers__nobody_comes_back__visits_are_asked() -> None:
    data = log(
        *((n, n % 3 + step, 9 + n / 50 + step * MINUTE) for n in range(4) for step in (0, 1))
    )

    assert customers(data, 5 * DAY_S).words.startswith("visits")


def test_visits__begun_in_the_last_days__last_step_of_the_ones_before() -> None:
    data = log(
        (0, 1, 1), (0, 2, 9), (1, 3, 8), (1, 4, 8 + MINUTE), (1, 3, 8 + 2 * MINUTE), (2, 5, 9)
    )

    assert asked(visits(data, 5 * DAY_S)) == [([4, 3], [3])]


def test_pages__first_item_of_a_visit__asked_for_the_others_and_never_itself() -> None:
    data = log((1, 3, 8), (1, 4, 8 + MINUTE), (1, 3, 8 + 2 * MINUTE), (2, 5, 9), (2, 5, 9 + MINUTE))

    found = pages(data, 5 * DAY_S)

    assert asked(found) == [([3], [4])]
    assert not found.own


def test_baskets__last_item_hidden__never_in_the_query() -> None:
    data = log((0, 1, 9), (0, 2, 9), (0, 2, 9), (1, 3, 9), (2, 1, 1), (2, 2, 1))

    assert asked(baskets(data, 5 * DAY_S)) == [([1], [2])]


def test_holdout__more_than_wanted__the_same_ones_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holdout, "MAX_CASES", 7)
    data = log(*((user, user % 9, day) for user in range(60) for day in (1.0, 9.0)))

    first, second = (asked(customers(data, 5 * DAY_S)) for _ in range(2))

    assert len(first) == 7
    assert first == second


def test_holdout__no_span_of_time__nobody_asked_everything_known() -> None:
    data = log((0, 1, 1), (1, 2, 1))

    found = customers(data, cut_s(data.at_s))

    assert (len(found.cases), len(found.known)) == (0, 2)


def test_halves__a_customer_s_visits_side_by_side__all_in_one_half() -> None:
    users = np.repeat(np.arange(40), 3)

    first = halves(users)

    assert first.sum() == 60
    assert all(len(set(first[users == user].tolist())) == 1 for user in range(40))


def test_pages__visits_that_ask_nothing_new__users_stay_beside_their_cases() -> None:
    day = 86_400.0
    at_s = np.array([0, 9 * day, 9 * day + 1, 9.5 * day, 9.5 * day + 1])
    who, what = np.array([0, 1, 1, 2, 2], np.int32), np.array([0, 1, 1, 0, 1], np.int32)
    data = Interactions(who, what, np.ones(5, np.float32), at_s, 3, 2)

    held = holdout.pages(data, 8 * day)

    assert (len(held.cases), held.cases.whose().tolist()) == (1, [2])


def test_held_of__baskets__users_are_the_customers_not_their_days() -> None:
    rows = [(user, user + step, day) for user in range(3) for day in (1, 9) for step in (0, 1)]
    data = log(*rows)

    held = training.held_of(RECIPES["bought_together"], data)

    assert held.cases.whose().tolist() == [0, 1, 2]


class _Echo(RecentlyViewed):
    """Says what was met, as any model of neighbours may; pages show none of it."""

    own_only = False


def test_train_blend__a_model_strong_in_what_was_met_alone__has_no_weight() -> None:
    rows = [(user, 0, 1.0 + user / 100) for user in range(60, 80)]
    for user in range(60):
        rows += [(user, 1 + user, 0.5), (user, 1 + user, 9.5), (user, 0, 9.9)]
    data = log(*rows, n_items=61)
    known = data.where(data.at_s <= cut_s(data.at_s))
    views = np.full(len(data), training.KINDS.index("view"), np.int8)
    models = {
        name: kind.fit(known, RECIPES[recipe].config, as_of_s=9 * DAY_S)
        for name, kind, recipe in (
            ("echo", _Echo, "recently_viewed"),
            ("popularity", Popularity, "popularity"),
        )
    }

    made = training.train_blend("blend_home", training.Log(data, views), models)

    assert made.facts["blend"]["sources"] == [["popularity", 1.0]]
    assert made.metrics["sources"]["echo"]["NDCG@20"] == 0
