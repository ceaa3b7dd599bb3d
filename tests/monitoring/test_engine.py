"""Quantiles from buckets, against cases worked by hand."""

import pytest

from personalization.lib.widgets import duration, number
from personalization.monitoring.engine import quantile


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 0.010), (0.25, 0.005), (0.75, 0.015), (1.0, 0.020)],
)
def test_quantile__even_spread__lies_on_the_line(share: float, expected: float) -> None:
    assert quantile([0.010, 0.020, float("inf")], [50, 100, 100], share) == pytest.approx(expected)


def test_quantile__no_observation__is_none() -> None:
    assert quantile([0.01, float("inf")], [0, 0], 0.99) is None
    assert quantile([], [], 0.5) is None


def test_quantile__beyond_the_last_bound__is_that_bound() -> None:
    assert quantile([0.01, float("inf")], [1, 100], 0.99) == 0.01


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.31, ("310", "ms")), (1.5, ("1.5", "s")), (90, ("1.5", "min")), (172_800, ("2", "d"))],
)
def test_duration__spans__take_the_largest_fitting_unit(
    seconds: float, expected: tuple[str, str]
) -> None:
    assert duration(seconds) == expected


def test_number__thousands__are_set_apart() -> None:
    assert (number(1_234_567), number(0.04), number(12.34)) == ("1,234,567", "0.04", "12.3")
