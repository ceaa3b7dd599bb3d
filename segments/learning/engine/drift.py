"""Whether customers of today still look like those that a model learnt from: PSI."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine.arrays import Arrays, need
from segments.learning.engine.catalogue import NAMES
from segments.learning.engine.features import Floats

BINS = 10
# The rule of thumb of credit scoring (Siddiqi 2006, Credit Risk Scorecards, chapter 12).
WATCH, SHIFTED = 0.1, 0.25
# An empty bin would make the index infinite.
_LEAST = 1e-4
_TENURE = NAMES.index("tenure_days")


@dataclass(frozen=True, slots=True)
class Baseline:
    """How each feature was spread at training.

    `edges` (d, BINS - 1) inner edges, ascending; `shares` (d, BINS + 1), the last one of unknown
    values; rows of `shares` sum to 1.
    """

    edges: Floats
    shares: Floats

    @classmethod
    def fit(cls, values: Floats) -> Self:
        """Return the spread of features (n >= 1, d), nan unknown, in bins of equal size."""
        d = values.shape[1]
        edges = np.zeros((d, BINS - 1))
        for column in range(d):
            known = values[:, column][~np.isnan(values[:, column])]
            if len(known):
                edges[column] = np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])
        return cls(edges, _shares(values, edges))

    def index(self, values: Floats) -> Floats:
        """Return the population stability index of each feature, (d,); nan for no row."""
        if not len(values):
            return np.full(len(self.edges), np.nan)
        return psi(_shares(values, self.edges), self.shares)

    def least(self, ways: tuple[Floats, ...]) -> Floats:
        """Return the index of each feature, (d,), in the way of reading that moves it least."""
        found: Floats = np.fmin.reduce([self.index(values) for values in ways])
        return found

    def to_arrays(self) -> Arrays:
        """Return edges and shares."""
        return {"edges": self.edges, "shares": self.shares}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return that baseline; ValueError when it does not fit together."""
        edges, shares = arrays["edges"], arrays["shares"]
        d = len(edges)
        need(edges.shape == (d, BINS - 1) and shares.shape == (d, BINS + 1), "a baseline")
        return cls(edges, shares)


def psi(now: Floats, then: Floats) -> Floats:
    """Return the population stability index over the last axis of shares that sum to 1.

    Sum over bins of (now - then) ln(now / then).
    """
    now, then = np.maximum(now, _LEAST), np.maximum(then, _LEAST)
    found: Floats = ((now - then) * np.log(now / then)).sum(axis=-1)
    return found


def readings(values: Floats, *, log_days: float, learnt_days: float) -> tuple[Floats, Floats]:
    """Return features (n, len(NAMES)) as they would be in a log as long as the one learnt from.

    In a log that still grows, everybody's first event is longer ago every day: that alone tells
    nothing of customers. Read as a share of the log, where they come steadily, and as so many days
    less, where all were there at its beginning. Both are the same once the log has its full length.
    """
    share, less = values.copy(), values.copy()
    if log_days > 0:
        share[:, _TENURE] *= learnt_days / log_days
    less[:, _TENURE] -= log_days - learnt_days
    return share, less


def verdict(index: float) -> str:
    """Return steady, watch or shifted; unknown for nan."""
    if not np.isfinite(index):
        return "unknown"
    if index >= SHIFTED:
        return "shifted"
    return "watch" if index >= WATCH else "steady"


def _shares(values: Floats, edges: Floats) -> Floats:
    found = np.zeros((len(edges), BINS + 1))
    for column, cuts in enumerate(edges):
        known = values[:, column][~np.isnan(values[:, column])]
        # a value on an edge belongs below it, so that a column of one value has one bin
        found[column, :BINS] = np.bincount(np.searchsorted(cuts, known), minlength=BINS)
        found[column, BINS] = len(values) - len(known)
    return found / max(len(values), 1)


def as_table(names: tuple[str, ...], index: Floats) -> list[Mapping[str, Any]]:
    """Return feature, psi and verdict of each, the largest first."""
    order = np.argsort(-np.nan_to_num(index, nan=-1.0), kind="stable")
    return [
        {"feature": names[d], "psi": round(float(index[d]), 4), "verdict": verdict(index[d])}
        for d in order
        if np.isfinite(index[d])
    ]
