"""Ranked lists of many cases at once: the whole catalogue scored in chunks, the best kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine import base
from recommender.engine.base import Algorithm, Rows, Scores
from recommender.engine.cases import Cases, FoldIn, chunks

# Scores of one chunk, float32: with the copy that the selection makes 128 MB.
_CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Lists:
    """`rows` (n, count) int32, best first, -1 behind the last; `scores` (n, count) float32, > 0."""

    rows: Rows
    scores: Scores

    def __len__(self) -> int:
        return len(self.rows)

    def head(self, count: int) -> "Lists":
        """Return the first `count` of each list."""
        return Lists(self.rows[:, :count], self.scores[:, :count])

    def take(self, places: NDArray[np.integer[Any]] | NDArray[np.bool_] | slice) -> "Lists":
        """Return the lists at `places`."""
        return Lists(self.rows[places], self.scores[places])

    def shares(self) -> Scores:
        """Return scores as shares of each list's highest, (n, count)."""
        top = np.maximum(self.scores[:, :1], np.finfo(np.float32).tiny)
        shares: Scores = (self.scores / top).astype(np.float32, copy=False)
        return shares


def rank(
    model: Algorithm, cases: Cases, fold: FoldIn, *, count: int, own: bool
) -> tuple[Lists, Lists]:
    """Return the model's best `count` items of each case: all, and those not in its history.

    What scores 0 or less is in no list. `own`: whether items of the history may be in the first;
    where not, both are one.
    """
    every, fresh = _empty(len(cases), count), _empty(len(cases), count)
    for span, part, scores in _scored(model, cases, fold):
        if own:
            _put(every, span, best(scores, count))
        scores[part.owners(), part.items] = 0
        _put(fresh, span, best(scores, count))
    return (every if own else fresh), fresh


def first(model: Algorithm, cases: Cases, fold: FoldIn, *, count: int, own: bool) -> Lists:
    """Return the first of the two that `rank` returns."""
    found = _empty(len(cases), count)
    for span, part, scores in _scored(model, cases, fold):
        if not own:
            scores[part.owners(), part.items] = 0
        _put(found, span, best(scores, count))
    return found


def _scored(model: Algorithm, cases: Cases, fold: FoldIn) -> Iterator[tuple[slice, Cases, Scores]]:
    size = max(1, _CHUNK_BYTES // (4 * max(cases.n_items, 1)))
    for span in chunks(len(cases), size):
        part = cases.take(np.arange(span.start, span.stop))
        yield span, part, model.score_many(part.queries(fold))


def _empty(n: int, count: int) -> Lists:
    return Lists(np.full((n, count), -1, np.int32), np.zeros((n, count), np.float32))


def _put(found: Lists, span: slice, top: Lists) -> None:
    width = top.rows.shape[1]
    found.rows[span, :width], found.scores[span, :width] = top.rows, top.scores


def best(scores: Scores, count: int) -> Lists:
    """Return the highest `count` of each row of `scores` (n, n_items) above 0; ties by item row.

    Row by row: most scores are 0, and a partition of all of them at once takes ten times as long.
    """
    found = _empty(len(scores), min(count, scores.shape[1]))
    for place, row in enumerate(scores):
        said = np.flatnonzero(row > 0).astype(np.int32)
        top = base.best(said, row[said], count)
        found.rows[place, : len(top.rows)] = top.rows
        found.scores[place, : len(top.rows)] = top.scores
    return found


def blend(parts: Sequence[Lists], weights: Sequence[float], n_items: int, *, count: int) -> Lists:
    """Return what `blend.combine` gives for each case, all at once."""
    n = len(parts[0])
    found = _empty(n, count)
    size = max(1, _CHUNK_BYTES // (4 * max(n_items, 1)))
    for span in chunks(n, size):
        total = np.zeros((span.stop - span.start, n_items), np.float32)
        for part, weight in zip(parts, weights, strict=True):
            if weight > 0:
                _add(total, part.take(span), weight)
        _put(found, span, best(total, count))
    return found


def _add(total: Scores, part: Lists, weight: float) -> None:
    """Add a source's lists to the totals, each case's scores divided by its highest."""
    case, place = np.nonzero(part.rows >= 0)
    # an item occurs once in a list, so that plain indexing adds it once
    total[case, part.rows[case, place]] += np.float32(weight) * part.shares()[case, place]
