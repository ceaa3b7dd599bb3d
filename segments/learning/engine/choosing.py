"""How many clusters: separation (silhouette) and stability (bootstrap), both shown for each k."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from segments.learning.engine.clusters import ClusterConfig, Clustering
from segments.learning.engine.features import Floats
from segments.learning.engine.lazy import metrics

# Silhouette compares all pairs.
SAMPLE = 2_000
BOOTSTRAPS = 10
# Of k-means while choosing: a fit is judged by how it repeats, not by its best start.
STARTS = 3
# Hennig (2007), Cluster-wise assessment of cluster stability: above .75 is a valid, stable cluster
# (of Jaccard there; taken over for the adjusted Rand index of the whole clustering).
STABLE = 0.75


@dataclass(frozen=True, slots=True)
class Candidate:
    """One k: mean silhouette (-1..1), mean and deviation of the adjusted Rand index (..1).

    The index compares the clustering with those of resampled customers; nan where undefined.
    """

    k: int
    silhouette: float
    stability: float
    deviation: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def candidates(
    points: Floats,
    algorithm: type[Clustering],
    config: ClusterConfig,
    *,
    ks: Sequence[int],
    rng: np.random.Generator,
) -> list[Candidate]:
    """Return how each k does on a sample of `points` (n, c)."""
    rows = rng.permutation(len(points))[:SAMPLE]
    sample = points[rows]
    return [judged(sample, algorithm, _with(config, k), rng=rng) for k in ks]


def judged(
    sample: Floats, algorithm: type[Clustering], config: ClusterConfig, *, rng: np.random.Generator
) -> Candidate:
    """Return how one configuration does on a sample (n, c)."""
    label = algorithm.fit(sample, config, rng=rng).assign(sample)
    agreed = []
    for _ in range(BOOTSTRAPS):
        drawn = sample[rng.integers(len(sample), size=len(sample))]
        other = algorithm.fit(drawn, config, rng=rng).assign(sample)
        agreed.append(metrics.adjusted_rand_score(label, other))
    found = len(np.unique(label[label >= 0]))
    return Candidate(
        found if algorithm.finds_k else config.k,
        separation(sample, label),
        float(np.mean(agreed)),
        float(np.std(agreed)),
    )


def separation(points: Floats, label: Any) -> float:
    """Return the mean silhouette of those who are no noise; nan below two clusters."""
    held = label >= 0
    if len(np.unique(label[held])) < 2 or held.sum() <= len(np.unique(label[held])):  # noqa: PLR2004 -- two clusters
        return float("nan")
    return float(metrics.silhouette_score(points[held], label[held]))


def chosen(judged_all: Sequence[Candidate]) -> Candidate:
    """Return the best separated of the stable ones; when none is stable, the stablest."""
    stable = [one for one in judged_all if one.stability >= STABLE]
    if stable:
        return max(stable, key=lambda one: (np.nan_to_num(one.silhouette, nan=-1.0), -one.k))
    return max(judged_all, key=lambda one: (one.stability, -one.k))


def _with(config: ClusterConfig, k: int) -> ClusterConfig:
    return replace(config, k=k, starts=STARTS)
