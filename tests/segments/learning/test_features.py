"""Features are what the log said at the time, whatever came later and in whatever order."""

from dataclasses import replace

import numpy as np
import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as depth
from hypothesis import strategies as st

from segments.learning.engine.catalogue import NAMES, PLACE, table
from segments.learning.engine.features import (
    DAY_US,
    DEVICES,
    Matrix,
    concatenated,
    feature_matrix,
)
from segments.learning.engine.purchases import did, histories, worth
from tests.segments.learning.people import AS_OF_US, DAY0, events, random_events

HOUR = 1 / 24


def at(day: float) -> int:
    return int((DAY0 + day) * DAY_US)


def one(matrix: Matrix, name: str, who: int = 1) -> float:
    row = int(np.flatnonzero(matrix.customers == who)[0])
    return float(matrix.values[row, PLACE[name]])


@given(st.integers(0, 2**32), st.integers(0, 220))
@depth(max_examples=60, deadline=None)
def test_features__later_events__change_nothing(seed: int, day: int) -> None:
    log = random_events(seed)
    as_of = at(day)

    whole = feature_matrix(log, as_of_us=as_of)
    known = feature_matrix(log.until(as_of), as_of_us=as_of)

    assert whole.customers.tolist() == known.customers.tolist()
    np.testing.assert_array_equal(whole.values, known.values)


@given(st.integers(0, 2**32))
@depth(max_examples=30, deadline=None)
def test_features__order_of_arrival__does_not_matter(seed: int) -> None:
    log = random_events(seed)
    mixed = log.take(np.random.default_rng(seed).permutation(len(log)))

    np.testing.assert_allclose(
        feature_matrix(log, as_of_us=AS_OF_US).values,
        feature_matrix(mixed, as_of_us=AS_OF_US).values,
        rtol=1e-9,
    )


@given(st.integers(0, 2**32))
@depth(max_examples=30, deadline=None)
def test_features__other_customers__do_not_matter(seed: int) -> None:
    log = random_events(seed)
    alone = log.take(log.customer == 1)

    whole = feature_matrix(log, as_of_us=AS_OF_US)
    mine = feature_matrix(alone, as_of_us=AS_OF_US)

    row = np.flatnonzero(whole.customers == 1)
    np.testing.assert_allclose(whole.values[row], mine.values, rtol=1e-9)


def test_features__orders__recency_frequency_money() -> None:
    log = events(
        [(1, 10, "order"), (1, 10, "line"), (1, 10, "line"), (1, 30, "order"), (1, 40, "refund")],
        value_minor=np.array([5_000, 2_000, 3_000, 3_000, 1_000]),
        discounted=np.array([True, False, False, False, False]),
    )

    found = feature_matrix(log, as_of_us=at(50))

    expected = {
        "orders": 2,
        "orders_90d": 2,
        "revenue_minor": 7_000,
        "order_value_minor": 4_000,
        "days_since_order": 20,
        "days_between_orders": 20,
        "order_overdue": 1,
        "lines_per_order": 1,
        "discount_share": 0.5,
        "refund_share": 0.5,
        "tenure_days": 40,
        "days_since_event": 10,
        "events": 3,
    }
    assert {name: one(found, name) for name in expected} == pytest.approx(expected)


def test_features__nobody_ordered__undefined_is_nan_and_counts_are_zero() -> None:
    found = feature_matrix(events([(1, 10, "view")]), as_of_us=at(50))

    for name in ("days_since_order", "order_value_minor", "days_between_orders", "discount_share"):
        assert np.isnan(one(found, name)), name
    assert (one(found, "orders"), one(found, "revenue_minor")) == (0, 0)
    assert np.isnan(one(found, "mobile_share"))


def test_features__windows__are_half_open() -> None:
    log = events([(1, 20, "view"), (1, 43, "view"), (1, 43.001, "view"), (1, 50, "view")])

    found = feature_matrix(log, as_of_us=at(50))

    assert [one(found, f"views_{days}d") for days in (7, 30, 90)] == [2, 3, 4]
    assert one(found, "days_since_view") == 0


