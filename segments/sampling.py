"""What a sample of buckets says of the whole base, with its margin."""

import math
from dataclasses import dataclass

# Two-sided 95 %.
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A count over the whole base and how far off it may be, at 95 %."""

    count: int
    margin: int


def estimate(found: int, asked: int, share: float) -> Estimate:
    """Return the estimate of a count from a sample without replacement.

    Wilson's interval, whose width is that of the sample's part that was not looked at.

    Parameters
    ----------
    found, asked
        How many of the sampled customers are members, and how many were sampled.
    share
        The sampled part of all customers, in (0, 1]; 1: the count is exact.

    References
    ----------
    Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22,
    section 3; the finite population correction after Cochran (1977), "Sampling Techniques", 2.6.
    """
    if share >= 1:
        return Estimate(found, 0)
    total = asked / share
    if asked == 0:
        return Estimate(0, 0)
    part, spread = found / asked, _Z * _Z * (1 - share)
    middle = (part + spread / (2 * asked)) / (1 + spread / asked)
    half = math.sqrt(spread * (part * (1 - part) / asked + spread / (4 * asked * asked))) / (
        1 + spread / asked
    )
    count = round(found / share)
    off = max(part - (middle - half), (middle + half) - part)
    return Estimate(count, math.ceil(off * total))
