"""Parts of sparse matrices gathered and summed without a loop, at a cost of what is touched."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import NOBODY, Rows, Scores


class _Scratch(threading.local):
    """Dense sums of one thread, all 0 between calls; grown to the largest model asked."""

    def __init__(self) -> None:
        self.sums = np.zeros(0, np.float64)
        self.place = np.zeros(0, np.int64)

    def grow(self, size: int) -> None:
        """Make room for `size` sums."""
        if len(self.sums) < size:
            self.sums = np.zeros(size, np.float64)
            self.place = np.zeros(size, np.int64)


_scratch = _Scratch()


def spans(
    indptr: NDArray[np.integer[Any]], rows: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (places of all entries of `rows` in CSR arrays, row after row; how many each has)."""
    # `take` and `accumulate`: what `[]` and `cumsum` do beside is most of a short query's cost
    ends = indptr[1:].take(rows)
    lengths = (ends - indptr.take(rows)).astype(np.int64)
    shift = (ends - np.add.accumulate(lengths)).repeat(lengths)
    return np.arange(len(shift)) + shift, lengths


def summed(
    keys: NDArray[np.integer[Any]],
    values: NDArray[np.floating[Any]],
    size: int,
    *,
    without: NDArray[np.integer[Any]] = NOBODY.rows,
) -> tuple[Rows, Scores]:
    """Return (distinct keys in no order, sum of each one's values); keys lie in [0, size).

    Those of `without` are left out. Costs what `keys` has, not `size`: a thread keeps a dense
    vector and cleans up what it touched.
    """
    _scratch.grow(size)
    sums, place = _scratch.sums, _scratch.place
    try:
        np.add.at(sums, keys, values.astype(np.float64))
        # the last write of a key wins: one place for each, found without sorting
        at = np.arange(len(keys))
        place[keys] = at
        place[without] = -1
        distinct = keys[place.take(keys) == at]
        found = sums.take(distinct).astype(np.float32)
    finally:
        # the clock may end a training's block anywhere in it, and the next model sums here too
        sums[keys] = 0
    return distinct.astype(np.int32, copy=False), found


def check_csr(
    name: str, indptr: NDArray[Any], indices: NDArray[Any], data: NDArray[Any], *, n_columns: int
) -> None:
    """Refuse CSR parts that would be read out of bounds.

    Raises
    ------
    ValueError
        They do not fit together.
    """
    fits = (
        len(indptr) > 0
        and n_columns >= 0
        and len(indices) == len(data) == int(indptr[-1])
        and int(indptr[0]) == 0
        and bool((np.diff(indptr) >= 0).all())
        and (not len(indices) or 0 <= int(indices.min()) <= int(indices.max()) < n_columns)
    )
    if not fits:
        msg = f"{name} arrays do not fit together"
        raise ValueError(msg)
