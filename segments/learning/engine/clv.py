"""What customers will buy and be worth: BG/NBD for the number, Gamma-Gamma for the worth.

Maximum likelihood by scipy; probabilities stay in logarithms, and the hypergeometric function is
used in the form that does not overflow for customers with many purchases.

References
----------
Fader, Hardie, Lee (2005), "Counting your customers" the easy way: an alternative to the Pareto/NBD
model, Marketing Science 24(2); equation numbers below are theirs.
Fader, Hardie (2013), The Gamma-Gamma model of monetary value, brucehardie.com/notes/025.
docs/algorithms/scores.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1

from segments.learning.engine.features import Floats
from segments.learning.engine.purchases import Histories

# Where the optimiser starts, log scale of each parameter; the best of all ends is taken.
_STARTS = ((0.0, 0.0, 0.0, 0.0), (-1.0, 1.5, -0.5, 1.0), (0.5, 2.5, -1.5, 0.5))
# exp(8) = 2981: beyond it the likelihood is flat and parameters say nothing.
_BOUND = 8.0
# At a = 1 the expectation is a limit; this near it the formula has lost its digits.
_POLE = 1e-6
LEAST_REPEATERS = 50


class TooFewPurchases(ValueError):  # noqa: N818 -- named for what happened, as the project's own
    """There are not enough customers with a repeat purchase to fit anything."""


@dataclass(frozen=True, slots=True)
class BgNbd:
    """A Poisson rate of purchases from Gamma(r, alpha), leaving after each by Beta(a, b).

    `alpha` is in the unit of time of the histories, days here.
    """

    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def fit(cls, repeats: Floats, recency: Floats, age: Floats) -> Self:
        """Return the maximum likelihood fit of histories (n,) each; deterministic.

        Raises
        ------
        TooFewPurchases
            Fewer than LEAST_REPEATERS customers bought twice.
        """
        if np.count_nonzero(repeats) < LEAST_REPEATERS:
            msg = f"{np.count_nonzero(repeats)} customers bought twice; it takes {LEAST_REPEATERS}"
            raise TooFewPurchases(msg)
        unique, weights = np.unique(
            np.column_stack([repeats, recency, age]), axis=0, return_counts=True
        )
        x, t_x, total = unique.T
        # the optimiser's steps suit times of order 1
        scale = float(age.mean()) or 1.0
        t_x, total = t_x / scale, total / scale

        def loss(logs: NDArray[np.float64]) -> float:
            return -float(weights @ cls(*np.exp(logs)).log_likelihood(x, t_x, total)) / len(age)

        r, alpha, a, b = np.exp(_minimised(loss, _STARTS))
        return cls(float(r), float(alpha * scale), float(a), float(b))

    def log_likelihood(self, repeats: Floats, recency: Floats, age: Floats) -> Floats:
        """Return the log likelihood of each history, equation 6."""
        r, alpha, a, b, x = self.r, self.alpha, self.a, self.b, repeats
        common = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        common += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
        stayed = -(r + x) * np.log(alpha + age)
        left = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + recency)
        found: Floats = common + np.where(x > 0, np.logaddexp(stayed, left), stayed)
        return found

    def alive(self, repeats: Floats, recency: Floats, age: Floats) -> Floats:
        """Return the probability that each customer has not left for good."""
        found: Floats = 1 / (1 + self._odds_left(repeats, recency, age))
        return found

    def expected(self, repeats: Floats, recency: Floats, age: Floats, *, days: float) -> Floats:
        """Return the purchases expected of each customer in the next `days`, equation 10.

        Euler's transformation of 2F1 takes the powers of r + x out of it: for somebody with 5,000
        purchases the plain form overflows.
        """
        a = self.a if abs(self.a - 1) > _POLE else 1 + _POLE
        b, z = self.b, days / (self.alpha + age + days)
        ahead = 1 - (1 - z) ** (a - 1) * hyp2f1(a + b - 1 - self.r, a - 1, a + b + repeats - 1, z)
        found: Floats = (a + b + repeats - 1) / (a - 1) * ahead
        return found / (1 + self._odds_left(repeats, recency, age))

    def newcomer(self, *, days: float) -> float:
        """Return the repeat purchases expected of somebody new in `days`, equation 9."""
        a = self.a if abs(self.a - 1) > _POLE else 1 + _POLE
        b, z = self.b, days / (self.alpha + days)
        ahead = 1 - (1 - z) ** (a - 1) * hyp2f1(a + b - 1 - self.r, a - 1, a + b - 1, z)
        return float((a + b - 1) / (a - 1) * ahead)

    def _odds_left(self, repeats: Floats, recency: Floats, age: Floats) -> Floats:
        logs = np.log(self.a) - np.log(self.b + np.maximum(repeats, 1) - 1)
        logs = logs + (self.r + repeats) * np.log((self.alpha + age) / (self.alpha + recency))
        found: Floats = np.where(repeats > 0, np.exp(np.minimum(logs, 700.0)), 0.0)
        return found


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """An order's worth varies around a mean of each customer's own; means follow a Gamma-Gamma.

    `v` is in the money unit of the histories. Worth must not depend on how often somebody buys;
    `correlation` in the metrics says how far that holds.
    """

    p: float
    q: float
    v: float

    @classmethod
    def fit(cls, repeats: Floats, mean: Floats) -> Self:
        """Return the fit of customers with a repeat purchase of worth above 0; deterministic.

        Raises
        ------
        TooFewPurchases
            Fewer than LEAST_REPEATERS such customers.
        """
        use = (repeats > 0) & (mean > 0)
        if np.count_nonzero(use) < LEAST_REPEATERS:
            msg = f"{np.count_nonzero(use)} customers paid twice; it takes {LEAST_REPEATERS}"
            raise TooFewPurchases(msg)
        x, m = repeats[use], mean[use]
        scale = float(np.median(m))

        def loss(logs: NDArray[np.float64]) -> float:
            p, q, v = np.exp(logs)
            worth = m / scale
            found = gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v)
            found += (p * x - 1) * np.log(worth) + p * x * np.log(x)
            return -float(np.mean(found - (p * x + q) * np.log(x * worth + v)))

        p, q, v = np.exp(_minimised(loss, tuple(start[:3] for start in _STARTS)))
        return cls(float(p), float(q), float(v * scale))

    def expected(self, repeats: Floats, mean: Floats) -> Floats:
        """Return the worth expected of a customer's next order; the shop's own mean for no repeat.

        The mean of all is p v / (q - 1), which exists for q > 1 alone; below it, nan for no repeat.
        """
        paid = np.where(repeats > 0, np.nan_to_num(mean), 0.0)
        below = self.p * repeats + self.q - 1
        found = np.full(len(repeats), np.nan)
        np.divide(self.p * (self.v + repeats * paid), below, out=found, where=below > 0)
        return found


@dataclass(frozen=True, slots=True)
class Worth:
    """Both models: what a buyer will be worth in minor units."""

    purchases: BgNbd
    orders: GammaGamma

    @classmethod
    def fit(cls, seen: Histories) -> Self:
        """Return both fits; see them for what is raised."""
        return cls(
            BgNbd.fit(seen.repeats, seen.recency, seen.age),
            GammaGamma.fit(seen.repeats, seen.mean_minor),
        )

    def value(self, seen: Histories, *, days: float) -> Floats:
        """Return the revenue expected of each history in the next `days`, minor units."""
        count = self.purchases.expected(seen.repeats, seen.recency, seen.age, days=days)
        return count * self.orders.expected(seen.repeats, seen.mean_minor)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all fitted state."""
        n, g = self.purchases, self.orders
        return {
            "bg_nbd": np.array([n.r, n.alpha, n.a, n.b]),
            "gamma_gamma": np.array([g.p, g.q, g.v]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `to_arrays` described.

        Raises
        ------
        ValueError
            The arrays do not fit together.
        """
        counts, worth = arrays["bg_nbd"], arrays["gamma_gamma"]
        whole = np.concatenate([counts, worth])
        if counts.shape != (4,) or worth.shape != (3,) or not (whole > 0).all():
            msg = "parameters of BG/NBD and Gamma-Gamma do not fit together"
            raise ValueError(msg)
        return cls(BgNbd(*map(float, counts)), GammaGamma(*map(float, worth)))


def errors(predicted: Floats, actual: Floats) -> dict[str, float]:
    """Return mae, rmse and `total`, the relative error of the sum (nan for a sum of 0)."""
    off = predicted - actual
    total = float(actual.sum())
    return {
        "mae": float(np.abs(off).mean()),
        "rmse": float(np.sqrt((off**2).mean())),
        "total": float(off.sum()) / total if total else float("nan"),
    }


def _minimised(
    loss: Callable[[NDArray[np.float64]], float], starts: tuple[tuple[float, ...], ...]
) -> NDArray[np.float64]:
    ends = [
        minimize(loss, np.array(start), method="L-BFGS-B", bounds=[(-_BOUND, _BOUND)] * len(start))
        for start in starts
    ]
    best = min(ends, key=lambda end: float(end.fun))
    found: NDArray[np.float64] = best.x
    return found
