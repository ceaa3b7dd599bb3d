"""A clustering retold as rules: a small decision tree whose leaves are rule-language JSON.

The tree sees only features that rules can read. How well the rules tell the clusters apart is
measured on the rules themselves, thresholds rounded as they are written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine.catalogue import BY_NAME, PREFIX, READABLE
from segments.learning.engine.features import Floats, Ints
from segments.learning.engine.lazy import tree as sk_tree

# A rule of more conditions is one that nobody reads.
DEPTH = 4
LEAVES_A_CLUSTER = 2
LEAST_SHARE = 0.01
_DIGITS = 4
Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """What a path says of one feature: low < x <= high; `missing`: nobody knows x, and that fits.

    A path that holds for unknown values alone has `low` = inf.
    """

    low: float
    high: float
    missing: bool

    def holds(self, values: Floats) -> NDArray[np.bool_]:
        """Return for which of values (n,) it holds."""
        unknown = np.isnan(values)
        known: NDArray[np.bool_] = ~unknown & (values > self.low) & (values <= self.high)
        return known | unknown if self.missing else known


Path = dict[str, Bound]


@dataclass(frozen=True, slots=True)
class Told:
    """One cluster's rule: JSON, or None where the tree has no leaf for it.

    `precision` of those whom the rule takes, the share that is in the cluster; `coverage` of the
    cluster, the share that the rule takes; nan where nobody is.
    """

    label: int
    rule: Rule | None
    precision: float
    coverage: float
    members: int


@dataclass(frozen=True, slots=True)
class Surrogate:
    """Rules of all clusters; `accuracy` the share of customers whom their rules put right."""

    told: list[Told]
    accuracy: float
    leaves: int


def retell(
    names: Sequence[str], values: Floats, labels: Ints, *, rng: np.random.Generator
) -> Surrogate:
    """Return the rules of a clustering of customers with features `values` (n, d), nan undefined.

    Accuracy, precision and coverage are of these very customers; noise (-1) is told as a cluster.
    """
    usable = [name for name in READABLE if name in names]
    seen = values[:, [list(names).index(name) for name in usable]]
    found = np.unique(labels)
    tree = sk_tree.DecisionTreeClassifier(
        max_depth=DEPTH,
        max_leaf_nodes=max(2, LEAVES_A_CLUSTER * len(found)),
        min_samples_leaf=max(1, int(LEAST_SHARE * len(labels))),
        random_state=int(rng.integers(2**31)),
    ).fit(seen, labels)
    paths = _paths(tree, usable)
    answer = np.full(len(labels), np.iinfo(np.int64).min)
    told = []
    for label in found.tolist():
        mine = [path for leaf_label, path in paths if leaf_label == label]
        taken = np.zeros(len(labels), np.bool_)
        for path in mine:
            taken |= _taken(path, usable, seen)
        answer[taken] = label
        told.append(_told(label, mine, taken, labels == label))
    return Surrogate(told, float(np.mean(answer == labels)), len(paths))


def _told(
    label: int, paths: Sequence[Path], taken: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> Told:
    both = int(np.count_nonzero(taken & inside))
    members, chosen = int(np.count_nonzero(inside)), int(np.count_nonzero(taken))
    return Told(
        label,
        any_of([rule_of(path) for path in paths]),
        both / chosen if chosen else float("nan"),
        both / members if members else float("nan"),
        members,
    )


def any_of(rules: Sequence[Rule]) -> Rule | None:
    """Return the rule that one of `rules` holds, None for none."""
    if not rules:
        return None
    return rules[0] if len(rules) == 1 else {"or": list(rules)}


def rule_of(path: Mapping[str, Bound]) -> Rule:
    """Return the rule of a path: all its bounds hold."""
    leaves = [leaf for name, bound in path.items() for leaf in _leaves(name, bound)]
    if not leaves:  # the tree did not split: everybody
        return {"kind": "profile", "key": "events", "op": "gte", "value": 0}
    return leaves[0] if len(leaves) == 1 else {"and": leaves}


def _leaves(name: str, bound: Bound) -> list[Rule]:
    """Return the conditions of one bound.

    A missing score fails every comparison (docs/rules.md), so "at most 3 or missing" is "not above
    3".
    """
    if bound.low == np.inf:
        return [{"not": _leaf(name, "gte", -1e15)}]
    found = []
    if np.isfinite(bound.low):
        leaf = _leaf(name, "gt", bound.low)
        found.append({"not": _leaf(name, "lte", bound.low)} if bound.missing else leaf)
    if np.isfinite(bound.high):
        leaf = _leaf(name, "lte", bound.high)
        found.append({"not": _leaf(name, "gt", bound.high)} if bound.missing else leaf)
    if not found and not bound.missing:
        found.append(_leaf(name, "gte", -1e15))
    return found


def _leaf(name: str, op: str, value: float) -> Rule:
    about = BY_NAME[name]
    given = int(value) if float(value).is_integer() else value
    if about.trait:
        return {"kind": "profile", "key": about.trait, "op": op, "value": given}
    return {"kind": "score", "key": PREFIX + name, "op": op, "value": given}


def _taken(path: Path, names: Sequence[str], values: Floats) -> NDArray[np.bool_]:
    found = np.ones(len(values), np.bool_)
    for name, bound in path.items():
        found &= bound.holds(values[:, names.index(name)])
    return found


def _paths(tree: Any, names: Sequence[str]) -> list[tuple[int, Path]]:
    """Return (label, path) of every leaf; the paths of all leaves part the customers."""
    nodes = tree.tree_
    found: list[tuple[int, Path]] = []
    due: list[tuple[int, Path]] = [(0, {})]
    while due:
        node, path = due.pop()
        if nodes.children_left[node] < 0:
            found.append((int(tree.classes_[nodes.value[node, 0].argmax()]), path))
            continue
        name = names[nodes.feature[node]]
        cut = _rounded(name, float(nodes.threshold[node]))
        unknown_left = bool(nodes.missing_go_to_left[node])
        before = path.get(name, Bound(-np.inf, np.inf, missing=True))
        left = Bound(before.low, min(before.high, cut), before.missing and unknown_left)
        right = Bound(max(before.low, cut), before.high, before.missing and not unknown_left)
        due.append((int(nodes.children_left[node]), {**path, name: left}))
        due.append((int(nodes.children_right[node]), {**path, name: right}))
    return found


def _rounded(name: str, cut: float) -> float:
    """Return a threshold as people write it; counts and money are whole, so x <= 2.5 is x <= 2."""
    if not np.isfinite(cut):
        return cut
    if BY_NAME[name].unit == "count":
        return float(np.floor(cut))
    if cut == 0:
        return 0.0
    digits = _DIGITS - int(np.floor(np.log10(abs(cut)))) - 1
    if BY_NAME[name].unit == "minor":
        digits = min(digits, 0)
    return float(round(cut, digits))
