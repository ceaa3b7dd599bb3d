"""Boosted trees as plain arrays: learned by scikit-learn, scored for a page in NumPy alone.

No pickle is stored, and no scikit-learn is loaded to serve.

References
----------
Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 2001,
section 4.5 (logistic loss). Lucchese et al., "QuickScorer: a fast algorithm to rank documents with
additive ensembles of regression trees", SIGIR 2015, section 3 (which leaves are left, as bits).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recommender.engine.cases import chunks
from recommender.engine.lazy import ensemble

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

# Leaves of a tree are the bits of 16; less is learned by fewer, more by no public set tried.
LEAVES = 16
_TREES, _RATE, _SMALLEST = 120, 0.08, 80
_ALL = np.uint16(0xFFFF)
_ROWS = 4_096
# place of the lowest bit of each 16
_LOWEST = np.zeros(1 << LEAVES, np.uint8)
for _place in range(LEAVES - 1, -1, -1):
    _LOWEST[1 << _place :: 1 << (_place + 1)] = _place

Features = NDArray[np.float32]


class Nodes(NamedTuple):
    """Nodes of all trees in a row, `roots` (n_trees,) where each begins.

    `feature` (n,) int32, `threshold` (n,) float64 (up to it goes left), `left`, `right` (n,) int32
    places (own place for a leaf), `value` (n,) float64 of a leaf. `base` (1,): what all scores
    begin with.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float64]
    base: NDArray[np.float64]


class _Cuts(NamedTuple):
    """All cuts of one feature: sorted thresholds (k,), and what is left beyond the first of them.

    `left` (k + 1, n_trees) uint16: bits of the leaves that a row may still end in.
    """

    feature: int
    thresholds: NDArray[np.float64]
    left: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Reranker:
    """Fitted trees; `cuts` and `leaves` (n_trees * LEAVES,) are `nodes` as scoring reads them."""

    nodes: Nodes
    cuts: tuple[_Cuts, ...]
    leaves: NDArray[np.float64]

    @classmethod
    def fit(cls, rows: Features, labels: NDArray[np.bool_], *, seed: int = 42) -> Self:
        """Return the trees that tell `labels` (n,) from `rows` (n, m)."""
        model = ensemble.HistGradientBoostingClassifier(
            max_iter=_TREES,
            max_leaf_nodes=LEAVES,
            learning_rate=_RATE,
            min_samples_leaf=_SMALLEST,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=seed,
        )
        # its threads wait by spinning: on a busy machine two take ten times as long as one
        with threadpool_limits(1):
            model.fit(rows, labels)
        return cls.of(model)

    @classmethod
    def of(cls, model: "HistGradientBoostingClassifier") -> Self:
        """Return the trees of a fitted binary classifier; its features must not be nan."""
        # scikit-learn has no public form of them; a test holds both scores side by side
        trees = [one[0].nodes for one in model._predictors]
        starts = np.cumsum([0, *(len(nodes) for nodes in trees)])
        nodes = np.concatenate(trees)
        offset = np.repeat(starts[:-1], np.diff(starts))
        own, leaf = np.arange(len(nodes)), nodes["is_leaf"].astype(bool)
        return cls.made(
            Nodes(
                starts[:-1].astype(np.int32),
                np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
                nodes["num_threshold"].astype(np.float64),
                np.where(leaf, own, nodes["left"] + offset).astype(np.int32),
                np.where(leaf, own, nodes["right"] + offset).astype(np.int32),
                nodes["value"].astype(np.float64),
                np.asarray(model._baseline_prediction, np.float64).reshape(1),
            )
        )

    @classmethod
    def made(cls, nodes: Nodes) -> Self:
        """Return the trees of these nodes, ready to score.

        Raises
        ------
        ValueError
            They do not fit together.
        """
        _check(nodes)
        n_trees = len(nodes.roots)
        leaves = np.zeros((n_trees, LEAVES))
        cuts: dict[int, list[tuple[float, int, int]]] = {}
        for tree, root in enumerate(nodes.roots.tolist()):
            for feature, threshold, gone in _cuts(nodes, root, leaves[tree]):
                cuts.setdefault(feature, []).append((threshold, tree, gone))
        return cls(
            nodes,
            tuple(_joined(feature, cuts[feature], n_trees) for feature in sorted(cuts)),
            leaves.ravel(),
        )

    @property
    def width(self) -> int:
        """How many features it looks at, at least."""
        return max((one.feature for one in self.cuts), default=-1) + 1

    def score(self, rows: Features) -> NDArray[np.float64]:
        """Return the log odds (n,) of each row of features (n, m)."""
        n_trees = len(self.nodes.roots)
        first = np.arange(n_trees) * LEAVES
        found = np.full(len(rows), self.nodes.base[0])
        for span in chunks(len(rows), _ROWS):
            part = rows[span]
            left = np.full((len(part), n_trees), _ALL)
            for cuts in self.cuts:
                left &= cuts.left[np.searchsorted(cuts.thresholds, part[:, cuts.feature])]
            found[span] += self.leaves[first + _LOWEST[left]].sum(axis=1)
        return found

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all state."""
        return self.nodes._asdict()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the stored trees.

        Raises
        ------
        ValueError
            The arrays do not fit together.
        KeyError
            One is missing.
        """
        return cls.made(Nodes(**{name: arrays[name] for name in Nodes._fields}))


