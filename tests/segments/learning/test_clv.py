"""BG/NBD and Gamma-Gamma against the published CDNOW figures."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import hyp2f1

from segments.learning.engine.clv import (
    BgNbd,
    GammaGamma,
    TooFewPurchases,
    Worth,
    errors,
)
from segments.learning.engine.purchases import Histories

GOLDEN = Path(__file__).parent / "golden" / "cdnow.csv"
X, T_X, T, MEAN = np.loadtxt(GOLDEN, delimiter=",", skiprows=2).T
# Fader, Hardie, Lee (2005), table 1 and section 4; Fader, Hardie (2013), section 3.
PUBLISHED = BgNbd(0.243, 4.414, 0.793, 2.426)
PUBLISHED_WORTH = GammaGamma(6.25, 3.74, 15.44)


def one(value: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([float(value)])


def test_bgnbd__cdnow__is_the_published_fit() -> None:
    found = BgNbd.fit(X, T_X, T)

    assert len(X) == 2_357
    assert [found.r, found.alpha, found.a, found.b] == pytest.approx(
        [0.243, 4.414, 0.793, 2.426], abs=5e-4
    )
    assert found.log_likelihood(X, T_X, T).sum() == pytest.approx(-9_582.4, abs=0.05)


def test_bgnbd__published_example__expected_purchases() -> None:
    assert PUBLISHED.expected(one(2), one(30.43), one(38.86), days=39)[0] == pytest.approx(
        1.226, abs=5e-4
    )


def test_bgnbd__tracking__sum_of_expectations_of_newcomers() -> None:
    assert PUBLISHED.newcomer(days=0) == 0
    assert PUBLISHED.newcomer(days=39) == pytest.approx(1.1967, abs=1e-3)
    nobody = PUBLISHED.expected(one(0), one(0), one(0), days=39)[0]
    assert nobody == pytest.approx(PUBLISHED.newcomer(days=39))


@given(st.integers(0, 40), st.floats(0, 1), st.floats(1, 60), st.floats(0.1, 60))
@settings(max_examples=100, deadline=None)
def test_bgnbd__stable_form__is_equation_10(x: int, share: float, age: float, days: float) -> None:
    m, t_x = PUBLISHED, share * age if x else 0.0
    z = days / (m.alpha + age + days)
    plain = hyp2f1(m.r + x, m.b + x, m.a + m.b + x - 1, z)
    ahead = 1 - ((m.alpha + age) / (m.alpha + age + days)) ** (m.r + x) * plain
    left = (m.a / (m.b + x - 1)) * ((m.alpha + age) / (m.alpha + t_x)) ** (m.r + x) if x else 0
    expected = (m.a + m.b + x - 1) / (m.a - 1) * ahead / (1 + left)

    found = m.expected(one(x), one(t_x), one(age), days=days)[0]

    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert m.alive(one(x), one(t_x), one(age))[0] == pytest.approx(1 / (1 + left))


def test_bgnbd__thousands_of_purchases__stay_finite() -> None:
    found = PUBLISHED.expected(one(5_000), one(38.8), one(38.86), days=39)[0]

    assert 1_000 < found < 10_000


def test_bgnbd__days_or_weeks__say_the_same() -> None:
    weeks, days = BgNbd.fit(X, T_X, T), BgNbd.fit(X, 7 * T_X, 7 * T)

    assert days.alpha == pytest.approx(7 * weeks.alpha, rel=1e-3)
    assert days.expected(X, 7 * T_X, 7 * T, days=7 * 39).sum() == pytest.approx(
        weeks.expected(X, T_X, T, days=39).sum(), rel=1e-3
    )


def test_bgnbd__a_of_one__is_the_limit_of_its_neighbours() -> None:
    args = (one(2), one(30.43), one(38.86))

    exact, above = (BgNbd(0.243, 4.414, a, 2.426).expected(*args, days=39)[0] for a in (1, 1.001))

    assert exact == pytest.approx(above, rel=2e-3)


def test_gamma_gamma__cdnow__is_the_published_fit() -> None:
    found = GammaGamma.fit(X, MEAN)

    assert np.count_nonzero(X) == 946
    assert [found.p, found.q, found.v] == pytest.approx([6.25, 3.74, 15.44], abs=0.02)


def test_gamma_gamma__expected__leans_to_everybodys_mean() -> None:
    found = PUBLISHED_WORTH.expected(np.array([1.0, 50.0, 0.0]), np.array([100.0, 100.0, np.nan]))

    everybody = 6.25 * 15.44 / 2.74
    assert found[2] == pytest.approx(everybody)
    assert everybody < found[0] < found[1] < 100


def test_fits__hardly_anybody_bought_twice__say_so() -> None:
    with pytest.raises(TooFewPurchases, match="bought twice"):
        BgNbd.fit(X[:50], T_X[:50], T[:50])
    with pytest.raises(TooFewPurchases, match="paid twice"):
        GammaGamma.fit(np.zeros(80), np.full(80, np.nan))


def test_worth__arrays__bring_it_back() -> None:
    seen = Histories(np.arange(len(X)), X, T_X, T, MEAN, MEAN)
    model = Worth.fit(seen)

    again = Worth.from_arrays(model.to_arrays())

    np.testing.assert_array_equal(again.value(seen, days=39), model.value(seen, days=39))
    with pytest.raises(ValueError, match="fit together"):
        Worth.from_arrays(model.to_arrays() | {"bg_nbd": np.array([1.0, -1, 1, 1])})


def test_errors__hand_worked() -> None:
    found = errors(np.array([1.0, 3.0]), np.array([2.0, 0.0]))

    assert found == pytest.approx({"mae": 2.0, "rmse": np.sqrt(5), "total": 1.0})
    assert np.isnan(errors(np.zeros(2), np.zeros(2))["total"])
