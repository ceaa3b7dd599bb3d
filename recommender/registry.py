"""Model versions: registered, gated, promoted, rolled back. Part of the services of this app.

Promotion is one transaction that moves one pointer; nodes notice within a second (`live`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from numpy.typing import NDArray

from personalization.access.audit import audit
from personalization.lib import artifacts
from personalization.lib.artifacts import ArtifactError
from personalization.lib.errors import Conflict, Unprocessable
from recommender import live
from recommender.engine import keys
from recommender.engine.algorithms import RECIPES
from recommender.engine.gate import Evidence, objection
from recommender.models import ModelVersion

Status = ModelVersion.Status
# An arbitrary constant that no other advisory lock of the project uses ("model" in ASCII).
_LOCK = 0x6D6F64656C


def register(
    *,
    name: str,
    arrays: Mapping[str, NDArray[Any]],
    item_keys: Sequence[str],
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any],
    run_id: int | None,
    now: datetime,
) -> ModelVersion:
    """Store a fitted model's files and make it a candidate; return its row.

    Parameters
    ----------
    facts
        Of the data: `interactions`, `users`, `items`, window. Algorithm and settings are added.
    """
    recipe = RECIPES[name]
    described = {
        **facts,
        "algorithm": recipe.algorithm.key,
        "config": recipe.config.to_json(),
        "recipe": name,
        "metrics": dict(metrics),
    }
    sha256, manifest = artifacts.save({**arrays, **keys.pack(item_keys)}, described)
    with transaction.atomic():
        _lock()
        last = ModelVersion.objects.filter(algorithm=name).aggregate(last=Max("number"))["last"]
        return ModelVersion.objects.create(
            algorithm=name,
            number=(last or 0) + 1,
            run_id=run_id,
            manifest_sha256=sha256,
            manifest=manifest,
            metrics=dict(metrics),
            created_at=now,
        )


def gate(version: ModelVersion, *, actor: str, now: datetime) -> ModelVersion:
    """Promote the candidate, or reject it with the reason; return its row as it is then."""
    serving = ModelVersion.objects.filter(algorithm=version.algorithm, status=Status.LIVE).first()
    reason = objection(
        _evidence(version),
        _evidence(serving) if serving else None,
        is_popularity=version.algorithm == "popularity",
    )
    if not reason:
        return promote(version.pk, actor=actor, now=now)
    with transaction.atomic():
        ModelVersion.objects.filter(pk=version.pk, status=Status.CANDIDATE).update(
            status=Status.REJECTED, reason=reason[:300]
        )
        version.refresh_from_db()
        audit(actor=actor, action="reject", obj=version, after={"reason": reason})
    return version


def promote(version_id: int, *, actor: str, now: datetime) -> ModelVersion:
    """Have a version serve and the present one retire; return its row. Idempotent.

    Raises
    ------
    Unprocessable
        Its files do not verify: what cannot serve must not become the pointer.
    """
    version = ModelVersion.objects.get(pk=version_id)
    if version.status == Status.LIVE:
        return version
    _verify(version)
    with transaction.atomic():
        _lock()
        version = ModelVersion.objects.select_for_update().get(pk=version_id)
        if version.status == Status.LIVE:
            return version
        before = version.status
        ModelVersion.objects.filter(algorithm=version.algorithm, status=Status.LIVE).update(
            status=Status.RETIRED
        )
        ModelVersion.objects.filter(pk=version.pk).update(status=Status.LIVE, promoted_at=now)
        version.refresh_from_db()
        audit(actor=actor, action="promote", obj=version, before={"status": before})
    return version


def rollback(name: str, *, actor: str, now: datetime) -> ModelVersion:
    """Promote the version that served before the live one; return it.

    Raises
    ------
    Conflict
        None served before.
    """
    serving = ModelVersion.objects.filter(algorithm=name, status=Status.LIVE).first()
    before = ModelVersion.objects.filter(algorithm=name, status=Status.RETIRED)
    if serving is not None and serving.promoted_at is not None:
        before = before.filter(promoted_at__lt=serving.promoted_at)
    previous = before.order_by("-promoted_at").first()
    if previous is None:
        msg = f"no earlier version of {name} has served"
        raise Conflict(msg)
    return promote(previous.pk, actor=actor, now=now)


def _verify(version: ModelVersion) -> None:
    """Fetch and load a version's files, or refuse it.

    Not inside the transaction that promotes: files are large, and a transaction that has written
    holds back every processor (they read the log up to the oldest open one).
    """
    try:
        live.load(version.algorithm, version.number, version.manifest_sha256)
    except (ArtifactError, ValueError, TypeError, KeyError) as error:
        msg = f"{version} cannot serve: {error}"
        raise Unprocessable(msg) from error


def _evidence(version: ModelVersion) -> Evidence:
    facts = version.manifest["facts"]
    return Evidence(facts["interactions"], facts["items"], version.metrics)


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
