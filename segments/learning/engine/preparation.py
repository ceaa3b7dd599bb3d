"""From features to what distances mean something in: imputed, log, robustly scaled, rotated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine.arrays import Arrays, need
from segments.learning.engine.features import Floats

# Of the variance; the rest is mostly noise that blurs distances.
EXPLAINED = 0.9
MOST_COMPONENTS = 12
# The interquartile range of a normal distribution in standard deviations.
_IQR = 1.349
# A scaled value beyond it says "very much"; how much more must not rule the first component.
_LIMIT = 5.0
# Below it a spread is rounding.
_NO_SPREAD = 1e-9


@dataclass(frozen=True, slots=True)
class Preparation:
    """Fitted steps. d features, c components.

    `log` (d,) bool; `fill`, `center`, `scale` (d,) float64 of the values after the log; `mean` (d,)
    and `axes` (c, d) of the principal components; `explained` (c,) shares of the variance.
    """

    log: NDArray[np.bool_]
    fill: Floats
    center: Floats
    scale: Floats
    mean: Floats
    axes: Floats
    explained: Floats

    @classmethod
    def fit(cls, values: Floats, log: Sequence[bool]) -> Self:
        """Return the preparation of features (n, d), nan where undefined; deterministic.

        Undefined values become the median. A column without a spread, or without any value, becomes
        0 throughout.
        """
        flags = np.array(log, np.bool_)
        logged = _logged(values, flags)
        low, fill, high = _quartiles(logged)
        filled = np.where(np.isnan(logged), fill, logged)
        spread = (high - low) / _IQR
        wide = filled.std(axis=0) if len(filled) else np.zeros(len(flags))
        # half the customers alike (no order at all): quartiles say nothing, the deviation does
        scale = np.where(spread > _NO_SPREAD, spread, np.where(wide > _NO_SPREAD, wide, 1.0))
        scaled = np.clip((filled - fill) / scale, -_LIMIT, _LIMIT)
        mean = scaled.mean(axis=0) if len(scaled) else np.zeros(len(flags))
        axes, explained = _components(scaled - mean)
        return cls(flags, fill, fill, scale, mean, axes, explained)

    def scaled(self, values: Floats) -> Floats:
        """Return values (n, d) imputed, logged and scaled, clipped at 5 (see `_LIMIT`)."""
        logged = _logged(values, self.log)
        filled = np.where(np.isnan(logged), self.fill, logged)
        found: Floats = np.clip((filled - self.center) / self.scale, -_LIMIT, _LIMIT)
        return found

    def transform(self, values: Floats) -> Floats:
        """Return the components (n, c) of values (n, d)."""
        found: Floats = (self.scaled(values) - self.mean) @ self.axes.T
        return found

    def to_arrays(self) -> Arrays:
        """Return all fitted state."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `to_arrays` described; ValueError when it does not fit together."""
        made = cls(*(arrays[name] for name in cls.__slots__))
        d = len(made.log)
        sized = all(len(getattr(made, name)) == d for name in ("fill", "center", "scale", "mean"))
        need(sized and made.axes.shape == (len(made.explained), d), "a preparation")
        return made


def _logged(values: Floats, flags: NDArray[np.bool_]) -> Floats:
    """Return sign(x) log(1 + |x|) in flagged columns: refunds make revenue negative."""
    values = np.asarray(values, np.float64)
    return np.where(flags, np.sign(values) * np.log1p(np.abs(values)), values)


def _quartiles(values: Floats) -> tuple[Floats, Floats, Floats]:
    found = np.zeros((3, values.shape[1]))
    for column in range(values.shape[1]):
        known = values[:, column][~np.isnan(values[:, column])]
        if len(known):
            found[:, column] = np.quantile(known, (0.25, 0.5, 0.75))
    return found[0], found[1], found[2]


def _components(centred: Floats) -> tuple[Floats, Floats]:
    """Return (axes (c, d), share of variance (c,)) by SVD; each axis' largest weight is positive.

    The d x d covariance is decomposed, so that a million customers cost one product.
    """
    d = centred.shape[1]
    covariance = centred.T @ centred / max(len(centred), 1)
    variance, vectors = np.linalg.eigh(covariance)
    variance, vectors = np.maximum(variance[::-1], 0), vectors[:, ::-1].T
    total = variance.sum()
    if total <= 0:
        return np.eye(1, d), np.zeros(1)
    share = variance / total
    count = min(int(np.searchsorted(share.cumsum(), EXPLAINED)) + 1, MOST_COMPONENTS, d)
    count = max(count, min(2, d))
    axes = vectors[:count]
    strongest = axes[np.arange(count), np.abs(axes).argmax(axis=1)]
    return axes * np.sign(strongest)[:, None], share[:count]
