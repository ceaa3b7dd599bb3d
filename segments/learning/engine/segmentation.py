"""A clustering of customers from features to named groups: what is stored, shown and served."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine import choosing, naming, surrogate
from segments.learning.engine.arrays import Arrays, need, part, prefixed
from segments.learning.engine.catalogue import FEATURES, NAMES
from segments.learning.engine.clusters import (
    ALGORITHMS,
    NOISE,
    ClusterConfig,
    Clustering,
    MiniBatchKMeans,
)
from segments.learning.engine.features import Floats, Ints
from segments.learning.engine.matching import stable_ids
from segments.learning.engine.preparation import Preparation

KS = (3, 4, 5, 6, 7, 8)
# Points of the map: enough to see shapes, little enough for a page.
MAP_POINTS = 600
_TRAITS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A fitted clustering of customers.

    `columns` (d,) places of the features used; `ids` (k,) the stable id of each raw cluster.
    """

    algorithm: str
    columns: Ints
    preparation: Preparation
    clustering: Clustering
    ids: Ints

    @classmethod
    def fit(
        cls,
        values: Floats,
        *,
        algorithm: str,
        config: ClusterConfig,
        rng: np.random.Generator,
        features: tuple[str, ...] = NAMES,
    ) -> Self:
        """Return the clustering of all features `values` (n >= 1, len(NAMES)), ids 0..k-1."""
        columns = np.array([NAMES.index(name) for name in features], np.int64)
        log = [FEATURES[place].log for place in columns]
        preparation = Preparation.fit(values[:, columns], log)
        points = preparation.transform(values[:, columns])
        clustering = ALGORITHMS[algorithm].fit(points, config, rng=rng)
        ids = np.arange(clustering.n_clusters, dtype=np.int64)
        return cls(algorithm, columns, preparation, clustering, ids)

    def continued(self, values: Floats, *, rng: np.random.Generator) -> Self:
        """Return the clustering after also learning from `values`; the preparation stays.

        Raises
        ------
        TypeError
            The algorithm does not learn on.
        """
        if not isinstance(self.clustering, MiniBatchKMeans):
            msg = f"{self.algorithm} is fitted anew; only minibatch learns on"
            raise TypeError(msg)
        further = self.clustering.partial_fit(self.points(values), rng=rng)
        return type(self)(self.algorithm, self.columns, self.preparation, further, self.ids)

    def like(self, values: Floats, before: Ints, *, least_id: int) -> Self:
        """Return the same clustering with ids that follow `before` (n,), the ids of then."""
        raw = self.clustering.assign(self.points(values))
        ids = stable_ids(before, raw, clusters=self.clustering.n_clusters, least_id=least_id)
        return type(self)(self.algorithm, self.columns, self.preparation, self.clustering, ids)

    def points(self, values: Floats) -> Floats:
        """Return the components (n, c) that the clustering sees."""
        return self.preparation.transform(values[:, self.columns])

    def labels(self, values: Floats) -> Ints:
        """Return the stable id of each customer's cluster, (n,) int64, -1 for noise."""
        raw = self.clustering.assign(self.points(values))
        # the last entry answers for -1
        return np.append(self.ids, NOISE)[raw]

    def membership(self, values: Floats) -> Floats:
        """Return probabilities (n, k), columns in the order of `ids`."""
        return self.clustering.membership(self.points(values))

    def to_arrays(self) -> Arrays:
        """Return all fitted state."""
        return {
            "columns": self.columns,
            "ids": self.ids,
            **prefixed("prep", self.preparation.to_arrays()),
            **prefixed("cluster", self.clustering.to_arrays()),
        }

    @classmethod
    def from_arrays(cls, algorithm: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `to_arrays` described; ValueError when it does not fit together."""
        preparation = Preparation.from_arrays(part("prep", arrays))
        clustering = ALGORITHMS[algorithm].from_arrays(part("cluster", arrays))
        columns, ids = arrays["columns"], arrays["ids"]
        need(len(columns) == len(preparation.log), "a segmentation")
        need(len(ids) == clustering.n_clusters, "a segmentation")
        return cls(algorithm, columns, preparation, clustering, ids)


def chosen_k(
    values: Floats,
    *,
    algorithm: str,
    config: ClusterConfig,
    rng: np.random.Generator,
    features: tuple[str, ...] = NAMES,
) -> tuple[int, list[choosing.Candidate]]:
    """Return (the k to take, every k with its figures) for features (n, len(NAMES)).

    `config.k` above 0 is taken, and judged alone.
    """
    columns = [NAMES.index(name) for name in features]
    log = [FEATURES[place].log for place in columns]
    points = Preparation.fit(values[:, columns], log).transform(values[:, columns])
    kind = ALGORITHMS[algorithm]
    if kind.finds_k:
        rows = rng.permutation(len(points))[: choosing.SAMPLE]
        one = choosing.judged(points[rows], kind, config, rng=rng)
        return one.k, [one]
    ks = [config.k] if config.k else [k for k in KS if k < len(points)] or [1]
    listed = choosing.candidates(points, kind, config, ks=ks, rng=rng)
    return choosing.chosen(listed).k, listed


def told(model: Segmentation, values: Floats, *, rng: np.random.Generator) -> dict[str, Any]:
    """Return what a page shows of a segmentation of features (n, len(NAMES)), as plain JSON.

    `clusters`: label, title, members, share, traits, rule with precision and coverage; `accuracy`
    of all rules; `map`: up to MAP_POINTS (x, y, label) of the first two components.
    """
    used = values[:, model.columns]
    names = [NAMES[place] for place in model.columns]
    labels = model.labels(values)
    traits = naming.traits_of(names, used, model.preparation.scaled(used), labels)
    titles = naming.titles(traits)
    rules = surrogate.retell(NAMES, values, labels, rng=rng)
    by_label = {one.label: one for one in rules.told}
    points = model.points(values)
    rows = rng.permutation(len(values))[:MAP_POINTS]
    return {
        "clusters": [
            {
                "label": label,
                "title": titles[label],
                "members": by_label[label].members,
                "share": by_label[label].members / len(values),
                "traits": [one.to_json() for one in traits[label][:_TRAITS_SHOWN]],
                "rule": by_label[label].rule,
                "precision": _plain(by_label[label].precision),
                "coverage": _plain(by_label[label].coverage),
            }
            for label in sorted(traits)
        ],
        "accuracy": rules.accuracy,
        "map": [
            [round(float(x), 3), round(float(y), 3), int(labels[row])]
            for row, (x, y) in zip(rows, _plane(points[rows]), strict=True)
        ],
        "explained": [round(float(one), 4) for one in model.preparation.explained],
    }


def _plane(points: Floats) -> Floats:
    """Return the first two components, the second 0 where there is one alone."""
    if points.shape[1] > 1:
        return points[:, :2]
    return np.column_stack([points[:, 0], np.zeros(len(points))])


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
