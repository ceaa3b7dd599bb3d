"""Settings that differ from a recipe's own: what searches found, and what the shop has fixed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from personalization.access.audit import audit
from personalization.lib.errors import Conflict, Problem, Unprocessable
from recommender import weighing
from recommender.engine.algorithms import RECIPES, Recipe
from recommender.models import FoundSettings

log = structlog.get_logger("recommender")

Settings = dict[str, Any]


def found() -> Mapping[str, Settings]:
    """Return recipe name -> the settings that a search found, as far as this code knows them."""
    rows = FoundSettings.objects.order_by("algorithm")
    return {row.algorithm: dict(row.settings) for row in rows if _is_usable(row)}


def changes() -> Mapping[str, Settings]:
    """Return recipe name -> what differs from its own settings; what the shop fixes goes before."""
    searched, told = found(), weighing.fixed()
    return {name: searched.get(name, {}) | told.get(name, {}) for name in {**searched, **told}}


def recipe_of(name: str) -> Recipe:
    """Return a recipe as this shop trains it now."""
    return RECIPES[name].changed(changes().get(name, {})).parted(weighing.visit_gap_s())


def adopt(
    name: str, settings: Settings, *, told: Mapping[str, Any], run_id: int, actor: str, at: datetime
) -> None:
    """Have later trainings of a model use these settings; {} for its own. Idempotent."""
    if not settings:
        _drop(FoundSettings.objects.filter(algorithm=name).first(), actor=actor)
        return
    with transaction.atomic():
        before = FoundSettings.objects.filter(algorithm=name).first()
        row, _ = FoundSettings.objects.update_or_create(
            algorithm=name,
            defaults={
                "settings": settings,
                "told": dict(told),
                "run_id": run_id,
                "found_at": at,
            },
        )
        audit(
            actor=actor,
            action="adopt",
            obj=row,
            before={"settings": before.settings if before else {}},
            after={"settings": settings, "told": dict(told)},
        )
    log.info("model.settings_adopted", model=name, settings=settings)


def reset(name: str, *, actor: str) -> None:
    """Have later trainings of a model use its own settings again.

    Raises
    ------
    Unprocessable
        There is no such model.
    Conflict
        They do already.
    """
    row = FoundSettings.objects.filter(algorithm=name).first()
    if row is None and name not in RECIPES:
        msg = f"no model is called {name!r}; there are {', '.join(RECIPES)}"
        raise Unprocessable(msg, details=[Problem("models", name)])
    if row is None:
        msg = f"{name} is trained with its own settings already"
        raise Conflict(msg)
    _drop(row, actor=actor)


def _drop(row: FoundSettings | None, *, actor: str) -> None:
    if row is None:
        return
    with transaction.atomic():
        audit(actor=actor, action="reset", obj=row, before={"settings": row.settings})
        FoundSettings.objects.filter(pk=row.pk).delete()
    log.info("model.settings_reset", model=row.algorithm)


def _is_usable(row: FoundSettings) -> bool:
    """Whether this code has such a model and settings; another release may have found them."""
    try:
        RECIPES[row.algorithm].changed(row.settings)
    except (KeyError, TypeError, ValueError) as error:
        log.warning("model.settings_unknown", model=row.algorithm, error=str(error))
        return False
    return True
