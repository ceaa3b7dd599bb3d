"""Probabilities that mean what they say: maps fitted on a later fold, and how well they hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from segments.learning.engine.arrays import Arrays, need
from segments.learning.engine.features import Floats, Ints
from segments.learning.engine.lazy import isotonic, metrics

# Of the rarer class: an isotonic map has as many parameters as steps, and below it Platt's two
# overfit less (Niculescu-Mizil, Caruana, ICML 2005, section 5).
LEAST_FOR_ISOTONIC = 1_000
BINS = 10
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map of probabilities: piecewise linear through (`x`, `y`), both (m,) ascending.

    `method`: isotonic, sigmoid, or none.
    """

    method: str
    x: Floats
    y: Floats

    @classmethod
    def fit(cls, probability: Floats, target: Ints, method: str = "") -> Self:
        """Return the map of a fold (n,) each; isotonic when it is large enough, else sigmoid.

        A fold of one class teaches nothing: the map is none.
        """
        if len(np.unique(target)) < 2:  # noqa: PLR2004 -- two classes
            return cls("none", np.array([0.0, 1.0]), np.array([0.0, 1.0]))
        rarer = int(min(target.sum(), len(target) - target.sum()))
        method = method or ("isotonic" if rarer >= LEAST_FOR_ISOTONIC else "sigmoid")
        if method == "isotonic":
            # nobody is certain: a step without an exception is as sure as its fold is large
            least = 1 / (len(target) + 2)
            made = isotonic.IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
            made.fit(probability, target)
            return cls(method, made.X_thresholds_, made.y_thresholds_)
        slope, shift = _platt(probability, target)
        # drawn finely enough that a straight piece is off by less than a thousandth
        grid = 1 / (1 + np.exp(-np.linspace(-14, 14, 513)))
        return cls(method, grid, 1 / (1 + np.exp(-(slope * _logit(grid) + shift))))

    def apply(self, probability: Floats) -> Floats:
        """Return calibrated probabilities, (n,)."""
        found: Floats = np.interp(probability, self.x, self.y)
        return found

    def to_arrays(self) -> Arrays:
        """Return the map."""
        return {"x": self.x, "y": self.y}

    @classmethod
    def from_arrays(cls, method: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return that map; ValueError when it is none."""
        x, y = arrays["x"], arrays["y"]
        need(len(x) == len(y) > 0 and (np.diff(x) >= 0).all(), "a calibration")
        return cls(method, x, y)


def quality(probability: Floats, target: Ints) -> dict[str, float]:
    """Return log_loss, brier, ece, auc, share (of the class 1), mean (probability) and rows.

    `auc` is nan for one class, all are for no row.
    """
    if not len(target):
        names = ("log_loss", "brier", "ece", "auc", "share", "mean")
        return {**dict.fromkeys(names, float("nan")), "rows": 0}
    held = np.clip(probability, _LEAST, 1 - _LEAST)
    both = len(np.unique(target)) > 1
    return {
        "log_loss": float(-np.where(target == 1, np.log(held), np.log(1 - held)).mean()),
        "brier": float(((probability - target) ** 2).mean()),
        "ece": calibration_error(probability, target),
        "auc": float(metrics.roc_auc_score(target, probability)) if both else float("nan"),
        "share": float(target.mean()),
        "mean": float(probability.mean()),
        "rows": len(target),
    }


def reliability(probability: Floats, target: Ints) -> list[tuple[float, float, int]]:
    """Return (mean probability, share that came true, rows) of up to BINS bins of equal size."""
    if not len(target):
        return []
    order = np.argsort(probability, kind="stable")
    parts = [rows for rows in np.array_split(order, BINS) if len(rows)]
    return [(float(probability[r].mean()), float(target[r].mean()), len(r)) for r in parts]


def calibration_error(probability: Floats, target: Ints) -> float:
    """Return the expected calibration error over bins of equal size (Naeini et al., AAAI 2015)."""
    bins = reliability(probability, target)
    total = sum(rows for _, _, rows in bins)
    return sum(rows * abs(said - came) for said, came, rows in bins) / total


def _platt(probability: Floats, target: Ints) -> tuple[float, float]:
    """Return (slope, shift) on the logit, with Platt's smoothed targets (1999, section 2.2)."""
    positives = float(target.sum())
    negatives = len(target) - positives
    high, low = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    wanted = np.where(target == 1, high, low)
    logit = _logit(probability)

    def loss(params: NDArray[np.float64]) -> float:
        score = params[0] * logit + params[1]
        return float((np.logaddexp(0, score) - wanted * score).mean())

    found = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(0, 50), (-50, 50)]).x
    return float(found[0]), float(found[1])


def _logit(probability: Floats) -> Floats:
    held = np.clip(probability, _LEAST, 1 - _LEAST)
    found: Floats = np.log(held / (1 - held))
    return found
