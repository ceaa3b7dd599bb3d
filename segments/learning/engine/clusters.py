"""Clustering algorithms under one contract: fit on components, assign anybody from arrays alone.

scikit-learn fits (in a process of its own); assignment is NumPy, so that a worker needs none of its
threads. -1 is noise: a customer who is like nobody else. docs/algorithms/clusters.md.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from segments.learning.engine.arrays import Arrays, need
from segments.learning.engine.features import Floats
from segments.learning.engine.lazy import cluster, mixture, neighbors

Labels = NDArray[np.int32]
NOISE = -1
_BLOCK = 20_000


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """Settings of every algorithm; each reads what it needs. All fields are plain JSON.

    `k` clusters (those that find their number themselves ignore it); `sample` rows at most for
    algorithms whose cost is not linear; `least_share` of the rows that make a cluster (density);
    `reach` radius of DBSCAN, 0: found from the data; `starts` of k-means, the best is kept.
    """

    k: int = 5
    sample: int = 10_000
    least_share: float = 0.02
    reach: float = 0.0
    starts: int = 10

    def to_json(self) -> dict[str, Any]:
        """Return the fields, for the manifest."""
        return asdict(self)


class Clustering(ABC):
    """A fitted clustering of points (n, c). Nothing changes one afterwards."""

    key: ClassVar[str]
    finds_k: ClassVar[bool] = False
    soft: ClassVar[bool] = False
    n_clusters: int

    @classmethod
    @abstractmethod
    def fit(cls, points: Floats, config: ClusterConfig, *, rng: np.random.Generator) -> Self:
        """Return the clustering of `points` (n >= 1, c), deterministic for equal input and rng."""

    @abstractmethod
    def assign(self, points: Floats) -> Labels:
        """Return the cluster of each point, (n,) int32 below `n_clusters`, -1 for noise."""

    @abstractmethod
    def to_arrays(self) -> Arrays:
        """Return all fitted state."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `to_arrays` described; ValueError when it does not fit together."""

    def membership(self, points: Floats) -> Floats:
        """Return the probability of each cluster (n, n_clusters); rows of noise are 0.

        Hard algorithms answer 0 and 1.
        """
        labels = self.assign(points)
        found = np.zeros((len(points), self.n_clusters))
        rows = np.flatnonzero(labels != NOISE)
        found[rows, labels[rows]] = 1.0
        return found


class Centroids(Clustering):
    """A point belongs to the nearest of `centers` (k, c)."""

    def __init__(self, centers: Floats) -> None:
        self.centers = np.ascontiguousarray(centers, np.float64)
        self.n_clusters = len(centers)

    def assign(self, points: Floats) -> Labels:
        """Return the nearest centre; ties go to the first."""
        return _nearest(points, self.centers)[0]

    def to_arrays(self) -> Arrays:
        """Return the centres."""
        return {"centers": self.centers}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the model of those centres."""
        need(arrays["centers"].ndim == 2 and len(arrays["centers"]), "centres")  # noqa: PLR2004 -- axes
        return cls(arrays["centers"])


class KMeans(Centroids):
    """Lloyd's algorithm from k-means++ starts."""

    key = "kmeans"

    @classmethod
    def fit(cls, points: Floats, config: ClusterConfig, *, rng: np.random.Generator) -> Self:
        """Return the best of `config.starts` starts."""
        k = min(config.k, len(np.unique(points, axis=0)))
        with threadpool_limits(1):  # as in classifiers.py
            made = cluster.KMeans(k, n_init=config.starts, random_state=_seed(rng)).fit(points)
        return cls(made.cluster_centers_)


