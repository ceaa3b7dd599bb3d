"""Tree ensembles as arrays: scikit-learn fits them, NumPy answers, nothing is pickled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine.arrays import Arrays, need
from segments.learning.engine.features import Floats

# Rows walked at once: a block's places of all trees stay in the processor's cache.
_BLOCK = 4_096


@dataclass(frozen=True, slots=True)
class Trees:
    """Nodes of all trees one after the other.

    `roots` (t,) int32 first nodes; of each node: `feature` int32, -1 for a leaf; `threshold`
    float64; `left`, `right` int32 places; `unknown_left` bool: where nan goes; `value` (m, k)
    float64, read at leaves. x goes left when x <= threshold. `single` (0-d bool): x is compared as
    float32, as scikit-learn's forests do.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    unknown_left: NDArray[np.bool_]
    value: Floats
    single: NDArray[np.bool_]

    def total(self, values: Floats) -> Floats:
        """Return the sum of all trees' leaf values for each row, (n, k)."""
        found = np.zeros((len(values), self.value.shape[1]))
        seen = values.astype(np.float32) if self.single else np.asarray(values, np.float64)
        for start in range(0, len(seen), _BLOCK):
            rows = seen[start : start + _BLOCK]
            for root in self.roots:
                found[start : start + len(rows)] += self.value[self._leaves(rows, int(root))]
        return found

    def _leaves(self, rows: NDArray[Any], root: int) -> NDArray[np.int64]:
        """Return the leaf of each row in one tree, all rows going down a level at a time."""
        place = np.full(len(rows), root, np.int64)
        open_rows = np.arange(len(rows))
        while len(open_rows):
            at = place[open_rows]
            inner = self.feature[at] >= 0
            open_rows, at = open_rows[inner], at[inner]
            x = rows[open_rows, self.feature[at]]
            left = np.where(np.isnan(x), self.unknown_left[at], x <= self.threshold[at])
            place[open_rows] = np.where(left, self.left[at], self.right[at])
        return place

    def to_arrays(self) -> Arrays:
        """Return all nodes."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return those trees; ValueError when the arrays do not fit together.

        Children lie behind their parents, so that no row walks in a circle.
        """
        made = cls(*(arrays[name] for name in cls.__slots__))
        m = len(made.feature)
        same = all(len(getattr(made, name)) == m for name in cls.__slots__[2:7])
        need(same and made.value.ndim == 2, "trees")  # noqa: PLR2004 -- nodes and classes
        inner = np.flatnonzero(made.feature >= 0)
        for child in (made.left[inner], made.right[inner]):
            need(not len(inner) or ((child > inner).all() and child.max() < m), "trees")
        need(not len(made.roots) or 0 <= made.roots.min() <= made.roots.max() < m, "trees")
        return made


def of_forest(forest: Any) -> Trees:
    """Return the trees of a forest; leaf values are class shares divided by the number of trees."""
    count = len(forest.estimators_)
    parts = []
    for estimator in forest.estimators_:
        nodes = estimator.tree_
        leaf = nodes.children_left < 0
        parts.append(
            {
                "feature": np.where(leaf, -1, nodes.feature).astype(np.int32),
                "threshold": np.where(leaf, 0.0, nodes.threshold),
                "left": np.where(leaf, 0, nodes.children_left).astype(np.int32),
                "right": np.where(leaf, 0, nodes.children_right).astype(np.int32),
                "unknown_left": nodes.missing_go_to_left.astype(np.bool_),
                "value": nodes.value[:, 0, :] / count,
            }
        )
    return _joined(parts, single=True)


def of_boosting(model: Any) -> Trees:
    """Return the trees of a gradient boosting; the start values go into the first round.

    Leaf values are the log-odds of the second of two classes, or the log-score of each of more.
    Reads scikit-learn's private predictors; the contract test says when an upgrade moves them.
    """
    start = np.ravel(model._baseline_prediction)
    parts = []
    for step, predictors in enumerate(model._predictors):
        for place, predictor in enumerate(predictors):
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(np.bool_)
            value = np.zeros((len(nodes), len(predictors)))
            value[:, place] = nodes["value"] + (start[place] if step == 0 else 0.0)
            parts.append(
                {
                    "feature": np.where(leaf, -1, nodes["feature_idx"]).astype(np.int32),
                    "threshold": np.where(leaf, 0.0, nodes["num_threshold"]),
                    "left": np.where(leaf, 0, nodes["left"]).astype(np.int32),
                    "right": np.where(leaf, 0, nodes["right"]).astype(np.int32),
                    "unknown_left": nodes["missing_go_to_left"].astype(np.bool_),
                    "value": value,
                }
            )
    return _joined(parts, single=False)


def _joined(parts: list[dict[str, NDArray[Any]]], *, single: bool) -> Trees:
    sizes = np.array([len(one["feature"]) for one in parts], np.int64)
    roots = np.concatenate([[0], sizes.cumsum()[:-1]]).astype(np.int32)
    for one, root in zip(parts, roots, strict=True):
        inner = one["feature"] >= 0
        one["left"] = np.where(inner, one["left"] + root, 0).astype(np.int32)
        one["right"] = np.where(inner, one["right"] + root, 0).astype(np.int32)
    whole = {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
    return Trees(roots, **whole, single=np.array(single))
