"""What ALS says that it will cost, beside what it does."""

import time

import numpy as np
import pytest

from recommender.engine.als import Als, AlsConfig
from recommender.engine.base import Interactions
from recommender.engine.budget import Limits

# (pairs, users, items, factors) -> seconds of one core a pass, measured on the machine that the
# constants in `engine.als` come from. The last two are Gowalla, all of it.
PASSES = {
    (98_217, 4_000, 2_000, 64): 0.045,
    (198_379, 10_000, 4_000, 128): 0.20,
    (717_363, 4_000, 2_000, 64): 0.16,
    (99_813, 10_000, 10_000, 256): 0.53,
    (98_735, 6_000, 2_000, 32): 0.028,
    (789_248, 30_000, 3_000, 16): 0.22,
    (999_545, 200_000, 20_000, 32): 0.66,
    (299_961, 100_000, 50_000, 64): 0.95,
    (149_945, 30_000, 30_000, 16): 0.16,
    (99_919, 20_000, 10_000, 512): 2.5,
    (799_005, 29_858, 40_981, 128): 1.02,
    (798_964, 29_858, 40_981, 256): 2.22,
}


def estimate(pairs: int, users: int, items: int, factors: int, iterations: int = 15) -> float:
    return Als.cost(users, items, pairs, AlsConfig(factors=factors, iterations=iterations)).seconds


@pytest.mark.parametrize(("size", "measured_s"), PASSES.items())
def test_cost__sizes_that_were_measured__within_a_factor_of_two(
    size: tuple[int, int, int, int], measured_s: float
) -> None:
    ratio = estimate(*size, iterations=1) / measured_s

    assert 0.5 < ratio < 2


def test_cost__gowalla__two_fits_are_a_small_part_of_an_evaluation() -> None:
    seconds = Als.cost(29_858, 40_981, 810_128, AlsConfig()).seconds

    assert 2 * seconds < Limits().seconds / 6


def interactions(pairs: int, users: int, items: int) -> Interactions:
    rng = np.random.default_rng(3)
    who = (users * rng.random(pairs) ** 1.3).astype(np.int32)
    what = (items * rng.random(pairs) ** 2).astype(np.int32)
    return Interactions(who, what, np.ones(pairs, np.float32), np.zeros(pairs), users, items)


@pytest.mark.deep
def test_cost__of_the_same_run__ratios_within_a_factor_of_two() -> None:
    """Estimates beside the processor's time, each relative to the mean: whatever the machine."""
    sizes = [
        (100_000, 4_000, 2_000, 64),
        (700_000, 4_000, 2_000, 64),
        (100_000, 10_000, 10_000, 128),
        (150_000, 30_000, 30_000, 16),
        (300_000, 20_000, 10_000, 64),
    ]
    ratios = []
    for pairs, users, items, factors in sizes:
        data = interactions(pairs, users, items)
        config = AlsConfig(factors=factors, iterations=4)
        met = len(np.unique(data.items)), len(np.unique(data.users))
        started = time.process_time()
        Als.fit(data, config, as_of_s=0.0)
        took = time.process_time() - started
        ratios.append(Als.cost(met[1], met[0], pairs, config).seconds / took)

    relative = np.array(ratios) / np.exp(np.log(ratios).mean())
    assert ((relative > 0.5) & (relative < 2)).all(), ratios
