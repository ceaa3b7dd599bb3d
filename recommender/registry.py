"""Model versions: registered, gated, promoted, rolled back. Part of the services of this app.

Promotion is one transaction that moves one pointer; nodes notice within a second (`live`).
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Max, Q

from personalization.access.audit import audit
from personalization.lib import artifacts
from personalization.lib.artifacts import ArtifactError
from personalization.lib.errors import Conflict, Unprocessable
from personalization.lib.locks import hold
from recommender import live, tuned, weighing
from recommender.engine import keys
from recommender.engine.gate import Evidence, grown_objection, objection
from recommender.engine.strategies import is_popular
from recommender.engine.training import BLENDS, Fitted
from recommender.engine.units import VISIT_GAP_S
from recommender.models import ModelVersion

log = structlog.get_logger("recommender")

Status = ModelVersion.Status
# How a version came about (`facts["mode"]`): from the whole log, or from an earlier one.
FULL, GROWN = "full", "grown"
# `reason` of versions that somebody had go: neither a later roll-back nor an hour brings them back.
ROLLED_BACK = "rolled back"


def register(
    *,
    name: str,
    fitted: Fitted,
    item_keys: Sequence[str],
    about: Mapping[str, Any],
    run_id: int | None,
    now: datetime,
    cost: Mapping[str, float] | None = None,
) -> ModelVersion:
    """Store a fitted model's files and make it a candidate; return its row.

    Parameters
    ----------
    about
        What the fit does not know: `mode` (full or grown), `until_s`, the version it grew from.
    cost
        Seconds and memory of the fit: on the row alone, since equal data gives equal files.
    """
    described = {
        **fitted.facts,
        **about,
        **_made_by(name, fitted),
        "libraries": libraries(),
        "metrics": dict(fitted.metrics),
    }
    # a blend without a re-ranker is of models alone, not of items
    packed = {} if name in BLENDS and not fitted.arrays else keys.pack(item_keys)
    sha256, manifest = artifacts.save({**fitted.arrays, **packed}, described)
    with transaction.atomic():
        hold(ModelVersion._meta.db_table)
        last = ModelVersion.objects.filter(algorithm=name).aggregate(last=Max("number"))["last"]
        return ModelVersion.objects.create(
            algorithm=name,
            number=(last or 0) + 1,
            run_id=run_id,
            manifest_sha256=sha256,
            manifest=manifest,
            metrics={**fitted.metrics, **(cost or {})},
            created_at=now,
        )


def libraries() -> dict[str, str]:
    """Return the versions of what decides the numbers of a fit."""
    found = {
        name: metadata.version(name) for name in ("numpy", "scipy", "implicit", "scikit-learn")
    }
    return {"python": ".".join(map(str, sys.version_info[:3])), **found}


def _made_by(name: str, fitted: Fitted) -> dict[str, Any]:
    if name in BLENDS:
        return {"algorithm": live.BLEND, "config": fitted.facts["blend"], "recipe": name}
    found = _settings_of(name)
    # as it was fitted: somebody may have changed the settings meanwhile
    return found | {"config": fitted.facts.get("config", found["config"])}


def _settings_of(name: str) -> dict[str, Any]:
    """Return all that decides what the same data gives, as the shop trains it now."""
    recipe, weights = tuned.recipe_of(name), weighing.kind_weights()
    found = {
        "algorithm": recipe.algorithm.key,
        "config": recipe.config.to_json(),
        "recipe": name,
        "kinds": list(recipe.kinds),
        "weights": {kind: weights[kind] for kind in recipe.kinds},
        "unit": recipe.unit,
    }
    return found | ({"visit_gap_s": recipe.visit_gap_s} if recipe.unit == "visit" else {})


def is_as_trained_now(version: ModelVersion) -> bool:
    """Whether a version of a recipe was made with the settings that are in force."""
    # versions of before the pause was a setting say nothing of it
    facts = {"visit_gap_s": VISIT_GAP_S} | version.manifest["facts"]
    return all(facts.get(name) == value for name, value in _settings_of(version.algorithm).items())


def _unfit(version: ModelVersion) -> str:
    """Return why the stored files of a version cannot serve, "" where they can."""
    try:
        _verify(version)
    except Unprocessable as error:
        log.exception("model.unfit", model=version.algorithm, number=version.number)
        return str(error)
    return ""


def gate(version: ModelVersion, *, actor: str, now: datetime) -> ModelVersion:
    """Promote the candidate, or reject it with the reason; return its row as it is then."""
    serving = ModelVersion.objects.filter(algorithm=version.algorithm, status=Status.LIVE).first()
    candidate, before = _evidence(version), _evidence(serving) if serving else None
    if version.manifest["facts"].get("mode") == GROWN:
        reason = grown_objection(candidate, before)
    else:
        reason = objection(candidate, before, is_popularity=is_popular(version.algorithm))
    reason = reason or _unfit(version)
    if not reason:
        with transaction.atomic():
            hold(ModelVersion._meta.db_table)
            reason = _overtaken(version)
            if not reason:
                return _point(version.pk, actor=actor, now=now)
    with transaction.atomic():
        ModelVersion.objects.filter(pk=version.pk, status=Status.CANDIDATE).update(
            status=Status.REJECTED, reason=reason[:300]
        )
        version.refresh_from_db()
        audit(actor=actor, action="reject", obj=version, after={"reason": reason})
    return version


def _overtaken(version: ModelVersion) -> str:
    """Return why a grown version is too late, "" where it is not: of another base than what serves.

    Under the lock: a night, or somebody, may have moved the pointer while it was grown.
    """
    if version.manifest["facts"].get("mode") != GROWN:
        return ""
    serving = ModelVersion.objects.filter(algorithm=version.algorithm, status=Status.LIVE).first()
    base = _base(version)
    if serving is not None and _base(serving)[0] == base[0]:
        return ""
    return f"it was grown from version {base[1]}, and what serves now was not"


def _base(version: ModelVersion) -> tuple[int, int]:
    """Return (id, number) of the full version that a version is or was grown from."""
    base = version.manifest["facts"].get("base")
    return (base["id"], base["number"]) if base else (version.pk, version.number)


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
        hold(ModelVersion._meta.db_table)
        return _point(version_id, actor=actor, now=now)


def _point(version_id: int, *, actor: str, now: datetime) -> ModelVersion:
    """Move the pointer, under the lock."""
    version = ModelVersion.objects.select_for_update().get(pk=version_id)
    if version.status == Status.LIVE:
        return version
    before = version.status
    ModelVersion.objects.filter(algorithm=version.algorithm, status=Status.LIVE).update(
        status=Status.RETIRED
    )
    ModelVersion.objects.filter(pk=version.pk).update(
        status=Status.LIVE,
        promoted_at=now,
        reason="" if version.reason == ROLLED_BACK else version.reason,
    )
    version.refresh_from_db()
    audit(actor=actor, action="promote", obj=version, before={"status": before})
    return version


def rollback(name: str, *, actor: str, now: datetime, leaving: int | None = None) -> ModelVersion:
    """Have the version serve that was trained before the live one and has served; return it.

    Of a grown one that is a version of an earlier full training. What goes, with all that grew from
    the same training, is marked, so that no later roll-back brings it back.

    Parameters
    ----------
    leaving
        Id of the version that is to go; None for the live one, whichever it is.

    Raises
    ------
    Conflict
        None served before, or `leaving` does not serve (any more).
    """
    serving = _serving(name, leaving)
    previous = _target(name, serving)
    _verify(previous)
    with transaction.atomic():
        hold(ModelVersion._meta.db_table)
        if serving is not None:
            _serving(name, serving.pk)
            base = _base(serving)[0]
            ModelVersion.objects.filter(
                Q(pk=base) | Q(manifest__facts__base__id=base), promoted_at__isnull=False
            ).update(reason=ROLLED_BACK)
        return _point(previous.pk, actor=actor, now=now)


def rollback_target(version: ModelVersion) -> ModelVersion:
    """Return the version that would serve, were this one rolled back now.

    Raises
    ------
    Conflict
        None served before, or this one does not serve (any more).
    """
    return _target(version.algorithm, _serving(version.algorithm, version.pk))


def _target(name: str, serving: ModelVersion | None) -> ModelVersion:
    previous = _before(name, serving)
    if previous is None:
        msg = f"no earlier version of {name} has served"
        raise Conflict(msg)
    return previous


def _serving(name: str, expected: int | None) -> ModelVersion | None:
    serving = ModelVersion.objects.filter(algorithm=name, status=Status.LIVE).first()
    if expected is not None and (serving is None or serving.pk != expected):
        now_it_is = f"version {serving.number} does" if serving else "none does"
        msg = f"this version of {name} does not serve; {now_it_is}"
        raise Conflict(msg)
    return serving


def _before(name: str, serving: ModelVersion | None) -> ModelVersion | None:
    """Return the newest version that served, of an earlier full training than `serving`."""
    served = (
        ModelVersion.objects.filter(algorithm=name, status=Status.RETIRED)
        .exclude(reason=ROLLED_BACK)
        .order_by("-number")
    )
    first = _base(serving)[1] if serving else None
    return next((row for row in served if first is None or _base(row)[1] < first), None)


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
    grown = facts.get("mode") == GROWN
    return Evidence(
        # a grown model counts what it was grown from
        facts["interactions"] + (facts["base"]["interactions"] if grown else 0),
        max(facts["items"], facts["base"]["items"]) if grown else facts["items"],
        measured(version),
        facts.get("newest_s"),
        facts.get("top_share"),
        {name: facts.get(name) for name in ("config", "kinds", "weights", "unit")},
    )


def measured(version: ModelVersion) -> Mapping[str, Any]:
    """Return the metrics of a version; a grown one has those of the version it was grown from."""
    base = ModelVersion.objects.filter(pk=_base(version)[0]).first() or version
    return dict(base.metrics)
