"""What people take where: shares of a product's customers by device, hour and country.

One number a situation shifts all products alike, so what trees read is how much more than usual a
product is taken on this kind of device, at this time of the day, in this country.

References
----------
Morris, "Parametric empirical Bayes inference", JASA 1983, section 1 (few data lean on the group's
mean); Adomavicius and Tuzhilin, "Context-aware recommender systems", 2011, section 3.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Rows

# (n, 3) int16: device, hour, country as `events.extraction.Touches` numbers them; 0 unknown.
Situations = NDArray[np.int16]

SITUATIONS = ("device", "hour", "country")
# Hours of a day that count as one time of it.
_BAND_HOURS = 3
# Of countries the most frequent have a column of their own; the rest is as if nobody knew.
_COUNTRIES = 15
# Fewer customers than these took a value: it has no column, every share of it would be chance.
_LEAST = 50
# So many customers of its category (and of all, for the category) every product is born with.
_PRIOR = 20.0
_CODES = 27 * 32


class Tendencies(NamedTuple):
    """How much more than usual each product is taken in each situation.

    `lifts` (n_items, n_columns) float16: log of the smoothed share over that of all, column 0 for
    what nobody knows, all 0. `columns` (3, n_codes) int16: the column of each code.
    """

    lifts: NDArray[np.float16]
    columns: NDArray[np.int16]

    def of(
        self, asked: Situations, case: NDArray[np.intp], rows: NDArray[np.integer[Any]]
    ) -> NDArray[np.float32]:
        """Return the lifts (n, 3) of product rows (n,) in the situation of each one's case (n,).

        `asked`: (n_cases, 3).
        """
        columns = self.columns[np.arange(len(SITUATIONS)), asked][case]
        found: NDArray[np.float32] = self.lifts[rows[:, None], columns].astype(np.float32)
        return found

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all state."""
        return self._asdict()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], n_items: int) -> Self:
        """Return the stored tendencies.

        Raises
        ------
        ValueError
            The arrays do not fit together, or the items.
        """
        lifts, columns = arrays["lifts"], arrays["columns"]
        fits = (
            (lifts.ndim, lifts.dtype) == (2, np.dtype(np.float16))
            and len(lifts) == n_items
            and (columns.shape, columns.dtype) == ((len(SITUATIONS), _CODES), np.dtype(np.int16))
            and columns.min() >= 0
            and columns.max() < lifts.shape[1]
            and bool(np.isfinite(lifts).all())
        )
        if not fits:
            msg = "the arrays of what is taken in which situation do not fit together"
            raise ValueError(msg)
        return cls(lifts, columns)


def tendencies(
    users: Rows,
    items: Rows,
    met_in: Situations,
    n_items: int,
    categories: Sequence[Sequence[str]] = (),
) -> Tendencies:
    """Return what is taken in which situation.

    A customer counts once a product and value, so that nobody makes a product a night's.

    Parameters
    ----------
    users, items, met_in
        Of each interaction, (n,), (n,) and (n, 3).
    categories
        Of each product, the first counts; empty where nobody knows any.
    """
    names: dict[str, int] = {}
    group = np.array([names.setdefault(of[0] if of else "", len(names)) for of in categories])
    columns = np.zeros((len(SITUATIONS), _CODES), np.int16)
    parts = [np.zeros((n_items, 1), np.float16)]
    for place in range(len(SITUATIONS)):
        code = _banded(place, met_in[:, place])
        key = np.unique((users.astype(np.int64) * n_items + items) * _CODES + code)
        item, told = key // _CODES % max(n_items, 1), key % _CODES
        # once a customer, however many products: nobody makes a column alone
        customer = key // (_CODES * max(n_items, 1))
        values = _frequent(place, np.unique(customer * _CODES + told) % _CODES)
        own = np.searchsorted(values, told)
        known = np.isin(told, values)
        cells = np.bincount(item[known] * len(values) + own[known], minlength=n_items * len(values))
        if len(values) > 1:
            columns[place, values] = sum(part.shape[1] for part in parts) + np.arange(len(values))
            taken = cells.reshape(n_items, len(values)).astype(np.float64)
            parts.append(_lifts(taken, group).astype(np.float16))
    columns[1] = columns[1][_banded(1, np.arange(_CODES))]
    return Tendencies(np.concatenate(parts, axis=1), columns)


def _banded(place: int, codes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the codes as they are counted: hours by times of the day."""
    whole = codes.astype(np.int64)
    if place != SITUATIONS.index("hour"):
        return whole
    return np.where(whole > 0, (whole - 1) // _BAND_HOURS + 1, 0)


def _frequent(place: int, told: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the codes, told once a customer, that have a column, ascending."""
    counts = np.bincount(told, minlength=_CODES)
    counts[0] = 0
    if place == SITUATIONS.index("country"):
        counts[np.argsort(-counts, kind="stable")[_COUNTRIES:]] = 0
    return np.flatnonzero(counts >= _LEAST)


def _lifts(taken: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log of each product's share (n_items, n_values) over that of all."""
    usual = taken.sum(axis=0) / taken.sum()
    before = np.broadcast_to(usual, taken.shape)
    if len(group):
        summed = np.zeros((int(group.max()) + 1, taken.shape[1]))
        np.add.at(summed, group, taken)
        before = _leaning(summed, usual)[group]
    lifts: NDArray[np.float64] = np.log(_leaning(taken, before) / usual)
    return lifts


def _leaning(taken: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares (n, n_values) that lean on those from before where little was taken."""
    sums = taken.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = (taken + _PRIOR * before) / (sums + _PRIOR)
    return shares
