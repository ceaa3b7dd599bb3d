"""Fits that somebody asks for: a job learns one model, then scores everybody; and the end of one.

Part of the services of segments. What a fit reads has passed the gate (`learning.features`): who
refuses personalization is neither learnt from nor scored.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from personalization.access.audit import audit
from personalization.lib import clock
from personalization.lib.errors import Problem
from personalization.lib.keys import key_fault
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from segments import selectors
from segments.learning import registry, scoring, services
from segments.learning.engine.recipes import RECIPES, Recipe
from segments.learning.errors import (
    FitUnderway,
    ModelKeyTaken,
    ModelUnfit,
    ModelUnknown,
    ModelUsed,
    StandardModel,
)
from segments.models.learning import LearnedModel

RUN_KIND = "segments.fit"
OPEN = (JobRun.Status.PENDING, JobRun.Status.RUNNING)


@transaction.atomic
def start_fit(*, recipe: Recipe, actor: str) -> JobRun:
    """Have a job learn a model by this recipe, then score everybody; return its run.

    What passes the gate serves, and is learnt anew every night by the same recipe.

    Raises
    ------
    ModelUnfit
        Nothing can go by the key.
    ModelKeyTaken
        A model of another kind goes by it.
    FitUnderway
        A job is learning it already.
    """
    registry.lock()
    _refuse(recipe)
    # the column holds sixty characters; who asks waits for the lock, so moments differ
    slot = f"{recipe.key[:27]} {clock.now().isoformat()}"
    params = {"actor": actor, "recipe": asdict(recipe)}
    run = jobs.request_run(kind=RUN_KIND, slot=slot, params=params)
    audit(actor=actor, action="fit", obj=run, after=params)
    return run


def start_again(*, model: LearnedModel, actor: str) -> JobRun:
    """Have a job learn a model anew by the recipe of one of its versions; return its run.

    Raises
    ------
    ModelUnfit
        It is a lookalike, which its segment's own action learns.
    FitUnderway
        A job is learning it already.
    """
    if model.kind == LearnedModel.Kind.LOOKALIKE:
        msg = f"{model.key} is learnt with its segment: POST /api/segments/{model.key}/lookalike/"
        raise ModelUnfit(msg)
    return start_fit(recipe=registry.recipe_of(model), actor=actor)


def work(slot: str, *, now: datetime) -> None:
    """Do the job of one request, then score everybody. Twice is once; a dead run goes on."""
    run = JobRun.objects.filter(kind=RUN_KIND, slot=slot).first()
    if run is not None:
        learn_and_score(run, Recipe(**run.params["recipe"]), now=now)


def learn_and_score(run: JobRun, recipe: Recipe, *, now: datetime) -> None:
    """Learn what a requested run is for; score everybody when that serves."""
    actor = run.params["actor"]
    services.learn(kind=run.kind, slot=run.slot, actor=actor, now=now, recipes=[recipe])
    run.refresh_from_db()
    if run.status == JobRun.Status.SUCCEEDED and not reason_of(run):
        services.score(slot=scoring_slot(run), now=now)


def scoring_slot(run: JobRun) -> str:
    """Return the slot of the scoring that follows a requested run."""
    return f"{run.kind.rpartition('.')[2]} {run.pk}"


def work_on_open(*, now: datetime) -> None:
    """Go on with every request that is not over: whose wake-up was lost, whose worker died."""
    for slot in jobs.open_slots(RUN_KIND):
        work(slot, now=now)


def runs_of(key: str) -> QuerySet[JobRun]:
    """Return the runs that somebody asked for of a model, newest first."""
    return JobRun.objects.filter(kind=RUN_KIND, params__recipe__key=key).order_by("-pk")


def reason_of(run: JobRun | None) -> str:
    """Return why a run gave nothing that serves; empty while it works, and when it did."""
    if run is None:
        return ""
    told: list[dict[str, Any]] = run.result.get("models", [])
    refused = [one["reason"] for one in told if one["status"] != LearnedModel.Status.LIVE]
    return refused[0] if refused else run.error


@transaction.atomic
def stop_model(*, key: str, actor: str) -> None:
    """Have a model of the shop's own score nobody any more, nor be learnt again.

    Runs that somebody asked for are asked to stop; what another one makes of it does not serve.
    The next scoring removes what it said.

    Raises
    ------
    ModelUnknown
        No version of it serves.
    StandardModel
        Every shop has it.
    ModelUsed
        Rules read it; the details name their segments.
    """
    registry.lock()
    model = LearnedModel.objects.filter(key=key, status=LearnedModel.Status.LIVE).first()
    if model is None:
        msg = f"no version of {key!r} scores anybody"
        raise ModelUnknown(msg)
    if key in RECIPES:
        msg = f"{key} is one of the models that every shop has; it would be back tomorrow"
        raise StandardModel(msg)
    owned = scoring.owned_by(registry.recipe_of(model))
    users = selectors.readers_of_scores(owned.keys, owned.prefixes)
    if users:
        msg = f"rules read what {key} says; change them first"
        raise ModelUsed(
            msg, details=[Problem(f"segments.{one}", f"segment {one}") for one in sorted(users)]
        )
    for run in JobRun.objects.filter(status__in=OPEN, params__contains=_asked_of(model)):
        jobs.request_cancel(run.pk, actor=actor)
    registry.retire(key, actor=actor)


def _asked_of(model: LearnedModel) -> dict[str, Any]:
    """Return what the parameters of a run say that somebody asked for of this model."""
    if model.kind == LearnedModel.Kind.LOOKALIKE:
        return {"segment": model.key}
    return {"recipe": {"key": model.key}}


def _refuse(recipe: Recipe) -> None:
    fix = key_fault(recipe.key)
    if fix:
        msg = "this key cannot be used"
        raise ModelUnfit(msg, details=[Problem("key", fix)])
    standard = RECIPES.get(recipe.key)
    others = LearnedModel.objects.filter(key=recipe.key).exclude(kind=recipe.kind)
    if others.exists() or (standard is not None and standard.kind != recipe.kind):
        msg = f"another model is called {recipe.key!r}"
        raise ModelKeyTaken(msg, details=[Problem("key", "is taken; choose another one")])
    underway = runs_of(recipe.key).filter(status__in=OPEN).first()
    if underway is not None:
        msg = f"{recipe.key} is being learnt by job {underway.pk}; wait for it, or cancel it"
        raise FitUnderway(msg, details=[Problem("key", "is being learnt; wait, or cancel that")])
