"""Estimates from a sample: exact for the whole, right in most samples, never without a margin."""

import numpy as np
import pytest

from segments.sampling import Estimate, estimate


def test_estimate__everybody_asked__is_exact() -> None:
    assert estimate(17, 100, 1.0) == Estimate(17, 0)


def test_estimate__nobody_asked__is_zero() -> None:
    assert estimate(0, 0, 0.5) == Estimate(0, 0)


def test_estimate__nobody_found__still_has_a_margin() -> None:
    said = estimate(0, 1_000, 1 / 64)

    # about z^2 / n of the base
    assert said.count == 0
    assert said.margin == pytest.approx(64_000 * 3.84 / 1_000, rel=0.05)


def test_estimate__half_of_a_small_share__is_the_textbook_margin() -> None:
    said = estimate(5_000, 10_000, 0.01)

    assert said.count == 500_000
    assert said.margin == pytest.approx(1.96 * 0.5 / 100 * 1_000_000 * np.sqrt(0.99), rel=0.01)


@pytest.mark.parametrize("part", [0.001, 0.02, 0.5, 0.97])
@pytest.mark.parametrize("share", [1 / 64, 0.25, 0.75])
def test_estimate__many_samples__holds_the_truth_in_95_of_100(part: float, share: float) -> None:
    rng = np.random.default_rng(7)
    total, draws = 20_000, 2_000
    members, asked = round(part * total), round(share * total)
    found = rng.hypergeometric(members, total - members, asked, size=draws)

    held = np.mean(
        [
            abs((said := estimate(int(f), asked, share)).count - members) <= said.margin
            for f in found
        ]
    )

    # Wilson's interval made symmetric by its longer side holds at least as often
    assert held >= 0.935
