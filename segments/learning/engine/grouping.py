"""Clusters as one kind of learned model: fitted, or learnt on, from the log; then applied."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine import drift
from segments.learning.engine.arrays import part, prefixed
from segments.learning.engine.catalogue import NAMES
from segments.learning.engine.choosing import Candidate
from segments.learning.engine.clusters import ALGORITHMS, NOISE, ClusterConfig
from segments.learning.engine.drift import Baseline
from segments.learning.engine.features import Events, Floats, Matrix, feature_matrix, log_days
from segments.learning.engine.methods import SETTINGS
from segments.learning.engine.recipes import Applied, Before, CannotLearn, Fit, Recipe
from segments.learning.engine.segmentation import Segmentation, chosen_k, told

# Below it clusters describe persons rather than kinds of them.
LEAST_CUSTOMERS = 100
# Below this probability of the likeliest cluster somebody stands between two.
SURE = 0.8


def learned(
    recipe: Recipe,
    events: Events,
    as_of_us: int,
    rng: np.random.Generator,
    before: Before | None,
) -> Fit:
    """Return clusters as of a moment; what can learn on from `before` does, the rest is made anew.

    Raises
    ------
    CannotLearn
        There are fewer than LEAST_CUSTOMERS.
    """
    matrix = feature_matrix(events, as_of_us=as_of_us)
    if len(matrix.customers) < LEAST_CUSTOMERS:
        msg = f"it takes {LEAST_CUSTOMERS} customers; there are {len(matrix.customers)}"
        raise CannotLearn(msg)
    algorithm = str(recipe.config["algorithm"])
    config, listed = _config(recipe), list[Candidate]()
    held = _held(recipe, before)
    if held is not None:
        model = held.continued(matrix.values, rng=rng)
    else:
        model, config, listed = _anew(recipe, config, matrix, rng)
        model = model if before is None else _renumbered(model, matrix, before)
    metrics = {
        "candidates": [one.to_json() for one in listed],
        "k": model.clustering.n_clusters,
        "next_id": max([*model.ids.tolist(), (before.least_id - 1) if before else -1]) + 1,
        "customers": len(matrix.customers),
        **told(model, matrix.values, rng=rng),
        **_sureness(model, matrix.values),
    }
    arrays = model.to_arrays() | prefixed("baseline", Baseline.fit(matrix.values).to_arrays())
    found = model.clustering.n_clusters
    objection = "" if found > 1 else "no clusters were found: everybody is alike, or like nobody"
    facts: dict[str, Any] = {"config": config.to_json(), "log_days": log_days(events, as_of_us)}
    if held is not None and before is not None:
        # equal data and seed give equal clusters only from the same version
        facts["base"] = before.version
    return Fit(algorithm, arrays, facts, metrics, objection)


def _held(recipe: Recipe, before: Before | None) -> Segmentation | None:
    """Return what is learnt on from; None without, or where a release has moved its features."""
    if before is None or before.arrays is None:
        return None
    held = Segmentation.from_arrays(str(recipe.config["algorithm"]), before.arrays)
    wanted = [NAMES.index(name) for name in recipe.config.get("features") or NAMES]
    return held if held.columns.tolist() == wanted else None


def _config(recipe: Recipe) -> ClusterConfig:
    """Return a recipe's settings; those that it does not name are as by default."""
    given = {name: recipe.config[name] for name in SETTINGS if name in recipe.config}
    return ClusterConfig(**{"k": 0, **given})


def _anew(
    recipe: Recipe, config: ClusterConfig, matrix: Matrix, rng: np.random.Generator
) -> tuple[Segmentation, ClusterConfig, list[Candidate]]:
    """Return the clusters, the settings that made them, and every number that was tried."""
    algorithm = str(recipe.config["algorithm"])
    features = tuple(recipe.config.get("features") or NAMES)
    wanted, listed = chosen_k(
        matrix.values, algorithm=algorithm, config=config, rng=rng, features=features
    )
    if not config.k and not ALGORITHMS[algorithm].finds_k:
        config = replace(config, k=wanted)
    model = Segmentation.fit(
        matrix.values, algorithm=algorithm, config=config, rng=rng, features=features
    )
    return model, config, listed


def _sureness(model: Segmentation, values: Floats) -> dict[str, float]:
    """Return the share of customers in no cluster, or, of a soft one, of those in none surely."""
    if ALGORITHMS[model.algorithm].finds_k:
        return {"noise": float((model.labels(values) == NOISE).mean())}
    if ALGORITHMS[model.algorithm].soft:
        return {"unsure": float((model.membership(values).max(axis=1) < SURE).mean())}
    return {}


def _renumbered(model: Segmentation, matrix: Matrix, before: Before) -> Segmentation:
    common, now, then = np.intersect1d(
        matrix.customers, before.customers, assume_unique=True, return_indices=True
    )
    if not len(common):
        return model
    return model.like(matrix.values[now], before.labels[then], least_id=before.least_id)


def applied(
    recipe: Recipe,
    algorithm: str,
    arrays: Mapping[str, NDArray[Any]],
    matrix: Matrix,
    ways: tuple[Floats, ...],
) -> Applied:
    """Return who is in which cluster (soft: how probably in each), sizes (-1: noise), and drift.

    `ways`: the features as drift is measured on them (`drift.readings`).
    """
    model = Segmentation.from_arrays(algorithm, arrays)
    labels = model.labels(matrix.values)
    inside = labels != NOISE
    name = f"cluster:{recipe.key}"
    scores = {name: (matrix.customers[inside], labels[inside].astype(np.float64))}
    if ALGORITHMS[algorithm].soft:
        held = model.membership(matrix.values)
        for place, label in enumerate(model.ids.tolist()):
            scores[f"{name}:{label}"] = (matrix.customers, held[:, place])
    ids, counts = np.unique(labels, return_counts=True)
    sizes = {str(one): int(count) for one, count in zip(ids, counts, strict=True)}
    index = Baseline.from_arrays(part("baseline", arrays)).least(ways)
    used = tuple(NAMES[place] for place in model.columns)
    return Applied(scores, sizes, {"features": drift.as_table(used, index[model.columns])})
