"""Several sources as one ranking, and the weights learned on a validation part.

A source's scores are divided by its highest of the query, so that a weight means the same for all.
Weights are few and coarse on purpose: what a validation part can tell apart is little, and the
test may lean another way.

References
----------
Caruana et al., "Ensemble selection from libraries of models", ICML 2004, section 2.1 (greedy
forward selection); the gain is verified on cases that it was not learned from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import EMPTY, Ranked, Rows, Scores
from recommender.engine.cases import Cases, FoldIn, halves
from recommender.engine.lists import Lists
from recommender.engine.measures import standard_error

# Weights that a further source may come with, against 1 of the first.
STEPS = (0.1, 0.25, 0.5, 1.0, 2.0)
MOST = 5
# One-sided 95 %: what a gain must be in its own standard errors.
SURE = 1.645
# Below the weight of any source that was chosen: fills lists, decides nothing.
FLOOR = 1e-3
# Nothing is divided by less.
_TINY = float(np.finfo(np.float32).tiny)
# NDCG counts the first 20.
CUT = 20


class Blended(NamedTuple):
    """A ranking of several sources: item rows, best first, scores, and who spoke most for each.

    `sources` (n,) int32: place of the part that added most to the item's score.
    """

    rows: Rows
    scores: Scores
    sources: Rows

    @property
    def ranked(self) -> Ranked:
        """Return rows and scores."""
        return Ranked(self.rows, self.scores)


@dataclass(frozen=True, slots=True)
class Blend:
    """Sources (recipe name, weight > 0), strongest first, and how each is asked.

    `folds` by recipe name: how a history becomes its query, as evaluation has found; one without is
    asked as serving does. What training makes has none.
    """

    sources: tuple[tuple[str, float], ...]
    folds: Mapping[str, FoldIn] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the sources, and the folds where there are any, for a manifest."""
        found: dict[str, Any] = {"sources": [[name, weight] for name, weight in self.sources]}
        folds = {
            name: {"decay": fold.decay, "half_life_days": fold.half_life_days}
            for name, fold in self.folds.items()
        }
        return found | ({"folds": folds} if folds else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the blend that `to_json` described.

        Raises
        ------
        ValueError
            A weight is not above 0, or there is no source.
        """
        sources = tuple((str(name), float(weight)) for name, weight in data["sources"])
        if not sources or not all(0 < weight < np.inf for _, weight in sources):
            msg = "a blend needs sources with weights above 0"
            raise ValueError(msg)
        folds = {name: FoldIn(**fold) for name, fold in data.get("folds", {}).items()}
        return cls(sources, folds)


def combine(parts: Sequence[Ranked], weights: Sequence[float], n_items: int) -> Blended:
    """Return the weighted sum of the parts, each divided by its highest score; ties by row.

    An item that a part does not list gets nothing from it. Rows must lie in [0, n_items).
    """
    used = [
        (place, part, weight)
        for place, (part, weight) in enumerate(zip(parts, weights, strict=True))
        if weight > 0 and len(part.rows)
    ]
    if not used:
        return Blended(*EMPTY, EMPTY.rows)
    if len(used) == 1:
        # a part lists each item once: there is nothing to add up
        spoke, part, weight = used[0]
        _check_rows(part.rows, n_items)
        shares = _share(part.scores, weight)
        order = np.lexsort((part.rows, -shares))
        rows = part.rows.take(order).astype(np.int32, copy=False)
        return Blended(rows, shares.take(order), np.full(len(rows), spoke, np.int32))
    rows = np.concatenate([part.rows for _, part, _ in used])
    _check_rows(rows, n_items)
    shares = np.concatenate([_share(part.scores, weight) for _, part, weight in used])
    origin = np.repeat([place for place, _, _ in used], [len(part.rows) for _, part, _ in used])
    unique, place = np.unique(rows, return_inverse=True)
    total = np.zeros(len(unique), np.float32)
    np.add.at(total, place, shares)
    # the last write of an index wins: largest share last, of equal ones the earlier part
    by_share = np.lexsort((-origin, shares))
    loudest = np.zeros(len(unique), np.int32)
    loudest[place[by_share]] = origin[by_share]
    order = np.lexsort((unique, -total))
    return Blended(unique[order].astype(np.int32), total[order], loudest[order])


def _check_rows(rows: Rows, n_items: int) -> None:
    if int(rows.min()) < 0 or int(rows.max()) >= n_items:
        msg = f"rows of a part must lie in [0, {n_items})"
        raise ValueError(msg)


def _share(scores: Scores, weight: float) -> Scores:
    share: Scores = scores / np.float32(max(float(scores.max()), _TINY))
    if weight != 1:
        share *= np.float32(weight)
    return share


@dataclass(frozen=True, slots=True)
class Board:
    """Candidates of all sources for each validation case, so that a blend is one product.

    `scores` (m, n, width) float32, each source's divided by its highest of the case, 0 where it
    says nothing; `truth_case` and `truth_place` (t,): the truths that are among the candidates;
    `relevant` (n,): how many truths a case has, found or not; `users` (n,): whose it is.
    """

    scores: NDArray[np.float32]
    truth_case: NDArray[np.int64]
    truth_place: NDArray[np.int64]
    relevant: NDArray[np.int64]
    users: NDArray[np.int64]

    def take(self, mask: NDArray[np.bool_]) -> "Board":
        """Return the board of the cases of `mask` (n,)."""
        fresh = np.cumsum(mask) - 1
        kept = mask[self.truth_case]
        return Board(
            self.scores[:, mask],
            fresh[self.truth_case[kept]],
            self.truth_place[kept],
            self.relevant[mask],
            self.users[mask],
        )

    def ndcg(self, total: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return NDCG@20 of each case (n,) for blended scores `total` (n, width)."""
        own = total[self.truth_case, self.truth_place]
        above = (total[self.truth_case] > own[:, None]).sum(axis=1)
        counts = (above < CUT) & (own > 0)
        gains = np.bincount(
            self.truth_case[counts], 1.0 / np.log2(above[counts] + 2), minlength=len(self.relevant)
        )
        ideal = np.concatenate([[1.0], np.cumsum(1.0 / np.log2(np.arange(2, CUT + 2)))])
        # two truths of equal score count the same rank; a rounding above 1 is cut
        values: NDArray[np.float64] = np.minimum(gains / ideal[np.minimum(self.relevant, CUT)], 1.0)
        return values

    def blended(self, weights: Sequence[float]) -> NDArray[np.float64]:
        """Return NDCG@20 of each case (n,) for weights (m,)."""
        return self.ndcg(np.tensordot(np.asarray(weights, np.float32), self.scores, axes=1))


def board(parts: Sequence[Lists], cases: Cases, depth: int = 100) -> Board:
    """Return the board of the first `depth` of each source's lists (all of the same cases)."""
    n = len(cases)
    offset = np.arange(n)[:, None] * cases.n_items
    heads = [part.head(depth) for part in parts]
    keys = [np.where(head.rows >= 0, offset + head.rows, -1) for head in heads]
    unique = np.unique(np.concatenate([key.ravel() for key in keys]))
    unique = unique[unique >= 0]
    bounds = np.searchsorted(unique, np.arange(n + 1) * cases.n_items)
    width = max((stop - start for start, stop in pairwise(bounds.tolist())), default=0) or 1
    scores = np.zeros((len(parts), n, width), np.float32)
    for source, (head, key) in enumerate(zip(heads, keys, strict=True)):
        case, place = np.nonzero(head.rows >= 0)
        column = np.searchsorted(unique, key[case, place]) - bounds[case]
        scores[source, case, column] = head.shares()[case, place]
    owners = cases.truth_owners()
    wanted = owners * cases.n_items + cases.truth
    at = np.minimum(np.searchsorted(unique, wanted), max(len(unique) - 1, 0))
    found = unique[at] == wanted if len(unique) else np.zeros(len(wanted), np.bool_)
    return Board(
        scores,
        owners[found],
        (at - bounds[owners])[found],
        np.diff(cases.truth_starts),
        cases.whose(),
    )


def learn(given: Board, *, single: int | None = None) -> tuple[float, ...]:
    """Return weights (m,) of the sources, the strongest 1; most of them 0.

    Greedy on each half of the cases, verified on the other: where the blends do not beat the best
    single source by more than noise, the single source stays. Else learned again on all. `single`:
    the best single source, None to find it.
    """
    m, n = given.scores.shape[0], given.scores.shape[1]
    best = _best_single(given) if single is None else single
    alone = tuple(float(place == best) for place in range(m))
    if m < 2 or n < 2:  # noqa: PLR2004 -- nothing to blend, nothing to verify on
        return alone
    half, gain = halves(given.users), np.zeros(n)
    for learned, asked in ((half, ~half), (~half, half)):
        weights, held = _greedy(given.take(learned), best), given.take(asked)
        gain[asked] = held.blended(weights) - held.blended(alone)
    return _greedy(given, best) if is_gain(gain, given.users) else alone


def is_gain(differences: NDArray[np.float64], users: NDArray[np.int64], sure: float = SURE) -> bool:
    """Whether paired differences (n,) of users (n,) are above 0 by `sure` standard errors."""
    least = max(sure * standard_error(differences, users), 1e-9)
    return bool(len(differences) and differences.mean() > least)


def _best_single(given: Board) -> int:
    return int(np.argmax([given.ndcg(part).mean() for part in given.scores]))


def _greedy(given: Board, first: int) -> tuple[float, ...]:
    """Return weights grown from `first`, one source and step at a time while that is no noise."""
    m = given.scores.shape[0]
    weights = [float(place == first) for place in range(m)]
    total = given.scores[first].copy()
    values = given.ndcg(total)
    while sum(weight > 0 for weight in weights) < MOST:
        tried = [
            (given.ndcg(total + np.float32(step) * given.scores[place]), place, step)
            for place in range(m)
            if weights[place] == 0
            for step in STEPS
        ]
        if not tried:
            break
        found, place, step = max(tried, key=lambda one: float(one[0].mean()))
        if not is_gain(found - values, given.users):
            break
        weights[place] = step
        total, values = total + np.float32(step) * given.scores[place], found
    return _refined(given, weights, total, values)


def _refined(
    given: Board, weights: list[float], total: NDArray[np.float32], values: NDArray[np.float64]
) -> tuple[float, ...]:
    """Return the weights after one round of halving and doubling each, where that is no noise."""
    for place in [place for place, weight in enumerate(weights) if weight > 0]:
        for factor in (0.5, 2.0):
            change = np.float32(weights[place] * (factor - 1))
            moved = total + change * given.scores[place]
            found = given.ndcg(moved)
            if is_gain(found - values, given.users):
                weights[place] *= factor
                total, values = moved, found
    top = max(weights)
    return tuple(weight / top for weight in weights)