class MiniBatchKMeans(Clustering):
    """k-means that goes on learning: `partial_fit` moves centres by each batch.

    The step of a centre is 1 / (points it has seen), so it is the mean of all of them
    (Sculley, Web-scale k-means clustering, WWW 2010, algorithm 1).
    """

    key = "minibatch"
    _batch = 1024
    # Passes over the data of a first fit.
    _passes = 8

    def __init__(self, centers: Floats, seen: Floats) -> None:
        self.centers = np.ascontiguousarray(centers, np.float64)
        self.seen = np.ascontiguousarray(seen, np.float64)
        self.n_clusters = len(centers)

    @classmethod
    def fit(cls, points: Floats, config: ClusterConfig, *, rng: np.random.Generator) -> Self:
        """Start from k-means on a sample, then pass over everything in batches."""
        sample = _sampled(points, config.sample, rng)
        start = KMeans.fit(sample, config, rng=rng)
        seen = np.bincount(start.assign(sample), minlength=start.n_clusters)
        model = cls(start.centers, seen.astype(np.float64))
        for _ in range(cls._passes):
            model = model.partial_fit(points, rng=rng)
        return model

    def partial_fit(self, points: Floats, *, rng: np.random.Generator) -> Self:
        """Return the model after also seeing `points` (n, c), in batches of random order."""
        centers, seen = self.centers.copy(), self.seen.copy()
        order = rng.permutation(len(points))
        for start in range(0, len(points), self._batch):
            batch = points[order[start : start + self._batch]]
            label = _nearest(batch, centers)[0]
            count = np.bincount(label, minlength=len(centers))
            total = np.zeros_like(centers)
            np.add.at(total, label, batch)
            seen += count
            hit = count > 0
            centers[hit] += (total[hit] - count[hit, None] * centers[hit]) / seen[hit, None]
        return type(self)(centers, seen)

    def assign(self, points: Floats) -> Labels:
        """Return the nearest centre."""
        return _nearest(points, self.centers)[0]

    def to_arrays(self) -> Arrays:
        """Return the centres and how much each has seen."""
        return {"centers": self.centers, "seen": self.seen}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the model of those centres."""
        need(arrays["centers"].ndim == 2, "centres")  # noqa: PLR2004 -- axes
        need(len(arrays["centers"]) == len(arrays["seen"]) > 0, "centres")
        return cls(arrays["centers"], arrays["seen"])


class Agglomerative(Centroids):
    """Ward's hierarchy on a sample; everybody else goes to the nearest mean of its clusters."""

    key = "agglomerative"

    @classmethod
    def fit(cls, points: Floats, config: ClusterConfig, *, rng: np.random.Generator) -> Self:
        """Return the means of the hierarchy's clusters; memory is quadratic in the sample."""
        sample = _sampled(points, min(config.sample, 5_000), rng)
        k = min(config.k, len(np.unique(sample, axis=0)))
        if k == 1:
            return cls(sample.mean(axis=0, keepdims=True))
        label = cluster.AgglomerativeClustering(k, linkage="ward").fit_predict(sample)
        return cls(np.stack([sample[label == one].mean(axis=0) for one in range(k)]))


