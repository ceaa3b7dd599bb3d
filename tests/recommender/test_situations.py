"""What is taken where: shares by hand, what nobody knows, and questions of the past."""

from itertools import pairwise

import numpy as np
import pytest

from recommender.engine.base import Interactions
from recommender.engine.holdout import HOLDOUTS, cut_s
from recommender.engine.situations import Situations, Tendencies, tendencies
from recommender.engine.units import VISIT_GAP_S
from recommender.reordering import situation

PHONE, DESK = 2, 1


def met(*rows: tuple[int, int, int], n_items: int = 2) -> tuple[np.ndarray, np.ndarray, Situations]:
    """(product, device, customers), each customer a new one."""
    counts = [count for *_, count in rows]
    items = np.repeat([item for item, *_ in rows], counts).astype(np.int32)
    met_in = np.zeros((len(items), 3), np.int16)
    met_in[:, 0] = np.repeat([device for _, device, _ in rows], counts)
    return np.arange(len(items), dtype=np.int32), items, met_in


def lift(told: Tendencies, item: int, asked: Situations) -> list[float]:
    found: list[float] = told.of(asked, np.zeros(1, np.intp), np.array([item]))[0].tolist()
    return found


def test_tendencies__by_hand__log_of_the_smoothed_share_over_that_of_all() -> None:
    told = tendencies(*met((0, PHONE, 80), (0, DESK, 20), (1, DESK, 100)), 2)

    usual = 80 / 200
    expected = np.log((80 + 20 * usual) / 120 / usual)
    assert lift(told, 0, situation("mobile", None, "")) == pytest.approx([expected, 0, 0], abs=1e-3)
    expected = np.log(20 * usual / 120 / usual)
    assert lift(told, 1, situation("mobile", 7, "DE")) == pytest.approx([expected, 0, 0], abs=1e-3)


def test_tendencies__a_product_that_few_took__as_its_category() -> None:
    rows = met((0, PHONE, 90), (0, DESK, 10), (1, DESK, 200), n_items=3)
    told = tendencies(*rows, 3, [["toys"], ["books"], ["toys"]])
    alone = tendencies(*rows, 3)

    usual = 90 / 300
    category = (90 + 20 * usual) / 120
    asked = situation("mobile", None, "")
    assert lift(told, 2, asked)[0] == pytest.approx(np.log(category / usual), abs=1e-3)
    assert lift(alone, 2, asked)[0] == 0


def test_tendencies__one_customer_again_and_again__counts_once() -> None:
    users, items, met_in = met((0, PHONE, 80), (0, DESK, 60), (1, DESK, 100))
    often = np.concatenate([np.arange(len(users)), np.zeros(500, np.int64)])

    once = tendencies(users, items, met_in, 2)
    again = tendencies(users[often], items[often], met_in[often], 2)

    assert again.lifts.tobytes() == once.lifts.tobytes()


def test_tendencies__few_customers_with_many_products__no_column() -> None:
    users, items, met_in = met((0, DESK, 100))
    robots = np.repeat(np.arange(100, 149, dtype=np.int32), 4)
    phones = np.zeros((len(robots), 3), np.int16)
    phones[:, 0] = PHONE
    told = tendencies(
        np.concatenate([users, robots]),
        np.concatenate([items, np.tile(np.arange(4, dtype=np.int32), 49)]),
        np.concatenate([met_in, phones]),
        4,
    )

    assert lift(told, 3, situation("mobile", None, "")) == [0, 0, 0]


@pytest.mark.parametrize(
    "asked", [situation(None, None, ""), situation("tv", 30, "XX"), situation("", 3, "Ä1")]
)
def test_of__what_nobody_knows__neutral(asked: Situations) -> None:
    told = tendencies(*met((0, PHONE, 80), (0, DESK, 20), (1, DESK, 100)), 2)

    assert lift(told, 0, asked) == [0, 0, 0]


def test_tendencies__hours_of_one_band__are_one() -> None:
    users, items, met_in = met((0, 0, 100), (1, 0, 100))
    met_in[:100, 1], met_in[100:, 1] = 1 + 21, 1 + 9
    told = tendencies(users, items, met_in, 2)

    hours = [lift(told, 0, situation(None, hour, ""))[1] for hour in range(24)]
    assert hours[21] == hours[22] == hours[23] > 0 > hours[9] == hours[10] == hours[11]
    assert {hours[hour] for hour in range(24) if hour not in (9, 10, 11, 21, 22, 23)} == {0}


def test_tendencies__many_countries__the_frequent_have_a_column() -> None:
    names = [f"{one}{two}" for one in "ABCDE" for two in "ABCDE"]
    counts = np.arange(100, 100 - len(names), -1)
    codes = np.repeat([situation(None, None, name)[0, 2] for name in names], counts)
    met_in = np.zeros((len(codes), 3), np.int16)
    met_in[:, 2] = codes
    users = np.arange(len(codes), dtype=np.int32)
    told = tendencies(users, users % 3, met_in, 3)

    assert told.lifts.shape == (3, 1 + 15)
    columns = [told.columns[2, situation(None, None, name)[0, 2]] for name in names]
    assert sorted(columns[:15]) == list(range(1, 16))
    assert columns[15:] == [0] * 10


def test_tendencies__nothing_met__nothing_told() -> None:
    nobody = np.zeros(0, np.int32)
    told = tendencies(nobody, nobody, np.zeros((0, 3), np.int16), 4)

    assert told.lifts.tolist() == [[0]] * 4
    assert not told.columns.any()


@pytest.mark.parametrize("use", list(HOLDOUTS))
def test_situated__questions__in_the_situation_of_what_came__learned_of_what_was(use: str) -> None:
    """Each interaction is in a situation of its own, so that a number tells which one it was."""
    rng = np.random.default_rng(3)
    n = 600
    users = rng.integers(60, size=n).astype(np.int32)
    at_s = np.sort(rng.integers(0, 30 * 86_400, size=n)).astype(np.float64)
    at_s[1::2] = at_s[::2] + 60
    users[1::2] = users[::2]
    items = rng.integers(40, size=n).astype(np.int32)
    data = Interactions(users, items, np.ones(n, np.float32), at_s, 60, 40)
    met_in = np.tile(np.arange(n, dtype=np.int16)[:, None], 3)

    held = HOLDOUTS[use](data, cut_s(at_s), VISIT_GAP_S).situated(met_in, at_s)

    assert held.met_in is not None
    assert held.cases.situations is not None
    assert held.met_in[:, 0].tolist() == np.flatnonzero(at_s <= held.cut_s).tolist()
    asked = held.cases.situations[:, 0].astype(np.int64)
    assert len(asked) == len(held.cases) > 10
    assert (at_s[asked] > held.cut_s).all()
    assert users[asked].tolist() == held.cases.whose().tolist()
    truths = [held.cases.truth[low:high] for low, high in pairwise(held.cases.truth_starts)]
    shares = [items[row] in truth for row, truth in zip(asked.tolist(), truths, strict=True)]
    # of a page the first that came may be the page's own product, which is not asked for
    assert np.mean(shares) > (0.8 if use == "product" else 0.99)
    some = held.cases.take(np.array([2, 0]))
    assert some.situations is not None
    assert some.situations[:, 0].tolist() == asked[[2, 0]].tolist()
