"""Test questions as arrays: what somebody did before, what came, and queries made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import NOBODY, Query, Rows, Scores

_DAY_S = 86_400.0
# What is left of the newest action's weight below which an older one changes no ranking.
_FAINT = 1e-5


@dataclass(frozen=True, slots=True)
class FoldIn:
    """How a history becomes a query.

    `decay`: factor a step back (a step is a moment: a click, or all of one basket).
    `half_life_days`: by the clock, 0 for never. Both at rest: all that somebody did counts alike.
    """

    decay: float = 1.0
    half_life_days: float = 0.0


@dataclass(frozen=True, slots=True)
class Cases:
    """`n` questions. History of case c: entries `starts[c]:starts[c + 1]`, newest first.

    `items` (h,) int32 rows, `weights` (h,) float32 > 0, `steps` (h,) int32 moments back (0 newest),
    `age_days` (h,) float32 before the question is asked. `truth_starts` (n + 1,) and `truth` (t,)
    int32: the distinct items that came. `n_items`: rows of the catalogue. `ordered`, `timed`:
    whether steps and ages mean something. `situations` (n, 3): device, hour and country of each
    question (`engine.situations`), None where nobody knows any. `users` (n,): whose question each
    is, None where each is another's.
    """

    starts: NDArray[np.int64]
    items: Rows
    weights: Scores
    steps: NDArray[np.int32]
    age_days: Scores
    truth_starts: NDArray[np.int64]
    truth: Rows
    n_items: int
    ordered: bool = True
    timed: bool = False
    situations: NDArray[np.int16] | None = None
    users: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, places: NDArray[np.integer[Any]]) -> "Cases":
        """Return the cases at `places`."""
        history, starts = _gather(self.starts, places)
        came, truth_starts = _gather(self.truth_starts, places)
        return Cases(
            starts,
            self.items[history],
            self.weights[history],
            self.steps[history],
            self.age_days[history],
            truth_starts,
            self.truth[came],
            self.n_items,
            self.ordered,
            self.timed,
            None if self.situations is None else self.situations[places],
            None if self.users is None else self.users[places],
        )

    def whose(self) -> NDArray[np.int64]:
        """Return whose question each is (n,), by any number."""
        return np.arange(len(self)) if self.users is None else self.users

    def owners(self) -> NDArray[np.int64]:
        """Return the case of each entry of `items` (h,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def truth_owners(self) -> NDArray[np.int64]:
        """Return the case of each entry of `truth` (t,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.truth_starts))

    def known(self) -> NDArray[np.int64]:
        """Return the sorted distinct `case * n_items + item` of all histories."""
        return np.unique(self.owners() * self.n_items + self.items)

    def is_repeat(self) -> NDArray[np.bool_]:
        """Return for each entry of `truth` whether the history holds it."""
        return np.isin(self.truth_owners() * self.n_items + self.truth, self.known())

    def asked(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the places of the cases that have a truth in `mask` (t,)."""
        return np.unique(self.truth_owners()[mask])

    def with_truth(self, mask: NDArray[np.bool_]) -> "Cases":
        """Return the cases asked for the truths of `mask` (t,) alone; those left empty drop out."""
        counts = np.bincount(self.truth_owners()[mask], minlength=len(self))
        narrowed = Cases(
            self.starts,
            self.items,
            self.weights,
            self.steps,
            self.age_days,
            _starts(counts),
            self.truth[mask],
            self.n_items,
            self.ordered,
            self.timed,
            self.situations,
            self.users,
        )
        return narrowed.take(np.flatnonzero(counts))

    def queries(self, fold: FoldIn) -> list[Query]:
        """Return one query a case; one without a known item is empty."""
        weights = self.weights.astype(np.float64)
        if fold.decay < 1.0:
            weights = weights * fold.decay**self.steps
        if fold.half_life_days > 0:
            weights = weights * np.exp2(-self.age_days / fold.half_life_days)
        owners = self.owners()
        top = np.zeros(len(self))
        np.maximum.at(top, owners, weights)
        loud = weights > _FAINT * top[owners]
        owners, newest, weights = owners[loud], self.items[loud], weights[loud]
        unique, place = np.unique(owners * self.n_items + newest, return_inverse=True)
        summed = np.bincount(place, weights, minlength=len(unique)).astype(np.float32)
        rows = (unique % max(self.n_items, 1)).astype(np.int32)
        edges = np.arange(len(self) + 1)
        bounds = np.searchsorted(unique, edges * self.n_items).tolist()
        spans = np.searchsorted(owners, edges).tolist()
        ages = self.age_days[loud]
        return [
            Query(
                rows[bounds[case] : bounds[case + 1]],
                summed[bounds[case] : bounds[case + 1]],
                newest[spans[case] : spans[case + 1]] if self.ordered else NOBODY.newest,
                ages[spans[case] : spans[case + 1]] if self.timed else NOBODY.ages_days,
            )
            for case in range(len(self))
        ]


def build(
    histories: Sequence[tuple[Rows, Scores, NDArray[np.float64]]],
    truths: Sequence[Rows],
    *,
    as_of_s: float,
    n_items: int,
    ordered: bool,
    timed: bool,
    users: NDArray[np.int64] | None = None,
) -> Cases:
    """Return the cases of histories, each (items, weights, at_s) oldest first, and their truths.

    Without an order all steps are 0, without times (`at_s` of a clock) all ages.
    """
    lengths = np.array([len(items) for items, _, _ in histories], np.int64)
    items = _joined([one[0][::-1] for one in histories], np.int32)
    weights = _joined([one[1][::-1] for one in histories], np.float32)
    at_s = _joined([one[2][::-1] for one in histories], np.float64)
    starts = _starts(lengths)
    return Cases(
        starts,
        items,
        weights,
        _steps(at_s, starts) if ordered else np.zeros(len(at_s), np.int32),
        _ages(at_s, as_of_s) if timed else np.zeros(len(at_s), np.float32),
        _starts(np.array([len(one) for one in truths], np.int64)),
        _joined(truths, np.int32),
        n_items,
        ordered,
        timed,
        users=users,
    )


def _ages(at_s: NDArray[np.float64], as_of_s: float) -> Scores:
    return (np.maximum(as_of_s - at_s, 0.0) / _DAY_S).astype(np.float32)


def _steps(at_s: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return how many moments each entry lies before its case's newest."""
    if not len(at_s):
        return np.zeros(0, np.int32)
    fresh = np.empty(len(at_s), np.int64)
    fresh[0] = 0
    fresh[1:] = at_s[1:] != at_s[:-1]
    heads = starts[:-1][np.diff(starts) > 0]
    fresh[heads] = 0
    total = np.cumsum(fresh)
    return (total - np.repeat(total[heads], np.diff(starts)[np.diff(starts) > 0])).astype(np.int32)


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _joined(parts: Sequence[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([*parts, np.zeros(0, dtype)]).astype(dtype)


def _gather(
    starts: NDArray[np.int64], places: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the entries of the spans at `places`, one span after the other, and their starts."""
    lengths = np.diff(starts)[places]
    fresh = _starts(lengths)
    offsets = np.repeat(starts[:-1][places] - fresh[:-1], lengths)
    return np.arange(fresh[-1]) + offsets, fresh


def halves(users: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which cases (n,) are of the first half: whole users, in twenty blocks by turns."""
    _, first, whose = np.unique(users, return_index=True, return_inverse=True)
    halved: NDArray[np.bool_] = first[whose] // max(1, len(users) // 20) % 2 == 0
    return halved


def chunks(count: int, size: int) -> Iterator[slice]:
    """Yield slices that cover `count` entries in parts of at most `size`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
