"""Factor models: an item is a short vector, a visitor the vector that explains what they did.

One stored form and one scorer for ALS, SVD, BPR and the hybrid. A visitor is folded in exactly: the
same least squares that training solves for a user, on the query's items alone.

References
----------
Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008,
equation 4 (fold-in) and section 5 (what each item of the past adds to a score). Hager, "Updating
the inverse of a matrix", SIAM Review 1989, equation 2 (few items: a system of their size). Bachrach
et al., "Speeding up the Xbox recommender system using a Euclidean transformation for inner-product
spaces", RecSys 2014, section 3.2 (turned to principal directions, the first tell most).
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from recommender.engine.base import (
    Algorithm,
    Arrays,
    Config,
    Interactions,
    Query,
    Ranked,
    Rows,
    Scores,
    SideInfo,
    best,
)
from recommender.engine.matrix import MatrixConfig

# Numbers of all vectors of a catalogue: 51 MB.
READ = 12_800_000
_LEAST, _MOST = 16, 256
# From so many on an answer reads half of each vector, at most 96 numbers, and the whole only of the
# items that then look best: the more of a thousand and one in forty. Of the best 20 of Gowalla
# (41,000 items) 95 to 99 of 100 are found so, by ALS, SVD and BPR of 16 to 256 factors.
HEADED = 2_000_000
_MOST_HEAD, _LOOKED_AT, _LOOKED_SHARE = 96, 1000, 1 / 40


@dataclass(frozen=True, slots=True)
class FactorsConfig(MatrixConfig):
    """`factors` of an item, 0: by the size of the data. `num_threads`: 1 where others fork."""

    factors: int = 0
    seed: int = 42
    num_threads: int = 1


class Folding(NamedTuple):
    """How a visitor's vector is found: (gram + ridge + sum of (c - 1) y y') v = sum of c y.

    c is `confidence` times the weight of an item. With `ridge` 0 nothing is solved: the vector is
    the weighted mean of y, times `gram`.
    """

    gram: NDArray[np.float32]
    ridge: float
    confidence: float


class Factors(Algorithm):
    """`items` (n_items, k) float32, `bias` (n_items,), `gram` (k, k), `fold` (2,): ridge, alpha.

    A large model is stored turned, so that the first of its k directions tell most, and these once
    more beside the whole: `head` (n_items, h).
    """

    def __init__(
        self,
        items: NDArray[np.float32],
        bias: NDArray[np.float32],
        folding: Folding,
        head: NDArray[np.float32] | None = None,
    ) -> None:
        self._items = items
        self._bias = bias
        self._folding = folding
        self._head = head
        self._inverse: NDArray[np.float64] | None = None
        if folding.ridge:
            self._inverse = linalg.inv(_ridged(folding), check_finite=False)
        self.n_items = len(items)

    @property
    def searches(self) -> bool:
        """Whether answers look at part of the items alone, and so may miss one of the best."""
        return self._head is not None

    def score(self, query: Query) -> Scores:
        """Return the product of the visitor's vector with each item's; zeros without a query."""
        scores: Scores = self.score_many([query])[0]
        return scores

    def score_many(self, queries: Sequence[Query]) -> Scores:
        """Return one dense product for all."""
        vectors = np.zeros((len(queries), self._items.shape[1]), np.float32)
        for place, query in enumerate(queries):
            vectors[place] = self.vector(query)
        scores = self._told(vectors @ self._items.T + self._bias)
        # a visitor of whom nothing is known gets no answer, not everybody's
        scores[[not len(query.rows) for query in queries]] = 0
        return scores

    def recommend(
        self,
        query: Query,
        count: int,
        *,
        allowed: NDArray[np.bool_] | None = None,
        own: bool = False,
    ) -> Ranked:
        """Return what the contract asks; of a large model, the best of those that look best."""
        if self._head is None or not len(query.rows):
            return super().recommend(query, count, allowed=allowed, own=own)
        many = max(_LOOKED_AT, int(self.n_items * _LOOKED_SHARE), count)
        vector = self.vector(query)
        may = np.ones(self.n_items, np.bool_) if allowed is None else allowed.copy()
        if not own:
            may[query.rows] = False
        if np.count_nonzero(may) <= many:
            rows = np.flatnonzero(may)
        else:
            rough = self._head @ vector[: self._head.shape[1]] + self._bias
            np.putmask(rough, ~may, -np.inf)
            rows = np.argpartition(rough, -many)[-many:]
        scores = self._told(self._items[rows] @ vector + self._bias[rows])
        spoke = scores > 0
        return best(rows[spoke].astype(np.int32), scores[spoke], count)

    def vector(self, query: Query) -> NDArray[np.float32]:
        """Return the vector of a visitor, (k,)."""
        weights = self._weights(query)
        vector: NDArray[np.float32] = (self._influence(query, weights) @ weights).astype(np.float32)
        return vector

    def reasons(self, query: Query, rows: Rows) -> Rows:
        """Return the item of the query that adds most to the score of each of `rows`."""
        causes = np.full(len(rows), -1, np.int32)
        if not len(query.rows) or not len(rows):
            return causes
        weights = self._weights(query)
        shares = (self._items[rows] @ self._influence(query, weights)) * weights
        told = shares.max(axis=1) > 0
        causes[told] = query.rows[shares.argmax(axis=1)[told]]
        return causes

    def to_arrays(self) -> Arrays:
        """Return vectors and what folding needs."""
        items, gram, fold = self._items, self._folding.gram, self._folding[1:]
        found: Arrays = {"bias": self._bias, "fold": np.array(fold, np.float64)}
        if self._head is not None:
            found["head"] = self._head
        elif items.size >= HEADED:
            # the same model seen from other axes: products of vectors stay what they are
            _, turn = linalg.eigh((items.T @ items).astype(np.float64))
            turn = turn[:, ::-1].astype(np.float32)
            items, gram = items @ turn, turn.T @ gram @ turn
            width = min((items.shape[1] + 1) // 2, _MOST_HEAD)
            found["head"] = np.ascontiguousarray(items[:, :width])
        return found | {"items": items, "gram": gram}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: Config) -> Self:
        """Return the stored model, reading the arrays in place."""
        items, bias, gram, fold = (arrays[name] for name in ("items", "bias", "gram", "fold"))
        width = items.shape[1] if items.ndim == 2 else -1  # noqa: PLR2004 -- a matrix
        head = arrays.get("head")
        lengths = {len(items), len(bias), len(items if head is None else head)}
        if (lengths, gram.shape, fold.shape) != ({len(items)}, (width, width), (2,)):
            msg = f"{cls.key} arrays do not fit together"
            raise ValueError(msg)
        return cls(items, bias, Folding(gram, float(fold[0]), float(fold[1])), head)

    def _told(self, products: Scores) -> Scores:
        """Return scores, 0 for nothing to say, of what vectors and biases add up to."""
        return products

    def _weights(self, query: Query) -> Scores:
        """Return what each item of the query counts, (m,)."""
        if self._inverse is None:
            return query.weights / np.float32(max(query.weights.sum(), 1e-9))
        return query.weights * np.float32(self._folding.confidence)

    def _influence(self, query: Query, weights: Scores) -> NDArray[np.float64]:
        """Return the visitor's vector as a map of `weights` (m,), (k, m): a column an item."""
        own = self._items[query.rows].astype(np.float64)
        if self._inverse is None:
            return self._folding.gram.T @ own.T
        more = weights.astype(np.float64) - 1
        if len(own) < len(self._inverse):
            # what the items change has their number as its rank
            spread = self._inverse @ own.T
            small = (own @ spread) * more
            small[np.diag_indices_from(small)] += 1
            found: NDArray[np.float64] = linalg.solve(small, spread.T, check_finite=False).T
            return found
        normal = _ridged(self._folding) + own.T @ (own * more[:, None])
        factor = linalg.cho_factor(normal, lower=True, overwrite_a=True, check_finite=False)
        solved: NDArray[np.float64] = linalg.cho_solve(factor, own.T, check_finite=False)
        return solved


