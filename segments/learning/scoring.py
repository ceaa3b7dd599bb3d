"""Scoring: every live model asked about every customer, the answers written as scores.

A run reads the log a group of customers at a time, so that memory does not grow with the shop; a
run that was killed goes on after the groups that its checkpoint counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import structlog

from personalization.lib import artifacts, clock
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from segments.learning import features, registry, scores
from segments.learning.engine.catalogue import FEATURES, NAMES, PREFIX
from segments.learning.engine.features import Events, Floats, Ints, Matrix, feature_matrix
from segments.learning.engine.learned import apply
from segments.learning.engine.recipes import Applied, Recipe
from segments.learning.scores import Announce, Owned
from segments.models.learning import LearnedModel, Observation

log = structlog.get_logger("segments")

# Customers of one group: about half a million events in memory.
GROUP = 20_000
# Customers that drift is measured on: PSI of ten bins is exact to a hundredth from here on.
DRIFT_SAMPLE = 20_000
_PUBLISHED = tuple(one.name for one in FEATURES if one.published)
_FEATURES = Owned(prefixes=(PREFIX,))


@dataclass(frozen=True, slots=True)
class _Ready:
    """A live model with its files loaded."""

    row: LearnedModel
    recipe: Recipe
    arrays: dict[str, Any]
    facts: dict[str, Any]

    def apply(self, events: Events, matrix: Matrix) -> Applied:
        return apply(self.recipe, self.row.algorithm, self.arrays, self.facts, events, matrix)


def run(job: JobRun, *, as_of: datetime, announce: Announce) -> dict[str, int]:
    """Score everybody as of a moment; return customers, rows changed and models.

    Raises
    ------
    Cancelled
        Somebody asked the run to stop; what was written stays.
    """
    models = [_ready(row) for row in _live()]
    owned = _FEATURES
    for one in models:
        owned = owned | owned_by(one.recipe)
    groups = features.ranges(GROUP)
    state = dict(job.checkpoint) or {"groups": 0, "customers": 0, "changed": 0, "sizes": {}}
    jobs.advance(job.pk, done=state["groups"], total=len(groups) + 1)
    for place, (low, high) in enumerate(groups):
        if place < state["groups"]:
            continue
        events = features.events(until=as_of, low=low, high=high)
        matrix = feature_matrix(events, as_of_us=clock.to_us(as_of))
        found = feature_scores(matrix)
        for one in models:
            applied = one.apply(events, matrix)
            found |= applied.scores
            _add(state["sizes"], one.row.pk, applied.sizes)
        state["changed"] += scores.replace(
            found, owned, low=low, high=high, as_of=as_of, announce=announce
        )
        state["customers"] += len(matrix.customers)
        state["groups"] = place + 1
        jobs.advance(job.pk, done=place + 1, checkpoint=state)
    _observe(models, state, as_of)
    scores.remove(_orphans(owned), announce=announce)
    jobs.advance(job.pk, done=len(groups) + 1)
    return {"customers": state["customers"], "changed": state["changed"], "models": len(models)}


def feature_scores(matrix: Matrix) -> dict[str, tuple[Ints, Floats]]:
    """Return the published features as scores; who has no value has no row."""
    found = {}
    for name in _PUBLISHED:
        column = matrix.values[:, NAMES.index(name)]
        known = np.isfinite(column)
        found[PREFIX + name] = (matrix.customers[known], column[known])
    return found


def owned_by(recipe: Recipe) -> Owned:
    """Return the score keys that a model writes."""
    if recipe.kind == "cluster":
        return Owned((f"cluster:{recipe.key}",), (f"cluster:{recipe.key}:",))
    if recipe.kind == "lookalike":
        return Owned((f"lookalike:{recipe.key}",))
    if recipe.kind == "value":
        return Owned((recipe.key, "alive"))
    if recipe.kind == "category":
        return Owned((), (f"{recipe.key}:",))
    return Owned((recipe.key,))


def _live() -> Sequence[LearnedModel]:
    return list(LearnedModel.objects.filter(status=LearnedModel.Status.LIVE).order_by("key"))


def _ready(row: LearnedModel) -> _Ready:
    artifact = artifacts.load(row.manifest_sha256)
    return _Ready(row, registry.recipe_of(row), artifact.arrays, dict(artifact.facts))


def _add(sizes: dict[str, dict[str, int]], model_id: int, more: dict[str, int]) -> None:
    mine = sizes.setdefault(str(model_id), {})
    for label, count in more.items():
        mine[label] = mine.get(label, 0) + count


def _observe(models: Sequence[_Ready], state: dict[str, Any], as_of: datetime) -> None:
    """Note sizes, and drift of a sample of customers, of each model."""
    one_in = max(1, -(-state["customers"] // DRIFT_SAMPLE))
    events = features.events(until=as_of, one_in=one_in)
    matrix = feature_matrix(events, as_of_us=clock.to_us(as_of))
    for one in models:
        Observation.objects.update_or_create(
            model=one.row,
            as_of=as_of,
            defaults={
                "customers": state["customers"],
                "sizes": state["sizes"].get(str(one.row.pk), {}),
                "drift": one.apply(events, matrix).drift if len(matrix.customers) else {},
            },
        )


def _orphans(owned: Owned) -> Owned:
    """Return the keys of models that were live once and are not: their scores would never age."""
    keys: list[str] = []
    prefixes: list[str] = []
    gone = LearnedModel.objects.exclude(
        key__in=LearnedModel.objects.filter(status=LearnedModel.Status.LIVE).values("key")
    ).filter(promoted_at__isnull=False)
    for row in gone:
        mine = owned_by(registry.recipe_of(row))
        keys += [key for key in mine.keys if key not in owned.keys]
        prefixes += [prefix for prefix in mine.prefixes if prefix not in owned.prefixes]
    return Owned(tuple(dict.fromkeys(keys)), tuple(dict.fromkeys(prefixes)))
