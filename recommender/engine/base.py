"""The contract of every algorithm: fit on interactions, answer for a folded-in query.

Rows of items are positions in the model's own item table; `lib.artifacts` and `loaded` keep that
table beside the arrays. -1 stands for an item that the model does not know and is normal input.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Scores = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]


# Up to here plain Python folds faster than a dozen calls of NumPy; a visitor brings up to 100.
_FEW = 128


_NO_ROWS: Rows = np.zeros(0, np.int32)
_NO_SCORES: Scores = np.zeros(0, np.float32)


class Query(NamedTuple):
    """What one visitor did, folded in: known item rows, each once, and their weights, all > 0.

    `newest`: the same actions newest first, an item as often as it occurred; empty where nobody
    knows the order. `ages_days`: parallel to it, empty where nobody knows the times. `group`: row
    of the visitor's segment or country in the model's own table, -1 for none.
    """

    rows: Rows
    weights: Scores
    newest: Rows = _NO_ROWS
    ages_days: Scores = _NO_SCORES
    group: int = -1


class Cost(NamedTuple):
    """What a fit takes on one core of today, estimated: seconds, and bytes at the peak."""

    seconds: float
    bytes: float


class TooDearError(ValueError):
    """A fit would take more than is allowed; the message has the estimate."""


class Ranked(NamedTuple):
    """The answer: item rows, best first, and their finite scores, both (n,)."""

    rows: Rows
    scores: Scores


@dataclass(frozen=True, slots=True)
class Interactions:
    """Training data: one interaction an entry of four parallel arrays.

    `users` and `items` int32 rows below `n_users` and `n_items`; `weights` float32 > 0; `at_s`
    float64 seconds since the epoch. Any order; one pair may occur many times.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]
    at_s: NDArray[np.float64]
    n_users: int
    n_items: int

    def __post_init__(self) -> None:
        """Refuse what implicit would read out of bounds or fit silently (NaN, explicit zeros)."""
        lengths = {len(self.users), len(self.items), len(self.weights), len(self.at_s)}
        if len(lengths) != 1:
            msg = f"interaction arrays differ in length: {sorted(lengths)}"
            raise ValueError(msg)
        for name, rows, limit in (
            ("users", self.users, self.n_users),
            ("items", self.items, self.n_items),
        ):
            if len(rows) and (rows.min() < 0 or rows.max() >= limit):
                msg = f"{name} must lie in [0, {limit})"
                raise ValueError(msg)
        if not (np.isfinite(self.weights).all() and (self.weights > 0).all()):
            msg = "weights must be finite and above 0"
            raise ValueError(msg)
        if not np.isfinite(self.at_s).all():
            msg = "times must be finite"
            raise ValueError(msg)

    def __len__(self) -> int:
        return len(self.users)

    def where(self, mask: NDArray[np.bool_]) -> "Interactions":
        """Return the interactions of `mask` (len(self),); rows keep their meaning."""
        return Interactions(
            self.users[mask],
            self.items[mask],
            self.weights[mask],
            self.at_s[mask],
            self.n_users,
            self.n_items,
        )


@dataclass(frozen=True, slots=True)
class SideInfo:
    """What is known beside the interactions; each sequence by row, or empty where nothing is.

    Of items: `attributes` ("brand=acme"), `categories` (paths, "shoes/running"), `texts`, `prices`
    (float64, nan unknown). Of users: `groups`, the segments and countries that each belongs to.
    """

    attributes: Sequence[Sequence[str]] = ()
    categories: Sequence[Sequence[str]] = ()
    texts: Sequence[str] = ()
    prices: NDArray[np.float64] | None = None
    groups: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Base of the frozen dataclasses that configure an algorithm; all fields are plain JSON."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields, for the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build from stored fields; one that this version does not know raises TypeError."""
        return cls(**data)