_WHOLE = ("roots", "feature", "left", "right")


def _check(nodes: Nodes) -> None:
    """Refuse arrays that would be read out of bounds."""
    n = len(nodes.feature)
    kinds = {name: "i" if name in _WHOLE else "f" for name in Nodes._fields}
    fits = (
        all(getattr(nodes, name).dtype.kind == kind for name, kind in kinds.items())
        and all(one.ndim == 1 for one in nodes)
        and {len(one) for one in nodes[1:6]} == {n}
        and len(nodes.base) == 1
        and all(len(one) and one.min() >= 0 and one.max() < n for one in (nodes.roots, *nodes[3:5]))
        and nodes.feature.min() >= 0
        and bool(np.isfinite(nodes.value).all() and np.isfinite(nodes.base).all())
        and not np.isnan(nodes.threshold).any()
    )
    if not fits:
        raise ValueError(_UNFIT)


_UNFIT = "reranker arrays do not fit together"


def _cuts(nodes: Nodes, root: int, leaves: NDArray[np.float64]) -> Iterator[tuple[int, float, int]]:
    """Yield (feature, threshold, leaves left of it as bits) of each cut; fill the leaves' values.

    Leaves are numbered from left to right; a row above a threshold ends in none that is left of it.
    """
    count = 0
    # (node, first leaf where its left side is done, else -1)
    due = [(root, -1)]
    while due:
        node, first = due.pop()
        left, right = int(nodes.left[node]), int(nodes.right[node])
        if first >= 0:
            yield (
                int(nodes.feature[node]),
                float(nodes.threshold[node]),
                (1 << count) - (1 << first),
            )
            due.append((right, -1))
        elif left == right == node:
            if count == LEAVES:
                raise ValueError(_UNFIT)
            leaves[count] = nodes.value[node]
            count += 1
        elif min(left, right) <= node:
            # scikit-learn lists parents first: whatever else is a circle, or no tree
            raise ValueError(_UNFIT)
        else:
            due += [(node, count), (left, -1)]


def _joined(feature: int, cuts: list[tuple[float, int, int]], n_trees: int) -> _Cuts:
    cuts.sort()
    left = np.full((len(cuts) + 1, n_trees), _ALL)
    thresholds, trees, gone = zip(*cuts, strict=True)
    left[np.arange(1, len(cuts) + 1), trees] &= ~np.array(gone, np.uint16)
    return _Cuts(feature, np.array(thresholds), np.bitwise_and.accumulate(left, axis=0))