class Mixture(Clustering):
    """Gaussian mixture with full covariances: membership is a probability.

    `means` (k, c); `precisions` (k, c, c) Cholesky factors, upper, of the inverse covariances;
    `weights` (k,).
    """

    key = "gaussian_mixture"
    soft = True

    def __init__(self, means: Floats, precisions: Floats, weights: Floats) -> None:
        self.means, self.precisions, self.weights = means, precisions, weights
        self.n_clusters = len(weights)

    @classmethod
    def fit(cls, points: Floats, config: ClusterConfig, *, rng: np.random.Generator) -> Self:
        """Return the best of three starts; a floor of the variance keeps twins from collapsing."""
        sample = _sampled(points, 5 * config.sample, rng)
        k = min(config.k, len(np.unique(sample, axis=0)))
        # GaussianMixture refuses a single row
        sample = np.repeat(sample, 2, axis=0) if len(sample) == 1 else sample
        made = mixture.GaussianMixture(k, n_init=3, reg_covar=1e-3, random_state=_seed(rng)).fit(
            sample
        )
        return cls(made.means_, made.precisions_cholesky_, made.weights_)

    def membership(self, points: Floats) -> Floats:
        """Return responsibilities (n, k); each row sums to 1."""
        logs = np.empty((len(points), self.n_clusters))
        for place, (mean, factor) in enumerate(zip(self.means, self.precisions, strict=True)):
            away = (points - mean) @ factor
            determinant = np.log(np.abs(np.diag(factor))).sum()
            logs[:, place] = determinant - 0.5 * (away**2).sum(axis=1)
        logs += np.log(self.weights)
        logs -= logs.max(axis=1, keepdims=True)
        found: Floats = np.exp(logs)
        found /= found.sum(axis=1, keepdims=True)
        return found

    def assign(self, points: Floats) -> Labels:
        """Return the likeliest component."""
        found: Labels = self.membership(points).argmax(axis=1).astype(np.int32)
        return found

    def to_arrays(self) -> Arrays:
        """Return all components."""
        return {"means": self.means, "precisions": self.precisions, "weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the mixture of those components."""
        k, c = arrays["means"].shape
        fits = arrays["precisions"].shape == (k, c, c) and arrays["weights"].shape == (k,)
        need(fits, "a mixture")
        return cls(arrays["means"], arrays["precisions"], arrays["weights"])


class Density(Clustering):
    """Clusters are dense regions: a point belongs to the cluster of its nearest known point, unless
    that lies farther than the cluster's `reach`: then it is noise.

    `points` (m, c) of the sample, `owner` (m,) their clusters, `reach` (k,).
    """  # noqa: D205 -- one sentence

    finds_k = True

    def __init__(self, points: Floats, owner: Labels, reach: Floats) -> None:
        self.points, self.owner, self.reach = points, owner, reach
        self.n_clusters = len(reach)

    def assign(self, points: Floats) -> Labels:
        """Return the cluster of the nearest known point within its reach."""
        if not len(self.points):
            return np.full(len(points), NOISE, np.int32)
        near, distance = _nearest(points, self.points)
        owner = self.owner[near]
        # what was met at fitting is itself at distance 0, up to rounding
        return np.where(distance <= self.reach[owner] + 1e-6, owner, NOISE).astype(np.int32)

    def to_arrays(self) -> Arrays:
        """Return the known points."""
        return {"points": self.points, "owner": self.owner, "reach": self.reach}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the clustering of those points."""
        points, owner, reach = arrays["points"], arrays["owner"], arrays["reach"]
        need(points.ndim == 2 and len(points) == len(owner), "dense regions")  # noqa: PLR2004 -- axes
        need(not len(owner) or 0 <= owner.min() <= owner.max() < len(reach), "dense regions")
        return cls(points, owner, reach)


class Hdbscan(Density):
    """Density clusters of any density (Campello, Moulavi, Sander, PAKDD 2013)."""

    key = "hdbscan"

    @classmethod
    def fit(cls, points: Floats, config: ClusterConfig, *, rng: np.random.Generator) -> Self:
        """Fit a sample; a newcomer counts up to the 95th percentile of its members' distances.

        Those are distances to the nearest other member.
        """
        sample = _sampled(points, config.sample, rng)
        size = max(5, round(config.least_share * len(sample)))
        if len(sample) <= size:
            return cls(sample[:0], np.zeros(0, np.int32), np.zeros(0))
        label = cluster.HDBSCAN(min_cluster_size=size, min_samples=5, copy=True).fit_predict(sample)
        known, owner = sample[label >= 0], label[label >= 0].astype(np.int32)
        reach = np.zeros(int(owner.max(initial=-1)) + 1)
        for one in range(len(reach)):
            members = known[owner == one]
            apart = (
                neighbors.NearestNeighbors(n_neighbors=2).fit(members).kneighbors(members)[0][:, 1]
            )
            reach[one] = np.quantile(apart, 0.95)
        return cls(known, owner, reach)


class Dbscan(Density):
    """Density clusters of one density (Ester et al., KDD 1996)."""

    key = "dbscan"

    @classmethod
    def fit(cls, points: Floats, config: ClusterConfig, *, rng: np.random.Generator) -> Self:
        """Fit a sample with core points of ten neighbours.

        A `reach` of 0 takes the 90th percentile of distances to the tenth neighbour.
        """
        sample = _sampled(points, config.sample, rng)
        least = min(10, len(sample))
        reach = config.reach
        if not reach:
            near = (
                neighbors.NearestNeighbors(n_neighbors=least)
                .fit(sample)
                .kneighbors(sample)[0][:, -1]
            )
            reach = float(np.quantile(near, 0.9)) or 1e-6
        made = cluster.DBSCAN(eps=reach, min_samples=least).fit(sample)
        core = made.core_sample_indices_
        owner = made.labels_[core].astype(np.int32)
        return cls(sample[core], owner, np.full(int(owner.max(initial=-1)) + 1, reach))


ALGORITHMS: dict[str, type[Clustering]] = {
    one.key: one for one in (KMeans, MiniBatchKMeans, Hdbscan, Dbscan, Mixture, Agglomerative)
}


def _nearest(points: Floats, known: Floats) -> tuple[Labels, Floats]:
    """Return (place of the nearest of `known`, distance) of each point, block by block."""
    place = np.zeros(len(points), np.int32)
    distance = np.zeros(len(points))
    norms = (known**2).sum(axis=1)
    # blocks keep the (rows, known) table below about 160 MB
    block = max(1, min(_BLOCK, 20_000_000 // max(len(known), 1)))
    for start in range(0, len(points), block):
        rows = points[start : start + block]
        squared = norms - 2 * rows @ known.T
        best = squared.argmin(axis=1)
        place[start : start + block] = best
        apart = ((rows - known[best]) ** 2).sum(axis=1)
        distance[start : start + block] = np.sqrt(apart)
    return place, distance


def _sampled(points: Floats, most: int, rng: np.random.Generator) -> Floats:
    if len(points) <= most:
        return points
    return points[np.sort(rng.choice(len(points), most, replace=False))]


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
