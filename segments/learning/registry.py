"""Learned models: registered, gated, promoted, rolled back. Part of the services of learning.

Promotion is one transaction that moves one pointer; the next scoring follows it.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from personalization.access.audit import audit
from personalization.lib import artifacts
from personalization.lib.artifacts import ArtifactError
from personalization.lib.errors import Conflict, Unprocessable
from segments.learning.engine.arrays import Arrays
from segments.learning.engine.categories import NextCategory
from segments.learning.engine.clusters import MiniBatchKMeans
from segments.learning.engine.clv import Worth
from segments.learning.engine.lookalike import Lookalike
from segments.learning.engine.propensity import Propensity
from segments.learning.engine.recipes import Fit, Recipe
from segments.learning.engine.segmentation import Segmentation
from segments.models.learning import LearnedModel

Status = LearnedModel.Status
# An arbitrary constant that no other advisory lock of the project uses ("learn" in ASCII).
_LOCK = 0x6C6561726E
# Versions of each key and state whose files stay beside the live one: ten nights to go back.
KEPT = 10


def register(
    recipe: Recipe, fit: Fit, *, facts: Mapping[str, Any], run_id: int | None, now: datetime
) -> LearnedModel:
    """Store a fitted model's files and make it a candidate; return its row.

    Parameters
    ----------
    facts
        Of the data: `customers`, `events`, window, seed. The recipe and the fit's own are added.
    """
    described = {
        **facts,
        **fit.facts,
        "recipe": asdict(recipe),
        "algorithm": fit.algorithm,
    }
    sha256, manifest = artifacts.save(fit.arrays, described)
    with transaction.atomic():
        lock()
        last = LearnedModel.objects.filter(key=recipe.key).aggregate(last=Max("version"))["last"]
        return LearnedModel.objects.create(
            key=recipe.key,
            kind=recipe.kind,
            version=(last or 0) + 1,
            algorithm=fit.algorithm,
            manifest_sha256=sha256,
            manifest=manifest,
            metrics=dict(fit.metrics),
            run_id=run_id,
            created_at=now,
        )


def gate(model: LearnedModel, objection: str, *, actor: str, now: datetime) -> LearnedModel:
    """Promote the candidate, or reject it with the reason; return its row as it is then."""
    if not objection:
        return promote(model.pk, actor=actor, now=now)
    with transaction.atomic():
        LearnedModel.objects.filter(pk=model.pk, status=Status.CANDIDATE).update(
            status=Status.REJECTED, reason=objection[:300]
        )
        model.refresh_from_db()
        audit(actor=actor, action="reject", obj=model, after={"reason": objection})
    return model


def promote(model_id: int, *, actor: str, now: datetime) -> LearnedModel:
    """Have a version score customers and the present one retire; return its row. Idempotent.

    Raises
    ------
    Unprocessable
        Its files do not verify: what cannot score must not become the pointer.
    """
    model = LearnedModel.objects.get(pk=model_id)
    if model.status == Status.LIVE:
        return model
    _verify(model)
    with transaction.atomic():
        lock()
        model = LearnedModel.objects.select_for_update().get(pk=model_id)
        if model.status == Status.LIVE:
            return model
        before = model.status
        LearnedModel.objects.filter(key=model.key, status=Status.LIVE).update(status=Status.RETIRED)
        LearnedModel.objects.filter(pk=model.pk).update(status=Status.LIVE, promoted_at=now)
        model.refresh_from_db()
        audit(actor=actor, action="promote", obj=model, before={"status": before})
    return model


def rollback(key: str, *, actor: str, now: datetime) -> LearnedModel:
    """Promote the version that scored before the live one; return it.

    Raises
    ------
    Conflict
        None did.
    """
    serving = LearnedModel.objects.filter(key=key, status=Status.LIVE).first()
    before = LearnedModel.objects.filter(key=key, status=Status.RETIRED)
    if serving is not None and serving.promoted_at is not None:
        before = before.filter(promoted_at__lt=serving.promoted_at)
    previous = before.order_by("-promoted_at").first()
    if previous is None:
        msg = f"no earlier version of {key} has scored"
        raise Conflict(msg)
    return promote(previous.pk, actor=actor, now=now)


def retire(key: str, *, actor: str) -> None:
    """Have nothing score under a key any more; the next scoring removes its rows. Idempotent."""
    with transaction.atomic():
        for model in LearnedModel.objects.filter(key=key, status=Status.LIVE):
            LearnedModel.objects.filter(pk=model.pk).update(status=Status.RETIRED)
            audit(actor=actor, action="retire", obj=model, before={"status": Status.LIVE})


def kept() -> set[str]:
    """Return the hashes of files that may score: live ones, and the newest KEPT of other states."""
    names: set[str] = set()
    counted: dict[tuple[str, str], int] = {}
    rows = LearnedModel.objects.order_by("-version").values_list("key", "status", "manifest_sha256")
    for key, status, sha256 in rows:
        place = counted[key, status] = counted.get((key, status), 0) + 1
        if status == Status.LIVE or place <= KEPT:
            names.add(sha256)
    return names


def recipe_of(model: LearnedModel) -> Recipe:
    """Return the recipe that a stored model was made by."""
    return Recipe(**model.manifest["facts"]["recipe"])


def arrays_to_learn_on(model: LearnedModel, recipe: Recipe) -> Arrays | None:
    """Return the fitted state of clusters that learn on; None where these are to be fitted anew.

    That is: another algorithm, other settings or features, or files that are gone or damaged.
    """
    learns_on = recipe.config.get("algorithm") == MiniBatchKMeans.key
    if not learns_on or dict(recipe_of(model).config) != dict(recipe.config):
        return None
    try:
        return artifacts.load(model.manifest_sha256).arrays
    except ArtifactError:
        return None


def _verify(model: LearnedModel) -> None:
    """Fetch and build a version from its files, or refuse it."""
    facts = model.manifest["facts"]
    try:
        arrays = artifacts.load(model.manifest_sha256).arrays
        if model.kind == LearnedModel.Kind.CLUSTER:
            Segmentation.from_arrays(model.algorithm, arrays)
        elif model.kind == LearnedModel.Kind.PROPENSITY:
            Propensity.from_arrays(model.algorithm, facts["method"], arrays)
        elif model.kind == LearnedModel.Kind.VALUE:
            Worth.from_arrays(arrays)
        elif model.kind == LearnedModel.Kind.LOOKALIKE:
            Lookalike.from_arrays(facts["method"], arrays)
        else:
            NextCategory.from_arrays(model.algorithm, arrays)
    except (ArtifactError, ValueError, TypeError, KeyError) as error:
        msg = f"{model} cannot score: {error}"
        raise Unprocessable(msg) from error


def lock() -> None:
    """Have those who change what goes by a key wait for each other, until commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
