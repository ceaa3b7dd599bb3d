"""How a shelf is filled: what always holds, and cases worked out by hand."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.engine.selecting import (
    Cap,
    Explored,
    Quota,
    Shelf,
    alike,
    behind,
    choose,
    explore,
)

NONE = np.zeros(0, np.int64)


@st.composite
def shelves(draw: Any) -> tuple[np.ndarray, Shelf, np.ndarray]:
    n = draw(st.integers(0, 14))

    def ints(low: int, high: int) -> np.ndarray:
        return np.array(draw(st.lists(st.integers(low, high), min_size=n, max_size=n)), np.int64)

    scores = ints(0, 20) / 20
    quota = ints(0, 1).astype(bool)
    pinned = draw(st.dictionaries(st.integers(0, max(n - 1, 0)), st.integers(0, 9), max_size=3))
    shelf = Shelf(
        draw(st.integers(0, 10)),
        caps=[Cap(ints(-1, 3), draw(st.integers(0, 3)))] if draw(st.booleans()) else [],
        quotas=[Quota(quota, draw(st.integers(1, 5)))] if draw(st.booleans()) else [],
        pins=pinned if n and len(set(pinned.values())) == len(pinned) else None,
        diversity=draw(st.sampled_from([0.0, 0.3, 1.0])),
        alike=[ints(-1, 2)],
    )
    return scores, shelf, behind(ints(0, 2), ints(0, 1).astype(bool))


def most_of(quota: Quota, shelf: Shelf, n: int) -> int:
    """How many of a quota's candidates fit the shelf, after the pins that come first."""
    kept = choose(np.zeros(n), Shelf(shelf.count, shelf.caps, pins=shelf.pins))
    pins = [one for one in kept if one in (shelf.pins or {})]
    room = shelf.count - len(pins)
    held = [one for one in range(n) if quota.mask[one] and one not in pins]
    if shelf.caps:
        cap = shelf.caps[0]
        used = Counter(int(cap.codes[one]) for one in pins)
        by_code = Counter(int(cap.codes[one]) for one in held)
        fits = sum(
            count if code < 0 else max(0, min(count, cap.most - used[code]))
            for code, count in by_code.items()
        )
    else:
        fits = len(held)
    return sum(1 for one in pins if quota.mask[one]) + min(fits, room)


@given(shelves())
def test_choose__anything__invariants_hold(case: tuple[np.ndarray, Shelf, np.ndarray]) -> None:
    scores, shelf, late = case

    order = choose(scores, shelf, late)

    assert len(order) <= shelf.count
    assert len(set(order)) == len(order)
    assert all(0 <= one < len(scores) for one in order)
    for cap in shelf.caps:
        held = Counter(int(cap.codes[one]) for one in order)
        assert all(many <= cap.most for code, many in held.items() if code >= 0)
    for quota in shelf.quotas:
        met = sum(1 for one in order if quota.mask[one])
        assert met >= min(quota.least, most_of(quota, shelf, len(scores)))
    if not shelf.caps:
        assert len(order) == min(shelf.count, len(scores))
    assert choose(scores, shelf, late) == order


@given(shelves(), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_explore__anything__keeps_caps_quotas_and_pins(
    case: tuple[np.ndarray, Shelf, np.ndarray], seed: int, share: float
) -> None:
    scores, shelf, late = case
    order = choose(scores, shelf, late)
    fixed = [one for one in order if one in (shelf.pins or {})]

    drawn = explore(
        order,
        np.arange(len(scores)),
        share,
        caps=shelf.caps,
        quotas=shelf.quotas,
        fixed=fixed,
        rng=np.random.default_rng(seed),
    )

    final = list(order)
    for one in drawn:
        assert 0 < one.propensity <= 1
        assert not one.kept or order[one.place] == one.candidate
        final[one.place] = one.candidate
    assert len(set(final)) == len(final)
    assert set(fixed) <= set(final)
    for cap in shelf.caps:
        held = Counter(int(cap.codes[one]) for one in final)
        assert all(many <= cap.most for code, many in held.items() if code >= 0)
    for quota in shelf.quotas:
        before = sum(1 for one in order if quota.mask[one])
        assert sum(1 for one in final if quota.mask[one]) >= min(quota.least, before)


def test_choose__plain__best_first_ties_to_the_earlier() -> None:
    assert choose(np.array([0.2, 0.9, 0.9, 0.1]), Shelf(3)) == [1, 2, 0]


def test_choose__tier_and_bury__beat_any_score() -> None:
    late = behind(np.array([1, 0, 0]), np.array([False, False, True]))

    assert choose(np.array([50.0, 0.1, 99.0]), Shelf(3), late) == [1, 0, 2]


def test_choose__pin__stands_at_its_place() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.1])

    assert choose(scores, Shelf(3, pins={3: 1})) == [0, 3, 1]


