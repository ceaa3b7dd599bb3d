"""The largest entries of a product of two matrices, block by block, so that memory stays bounded.

scipy multiplies (Gustavson's algorithm), NumPy selects. On the Gowalla set (0.8 million pairs, 400
neighbours) it takes no longer than implicit's `all_pairs_knn` on one thread, needs a block instead
of 24 bytes for every possible neighbour, allows two different factors, and starts no threads that
a forked child could hang on.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

# Multiplications of one block: an upper bound of its entries, of 8 bytes each.
_BLOCK = 400_000

Finish = Callable[[csr_matrix, int], None]
# Entries of each row, columns, values.
_Rows = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


def largest(
    left: csr_matrix,
    right: csr_matrix,
    count: int,
    *,
    diagonal: bool,
    finish: Finish | None = None,
) -> csr_matrix:
    """Return (n, m) float32: of each row of `left @ right` the `count` largest entries above 0.

    Parameters
    ----------
    diagonal
        Whether entry (i, i) takes part; where it does not, `count` others are found.
    finish
        Changes the entries of a block, (rows, m), before selection; gets the block's first row.
    """
    parts = []
    for start, stop in _blocks(left, right):
        block = (left[start:stop] @ right).tocsr()
        if finish is not None:
            finish(block, start)
        keep = block.data > 0
        if not diagonal:
            keep &= _rows(block) + start != block.indices
        parts.append(_largest_of_rows(block, keep, count))
    return _stacked(parts, (left.shape[0], right.shape[1]))


def largest_of_rows(matrix: csr_matrix, count: int) -> csr_matrix:
    """Return `matrix` with the `count` largest entries above 0 of each row."""
    return _stacked([_largest_of_rows(matrix, matrix.data > 0, count)], matrix.shape)


def largest_of_dense(
    rows_of: Callable[[int, int], NDArray[np.float32]],
    shape: tuple[int, int],
    count: int,
    *,
    block: int,
) -> csr_matrix:
    """Return (n, m) float32: of each row the `count` entries of largest magnitude.

    `rows_of(start, stop)` gives dense rows, (stop - start, m); 0 entries are left out.
    """
    parts = []
    # one buffer for all blocks: fresh pages would cost more than the values that they hold
    buffer = np.empty((min(block, shape[0]), shape[1]), np.float32)
    for start in range(0, shape[0], block):
        dense = rows_of(start, min(start + block, shape[0]))
        magnitude = np.abs(dense, out=buffer[: len(dense)])
        rows, columns = np.nonzero(magnitude >= _bounds(magnitude, count)[:, None])
        indptr = np.searchsorted(rows, np.arange(len(dense) + 1))
        large = csr_matrix((magnitude[rows, columns], columns, indptr), shape=dense.shape)
        lengths, indices, _ = _largest_of_rows(large, large.data > 0, count)
        values = dense[np.repeat(np.arange(len(dense)), lengths), indices]
        parts.append((lengths, indices, values))
    return _stacked(parts, shape)


def _bounds(magnitude: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return for each row a value that at least `count` entries reach, and few more, (n,).

    From every n-th column, as selecting on whole rows would take longer than the product itself;
    rows where the sample misleads are looked at whole.
    """
    size = magnitude.shape[1]
    if count >= size:
        return np.zeros(len(magnitude), np.float32)
    stride = max(1, size // 4096)
    sample = magnitude[:, ::stride]
    rank = min(sample.shape[1], 2 * count // stride + 16) if stride > 1 else count
    place = sample.shape[1] - rank
    bounds: NDArray[np.float32] = np.partition(sample, place, axis=1)[:, place]
    short = np.count_nonzero(magnitude >= bounds[:, None], axis=1) < count
    if short.any():
        whole = np.partition(magnitude[short], size - count, axis=1)
        bounds[short] = whole[:, size - count]
    return bounds


def multiplications(left: csr_matrix, right: csr_matrix) -> NDArray[np.int64]:
    """Return how many multiplications each row of `left @ right` takes, (n,)."""
    lengths = np.diff(right.indptr).astype(np.int64)[left.indices]
    summed = np.concatenate([[0], np.cumsum(lengths)])
    counts: NDArray[np.int64] = np.diff(summed[left.indptr])
    return counts


def _blocks(left: csr_matrix, right: csr_matrix) -> Iterator[tuple[int, int]]:
    """Yield spans of rows that take about `_BLOCK` multiplications each, one row at least."""
    done = np.cumsum(multiplications(left, right))
    start = 0
    while start < len(done):
        before = int(done[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(done, before + _BLOCK, side="right")))
        yield start, stop
        start = stop


def _rows(block: csr_matrix) -> NDArray[np.int32]:
    return np.repeat(np.arange(block.shape[0], dtype=np.int32), np.diff(block.indptr))


def _largest_of_rows(block: csr_matrix, keep: NDArray[np.bool_], count: int) -> _Rows:
    """Return (entries of each row, columns, values) of the `count` largest kept ones of a row."""
    kept = _counted(keep, block.indptr)
    values, indices = block.data[keep], block.indices[keep]
    chosen = np.ones(len(values), np.bool_)
    for row in np.flatnonzero(np.diff(kept) > count).tolist():
        start, stop = kept[row], kept[row + 1]
        # by value, then column: products come in an order that depends on the factors' storage
        bound = np.partition(values[start:stop], stop - start - count)[stop - start - count]
        above = values[start:stop] >= bound
        over = int(above.sum()) - count
        if over:
            ties = np.flatnonzero(values[start:stop] == bound)
            above[ties[np.argsort(-indices[start:stop][ties])[:over]]] = False
        chosen[start:stop] = above
    lengths = np.diff(_counted(chosen, kept))
    return lengths, indices[chosen], values[chosen].astype(np.float32)


def _stacked(parts: list[_Rows], shape: tuple[int, int]) -> csr_matrix:
    """Return the rows of all parts; the list is emptied, so that little is held twice."""
    if not parts:
        return csr_matrix(shape, dtype=np.float32)
    lengths, indices, values = map(list, zip(*parts, strict=True))
    parts.clear()
    columns = np.concatenate(indices)
    indices.clear()
    data = np.concatenate(values)
    values.clear()
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    return csr_matrix((data, columns, indptr), shape=shape)


def _counted(mask: NDArray[np.bool_], indptr: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return `indptr` of the entries in `mask`."""
    counts = np.zeros(len(indptr), np.int64)
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        counts[filled + 1] = np.add.reduceat(mask, indptr[filled], dtype=np.int64)
    return np.cumsum(counts)
