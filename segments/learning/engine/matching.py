"""Labels that stay: after a refit a cluster keeps its number when its people are the same."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from segments.learning.engine.clusters import NOISE, Labels
from segments.learning.engine.features import Floats, Ints

# Below a fifth of common people (Jaccard) it is another cluster that deserves a number of its own.
LEAST_OVERLAP = 0.2


def stable_ids(
    old: Ints, new: Labels, *, clusters: int, least_id: int = 0, overlap: float = LEAST_OVERLAP
) -> Ints:
    """Return the stable id of each new cluster, (clusters,) int64.

    Parameters
    ----------
    old, new
        (n,) stable ids before, and raw clusters now, of the same customers; -1 noise.
    least_id
        Ids below it were in use at some time: a cluster without a partner gets a fresh one.

    The assignment maximises the sum of Jaccard overlaps (Hungarian method, Kuhn 1955).
    """
    ids = np.unique(old[old != NOISE])
    scores = np.zeros((clusters, len(ids)))
    for place, one in enumerate(ids.tolist()):
        mine = old == one
        for raw in range(clusters):
            theirs = new == raw
            either = np.count_nonzero(mine | theirs)
            scores[raw, place] = np.count_nonzero(mine & theirs) / either if either else 0.0
    return _numbered(scores, ids, clusters, least_id, overlap)


def nearest_ids(
    old_centers: Floats, old_ids: Ints, new_centers: Floats, *, least_id: int, farthest: float
) -> Ints:
    """Return stable ids by the distance of centres, where no customer is common to both fits.

    Centres (k, d) in the same scaled feature space; `farthest` is the distance at which two
    centres are not the same cluster any more.
    """
    apart = np.sqrt(((new_centers[:, None, :] - old_centers[None, :, :]) ** 2).sum(axis=2))
    return _numbered(1 - apart / farthest, old_ids, len(new_centers), least_id, 0.0)


def _numbered(scores: Floats, ids: Ints, clusters: int, least_id: int, least_score: float) -> Ints:
    found = np.full(clusters, NOISE, np.int64)
    for raw, place in zip(*linear_sum_assignment(scores, maximize=True), strict=True):
        if scores[raw, place] > least_score:
            found[raw] = ids[place]
    fresh = max(least_id, int(ids.max(initial=-1)) + 1)
    for raw in np.flatnonzero(found == NOISE):
        found[raw], fresh = fresh, fresh + 1
    return found