def test_choose__pin_beyond_a_cap__left_out() -> None:
    caps = [Cap(np.array([0, 0, 1]), 1)]

    assert choose(np.array([0.9, 0.8, 0.7]), Shelf(3, caps, pins={0: 0, 1: 1})) == [0, 2]


def test_choose__quota__takes_the_best_of_it_and_orders_by_score() -> None:
    quota = Quota(np.array([False, False, False, True, True]), 1)
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.3])

    assert choose(scores, Shelf(3, quotas=[quota])) == [0, 1, 4]


def test_choose__diversity__an_unlike_one_comes_up() -> None:
    """MMR by hand with lambda .5: after 0, like 1 is worth .45 - .5, unlike 2 .35 - 0."""
    scores, brand = np.array([1.0, 0.9, 0.7]), np.array([0, 0, 1])

    assert choose(scores, Shelf(3, diversity=0.5, alike=[brand])) == [0, 2, 1]


def test_alike__of_two_groups__each_has_half_a_say() -> None:
    assert alike([np.array([0, 0, -1]), np.array([1, 2, 1])], 0).tolist() == [1.0, 0.5, 0.5]


@pytest.mark.parametrize(("share", "places"), [(0.0, []), (0.5, [3, 2]), (1.0, [3, 2, 1, 0])])
def test_explore__whole_places__the_last_are_drawn(share: float, places: list[int]) -> None:
    drawn = explore([0, 1, 2, 3], np.arange(4, 9), share, rng=np.random.default_rng(1))

    assert [one.place for one in drawn] == places
    assert [one.propensity for one in drawn] == [1 / (5 - n) for n in range(len(places))]


def test_explore__part_of_a_place__so_often_and_evenly() -> None:
    """A quarter of two places is half a place: 4 candidates come up an eighth of the time each."""
    rng, seen = np.random.default_rng(7), Counter[int]()
    for _ in range(4000):
        for one in explore([0, 1], np.arange(2, 6), 0.25, rng=rng):
            assert (one.place, one.propensity) == (1, 0.5 if one.kept else 0.125)
            seen[one.candidate] += 1

    # 5 standard deviations of a binomial of 4000 at 1/8
    assert all(abs(seen[one] - 500) < 105 for one in (2, 3, 4, 5))
    assert seen[1] == 4000 - sum(seen[one] for one in (2, 3, 4, 5))


@settings(max_examples=25, deadline=None)
@given(shelves(), st.integers(0, 2**32 - 1), st.floats(0.05, 1))
def test_explore__many_draws__each_outcome_as_often_as_its_propensity_says(
    case: tuple[np.ndarray, Shelf, np.ndarray], seed: int, share: float
) -> None:
    """Of every place and every story of the draws before it, replaced or kept."""
    scores, shelf, late = case
    order, rng = choose(scores, shelf, late), np.random.default_rng(seed)
    told: dict[tuple[Explored, ...], Counter[Explored]] = {}
    for _ in range(400):
        drawn = explore(
            order, np.arange(len(scores)), share, caps=shelf.caps, quotas=shelf.quotas, rng=rng
        )
        for at, one in enumerate(drawn):
            told.setdefault(tuple(drawn[:at]), Counter())[one] += 1

    for outcomes in told.values():
        n = outcomes.total()
        if n < 100:
            continue
        assert len({one.place for one in outcomes}) == 1
        assert sum(one.propensity for one in outcomes) <= 1 + 1e-9
        for one, count in outcomes.items():
            # six standard deviations, and the step of a count
            room = 6 * np.sqrt(n * one.propensity * (1 - one.propensity)) + 1
            assert abs(count - n * one.propensity) <= room


@pytest.mark.parametrize(
    "options",
    [
        {"fixed": (0, 1)},
        {"quotas": [Quota(np.array([True, True, False]), 2)]},
        {"caps": [Cap(np.array([-1, 0, 0]), 0)]},
    ],
    ids=["pin", "quota", "cap"],
)
def test_explore__chance_could_change_nothing__nothing_told(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)

    assert [explore([0, 1], np.array([2]), 0.25, rng=rng, **options) for _ in range(30)] == 30 * [
        []
    ]


def test_explore__nothing_new__nothing_drawn() -> None:
    assert explore([0, 1], NONE, 1.0, rng=np.random.default_rng(0)) == []