class Algorithm(ABC):
    """A fitted model. `fit` and `from_arrays` make new ones; nothing changes one afterwards."""

    key: ClassVar[str]
    config_type: ClassVar[type[Config]]
    # Whether it ranks what the visitor met before, and nothing else (buy again, recently viewed).
    own_only: ClassVar[bool] = False
    n_items: int

    @classmethod
    @abstractmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return a model of `data`, deterministic for equal input; `as_of_s` is "now" for decays.

        No interaction, one user or one item gives a model that answers little or nothing.
        """

    @classmethod
    @abstractmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return what `fit` takes for `nnz` interactions, roughly: for refusing what is too dear.

        Items that nobody met are not worth counting in `n_items`.
        """

    @abstractmethod
    def score(self, query: Query) -> Scores:
        """Return the score of every item, (n_items,) float32, 0 where there is nothing to say."""

    def score_many(self, queries: Sequence[Query]) -> Scores:
        """Return `score` of each query, (n, n_items) float32; the caller keeps n small."""
        scores = np.zeros((len(queries), self.n_items), np.float32)
        for place, query in enumerate(queries):
            scores[place] = self.score(query)
        return scores

    def recommend(
        self,
        query: Query,
        count: int,
        *,
        allowed: NDArray[np.bool_] | None = None,
        own: bool = False,
    ) -> Ranked:
        """Return up to `count` items for the query: each once, never padded, best first.

        Parameters
        ----------
        allowed
            (n_items,) bool; items that may come back. None: all.
        own
            Whether items of the query itself may come back.
        """
        if count <= 0:
            return EMPTY
        scores = self.score(query)
        if not own:
            scores[query.rows] = 0
        if allowed is not None:
            scores *= allowed
        # one pass instead of a gather of all that scores: half a catalogue does
        least = np.partition(scores, -count)[-count] if count < len(scores) else 0
        rows = np.flatnonzero(scores >= least if least > 0 else scores > 0).astype(np.int32)
        return best(rows, scores[rows], count)

    def reasons(self, query: Query, rows: Rows) -> Rows:
        """Return, for each of `rows`, the query's item that speaks most for it, -1 for none."""
        return np.full(len(rows), -1, np.int32)

    @abstractmethod
    def to_arrays(self) -> Arrays:
        """Return all fitted state."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: Config) -> Self:
        """Return the model that `to_arrays` described, without copying the arrays.

        Raises
        ------
        ValueError
            The arrays do not fit together.
        """

    def fold_in(
        self,
        rows: NDArray[np.integer[Any]],
        weights: NDArray[np.floating[Any]],
        ages_days: NDArray[np.floating[Any]] | None = None,
        *,
        group: int = -1,
    ) -> Query:
        """Return the query of a visitor who met items `rows`, newest first, with `weights`.

        Unknown items (-1 or beyond the model) and weights that are not above 0 drop out; weights of
        an item that occurs twice add up. `ages_days`: how long ago, same length. O(len log len).
        """
        rows = np.asarray(rows, np.int64)
        weights = np.asarray(weights, np.float32)
        if ages_days is None and len(rows) <= _FEW:
            return _folded(rows, weights, self.n_items, group)
        keep = (rows >= 0) & (rows < self.n_items) & np.isfinite(weights) & (weights > 0)
        newest = rows[keep]
        unique, place = np.unique(newest, return_inverse=True)
        summed = np.bincount(place, weights[keep], minlength=len(unique))
        ages = _NO_SCORES if ages_days is None else np.asarray(ages_days, np.float32)[keep]
        return Query(
            unique.astype(np.int32),
            summed.astype(np.float32),
            newest.astype(np.int32),
            ages,
            group,
        )


def _folded(
    rows: NDArray[np.integer[Any]], weights: NDArray[np.floating[Any]], n_items: int, group: int
) -> Query:
    """Return what `fold_in` promises, item by item; sums are double precision as `bincount`'s."""
    summed: dict[int, float] = {}
    newest = []
    for row, weight in zip(rows.tolist(), weights.tolist(), strict=True):
        if 0 <= row < n_items and 0 < weight < math.inf:
            summed[row] = summed.get(row, 0.0) + weight
            newest.append(row)
    known = sorted(summed)
    return Query(
        np.array(known, np.int32),
        np.array([summed[row] for row in known], np.float32),
        np.array(newest, np.int32),
        group=group,
    )


EMPTY = Ranked(np.zeros(0, np.int32), np.zeros(0, np.float32))
NOBODY = Query(_NO_ROWS, _NO_SCORES)


def newest_once(query: Query, decay: float) -> tuple[Rows, Scores]:
    """Return (item rows, each once, newest first; decay**n for the n-th of the query's actions).

    Where nobody knows the order, the heaviest counts as the newest.
    """
    newest = query.newest
    if not len(newest):
        newest = query.rows[np.argsort(-query.weights, kind="stable")]
    _, first = np.unique(newest, return_index=True)
    first.sort()
    return newest[first], np.power(np.float32(decay), first.astype(np.float32))


def best(rows: Rows, scores: Scores, count: int) -> Ranked:
    """Return the `count` of `rows` (each once) with the highest scores; ties by row."""
    if count <= 0 or not len(rows):
        return EMPTY
    if count < len(rows):
        keep = scores >= np.partition(scores, len(scores) - count)[len(scores) - count]
        rows, scores = rows[keep], scores[keep]
    order = np.lexsort((rows, -scores))[:count]
    return Ranked(rows.take(order), scores.take(order))


def isin_few(rows: NDArray[np.integer[Any]], few: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Return which of `rows` (n,) are one of `few`, as `np.isin` at a fifth of its cost for few."""
    ordered = np.sort(few)
    at = np.minimum(ordered.searchsorted(rows), max(len(ordered) - 1, 0))
    return ordered[at] == rows if len(ordered) else np.zeros(len(rows), np.bool_)


def walk(
    order: Rows, scores: Scores, count: int, *, allowed: NDArray[np.bool_] | None, drop: Rows
) -> Ranked:
    """Return the first `count` entries of a ranking that are allowed and not in `drop`.

    `order` item rows best first, `scores` parallel to it. Looks at a prefix, and where that holds
    too few at twice as much as its share of what is wanted asks for: the usual case touches some
    dozens of items of a million.
    """
    if count <= 0:
        return EMPTY
    length = min(len(order), count + len(drop) + 32)
    while True:
        head = order[:length]
        keep = np.ones(length, np.bool_) if allowed is None else allowed[head]
        if len(drop):
            keep = keep & ~isin_few(head, drop)
        places = np.flatnonzero(keep)
        if len(places) >= count or length == len(order):
            places = places[:count]
            return Ranked(head[places], scores[places])
        length = min(len(order), length * (2 * count // max(len(places), 1)))