def test_features__sessions__gap_and_the_clients_own_id() -> None:
    log = events(
        [
            (1, 1, "view"),
            (1, 1 + 0.4 * HOUR, "view"),
            (1, 1 + 1.0 * HOUR, "view"),
            (1, 1 + 1.1 * HOUR, "view"),
            (1, 1 + 9.0 * HOUR, "view"),
        ],
        session=np.array([0, 0, 7, 8, 8]),
    )

    found = feature_matrix(log, as_of_us=at(2))

    assert one(found, "sessions") == 3
    assert one(found, "events_per_session") == pytest.approx(5 / 3)


def test_features__variety_and_habits() -> None:
    log = events(
        [(1, 5, "view")] * 3 + [(1, 5, "add"), (1, 6, "search")],
        category=np.array([4, 4, 4, 5, 0]),
        brand=np.array([2, 2, 3, 3, 0]),
        item=np.array([1, 1, 2, 2, 0]),
        value_minor=np.array([100, 300, 200, 200, np.nan]),
        device=np.array([DEVICES.index("mobile")] * 3 + [DEVICES.index("desktop"), 0]),
        hour=np.array([7, 7, 19, 3, 3]),
        weekday=np.array([0, 5, 6, 1, 1]),
    )

    found = feature_matrix(log, as_of_us=at(10))

    expected = {
        "categories": 2,
        "top_category_share": 0.75,
        "category_bits": 0.8112781,
        "top_brand_share": 0.5,
        "brand_bits": 1.0,
        "items_viewed": 2,
        "price_minor": 200,
        "price_spread": np.sqrt(5_000) / 200,
        "mobile_share": 0.75,
        "morning_share": 0.4,
        "evening_share": 0.2,
        "night_share": 0.4,
        "weekend_share": 0.4,
        "adds_per_view": 1 / 3,
        "searches_30d": 1,
    }
    assert {name: one(found, name) for name in expected} == pytest.approx(expected)


def test_features__no_events__no_rows() -> None:
    found = feature_matrix(events([]), as_of_us=AS_OF_US)

    assert found.values.shape == (0, len(NAMES))


def test_events__columns_of_different_length__refused() -> None:
    log = events([(1, 1, "view")])

    with pytest.raises(ValueError, match="differ in length"):
        replace(log, weekday=np.zeros(2, np.int8))


def test_histories__orders_of_a_day_are_one_purchase() -> None:
    log = events(
        [
            (1, 10.1, "order"),
            (1, 10.9, "order"),
            (1, 14.5, "order"),
            (1, 20, "order"),
            (2, 3, "order"),
        ],
        value_minor=np.array([100, 200, 50, 150, np.nan]),
    )

    found = histories(log, as_of_us=at(30))

    assert found.customers.tolist() == [1, 2]
    assert found.repeats.tolist() == [2, 0]
    assert found.recency.tolist() == [10, 0]
    assert found.age.tolist() == [20, 27]
    assert found.mean_minor[0] == 100
    assert np.isnan(found.mean_minor[1])
    assert found.paid_minor.tolist() == [500, 0]
    assert len(histories(events([]), as_of_us=at(1)).customers) == 0


def test_labels__window__is_half_open() -> None:
    log = concatenated([events([(1, 10, "order")]), events([(2, 20, "order"), (3, 20, "view")])])
    who = np.array([1, 2, 3])

    bought = did(log.of("order"), who, after_us=at(10), until_us=at(20))
    days, paid = worth(log, who, after_us=at(9), until_us=at(20))

    assert bought.tolist() == [False, True, False]
    assert (days.tolist(), paid.tolist()) == ([1, 1, 0], [0, 0, 0])


def test_features__page__is_the_codes_table() -> None:
    page = (settings.BASE_DIR / "docs" / "algorithms" / "clusters.md").read_text(encoding="utf-8")

    assert table() in page