def _ridged(folding: Folding) -> NDArray[np.float64]:
    """Return gram + ridge * I."""
    matrix = folding.gram.astype(np.float64)
    matrix[np.diag_indices_from(matrix)] += folding.ridge
    return matrix


Made = Callable[[], Factors]
Look = Callable[[int, Made], None]


class InPasses(Factors):
    """Factors learned in passes over the data, between which somebody may look."""

    @classmethod
    @abstractmethod
    def learn(
        cls,
        data: Interactions,
        config: Config,
        *,
        as_of_s: float,
        side: SideInfo | None = None,
        look: Look | None = None,
    ) -> Self:
        """Return the model as `fit` does.

        `look`: called after each pass with how many there were, and what makes a model of them.
        """

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model; an item that nobody met gets no score."""
        return cls.learn(data, config, as_of_s=as_of_s, side=side)


def plain(
    items: NDArray[np.float32], bias: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32], Folding]:
    """Return the arguments of a model whose visitors are means of their items."""
    width = items.shape[1]
    bias = np.zeros(len(items), np.float32) if bias is None else bias
    return items, bias, Folding(np.eye(width, dtype=np.float32), 0.0, 1.0)


def sized(factors: int, n_users: int, n_items: int, nnz: int) -> int:
    """Return the number of factors: as configured, else by the data, 16 to 256.

    The more interactions there are, the more directions can be told apart: 128 beat 64 at 0.2
    million of them on two data sets, 512 beat 128 at 0.8 million, at ten times the cost. An answer
    reads every vector, so large catalogues get shorter ones.
    """
    most = max(1, min(n_users, n_items) - 1)
    auto = int(np.clip(2 ** np.round(np.log2(max(nnz, 1) / 1500)), _LEAST, _MOST))
    while auto > _LEAST and auto * n_items > READ:
        auto //= 2
    return min(factors or auto, most)
