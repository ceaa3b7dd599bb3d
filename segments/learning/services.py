"""Learning: a run of one slot reads the log once, fits each model, the gate decides; then scoring.

Part of the services of segments. What changed is told by `announce`, to the rules that read it.
"""

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from django.db import transaction

from personalization.events import extraction
from personalization.lib import clock
from personalization.lib.errors import Problem, Unprocessable
from personalization.lib.progress import Report, silent
from personalization.ops import fitprocess, pulse
from personalization.ops import serve as config
from personalization.ops import services as jobs
from personalization.ops.errors import Cancelled
from personalization.ops.models import JobRun
from segments.learning import features, fitting, members, registry, scores, scoring
from segments.learning.engine import methods
from segments.learning.engine.recipes import RECIPES, Before, CannotLearn, Recipe
from segments.live import backfilling
from segments.live.rules import Live, live
from segments.models.learning import LearnedModel, Observation, Score

log = structlog.get_logger("segments")

LEARN_KIND = "segments.learn"
SCORE_KIND = "segments.score"
_FITTING = "segments.learning.fitting"
# Customers that models learn from at most: beyond it figures move in the third digit.
SAMPLE = 50_000
SCORE_EVERY_HOURS = 6
OBSERVATIONS_KEPT = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Learned:
    """What became of one model: `status` live, rejected or untrained, `reason` why."""

    key: str
    version: int | None
    status: str
    algorithm: str
    reason: str


def announce(customer_ids: Sequence[int], keys: Collection[str]) -> None:
    """Have the live rules that read scores of these keys (none: any) decide these customers again.

    Called in the transaction that wrote them, once for some hundred customers.
    """
    log.debug("score.changed", customers=len(customer_ids), keys=len(keys))
    config.look_again()
    if _readers(live(), keys):
        backfilling.redecide_all(
            customer_ids, places=lambda rules: _readers(rules, keys), cause="score"
        )


def _readers(rules: Live, keys: Collection[str]) -> set[int]:
    return rules.program.reading("score", keys or None)


def slot_at(now: datetime) -> str:
    """Return the slot that is due: one a night; one an hour while nothing scores yet."""
    scores_any = LearnedModel.objects.filter(status=LearnedModel.Status.LIVE).exists()
    return jobs.slot_at(now, is_first=not scores_any)


def relearn(*, slot: str, actor: str, now: datetime) -> list[Learned] | None:
    """Learn all models anew for `slot`, or for the one that is due; None when nothing is to do.

    A shop whose log is empty, or being filled with a history, starts no run by itself, so that its
    events find the slot free.
    """
    kinds = ("view", "add", "order")
    if not slot and (jobs.is_log_filling() or not extraction.any_touch(kinds=kinds, until=now)):
        return None
    return learn(slot=slot or slot_at(now), actor=actor, now=now, recipes=due_recipes())


def rescore(*, slot: str, now: datetime) -> dict[str, int] | None:
    """Score everybody for `slot`, or for the one that is due; None when there is nothing to do."""
    if not LearnedModel.objects.filter(status=LearnedModel.Status.LIVE).exists():
        return None
    part = now.hour // SCORE_EVERY_HOURS
    return score(slot=slot or f"{now:%Y-%m-%d} {part}", now=now)


def due_recipes() -> list[Recipe]:
    """Return what beat learns: the shop's standard models, and those that somebody added.

    A model that serves keeps the settings it was made with.
    """
    found = dict(RECIPES)
    for row in LearnedModel.objects.filter(status=LearnedModel.Status.LIVE):
        found[row.key] = registry.recipe_of(row)
    return list(found.values())


def cluster_recipe(
    key: str,
    *,
    algorithm: str,
    title: str = "",
    features_used: Sequence[str] = (),
    **settings: float,
) -> Recipe:
    """Return a recipe of clusters; settings as in `methods.SETTINGS`, those at default left out.

    Without features it uses all; with `k` 0 silhouette and stability choose how many.

    Raises
    ------
    Unprocessable
        Names each fault: no such algorithm, setting, or feature.
    """
    config = {"algorithm": algorithm, "k": 0, "features": list(features_used), **settings}
    wrong = [Problem(name, fix) for name, fix in methods.faults(config)]
    if wrong:
        msg = f"these clusters cannot be learnt: {wrong[0].path} {wrong[0].problem}"
        raise Unprocessable(msg, details=wrong)
    named = title or f"Clusters by {methods.METHODS[algorithm].title}"
    return Recipe(key, "cluster", named, config)


def lookalike_recipe(segment_key: str) -> Recipe:
    """Return the recipe of customers who are like the members of a segment."""
    config = {"segment": segment_key}
    return Recipe(segment_key, "lookalike", f"Like the members of {segment_key}", config)


def learn(
    *,
    slot: str,
    actor: str,
    now: datetime,
    recipes: Sequence[Recipe] = tuple(RECIPES.values()),
    report: Report = silent,
    kind: str = LEARN_KIND,
) -> list[Learned] | None:
    """Learn models from the log and promote those that pass; None when the slot was run before.

    One run row a slot (of `kind`), so two beats learn once. A resumed run goes on after the models
    that its checkpoint lists. Cancelling ends the fitting process within half a second. A model
    that cannot be learnt says what is missing and leaves the one that serves alone.

    Raises
    ------
    Cancelled, FittingError
        The run is marked so.
    """
    run = jobs.start_run(kind=kind, slot=slot, params={"models": [one.key for one in recipes]})
    if run is None:
        return None
    try:
        learned = _learn(run, recipes, actor=actor, now=now, report=report)
    except Cancelled:
        raise
    except Exception as error:
        jobs.fail(run.pk, error=f"{type(error).__name__}: {error}")
        raise
    jobs.succeed(run.pk, result={"models": [asdict(one) for one in learned]})
    return learned


def score(*, slot: str, now: datetime) -> dict[str, int] | None:
    """Ask every live model about every customer; None when the slot was run before.

    Raises
    ------
    Cancelled
        The run is marked so.
    """
    run = jobs.start_run(kind=SCORE_KIND, slot=slot, params={"as_of": now.isoformat()})
    if run is None:
        return None
    # a resumed run goes on as of the moment that it began with
    as_of = datetime.fromisoformat(run.params["as_of"])
    try:
        with pulse.beating(run.pk):
            found = scoring.run(run, as_of=as_of, announce=announce)
        Observation.objects.filter(as_of__lt=now - OBSERVATIONS_KEPT).delete()
    except Cancelled:
        raise
    except Exception as error:
        jobs.fail(run.pk, error=f"{type(error).__name__}: {error}")
        raise
    jobs.succeed(run.pk, result=found)
    log.info("customers.scored", **found)
    return found


@transaction.atomic
def forget(customer_ids: Collection[int]) -> int:
    """Delete all that models say of customers (withdrawal, erasure, merge); return rows gone."""
    gone = scores.forget(customer_ids)
    if gone:
        announce(sorted(customer_ids), ())
    return gone


def _learn(
    run: JobRun, recipes: Sequence[Recipe], *, actor: str, now: datetime, report: Report
) -> list[Learned]:
    done: dict[str, Any] = dict(run.checkpoint.get("models", {}))
    total = len(recipes) + 1
    serving = _serving()
    report("reading the log", 0, total)
    jobs.advance(run.pk, done=len(done), total=total)
    with fitprocess.folder() as folder:
        facts = _lay_out(run, folder, recipes, now)
        jobs.advance(run.pk, done=len(done) + 1)
        due = {str(n): one for n, one in enumerate(recipes) if one.key not in done}
        for name, recipe in due.items():
            _write_task(run, folder / name, recipe, now=now)
        with fitprocess.started(_FITTING, folder, list(due)) as wait:
            for name, recipe in due.items():
                report(f"learning {recipe.key}", len(done) + 1, total)
                wait(name, lambda: jobs.advance(run.pk))
                learned = _judge(
                    run, folder / name, recipe, facts, serving=serving, actor=actor, now=now
                )
                done[recipe.key] = asdict(learned)
                jobs.advance(run.pk, done=len(done) + 1, checkpoint={"models": done})
                log.info("model.learned", model=recipe.key, status=learned.status)
    report("done", total, total)
    return [Learned(**done[recipe.key]) for recipe in recipes]


def _lay_out(
    run: JobRun, folder: Path, recipes: Sequence[Recipe], now: datetime
) -> Mapping[str, Any]:
    """Write the log's sample for the fitting process; return what it holds."""
    one_in = max(1, -(-features.customers() // SAMPLE))
    wanted = [one for one in recipes if one.kind == "lookalike"]
    also = np.concatenate(
        [np.zeros(0, np.int64)] + [members.of_segment(one.config["segment"]) for one in wanted]
    )
    with pulse.beating(run.pk) as check:
        events = features.events(
            until=now,
            one_in=one_in,
            also=np.unique(also)[:SAMPLE].tolist(),
            progress=lambda _rows: check(),
        )
    fitting.write_events(folder, events)
    return {
        "events": len(events),
        "customers": int(np.unique(events.customer).size),
        "one_in": one_in,
        "from_us": int(events.at_us.min()) if len(events) else None,
        "until_us": clock.to_us(now),
    }


def _write_task(run: JobRun, folder: Path, recipe: Recipe, *, now: datetime) -> None:
    whose = members.of_segment(recipe.config["segment"]) if recipe.kind == "lookalike" else None
    fitting.write_task(
        folder,
        recipe,
        as_of_us=clock.to_us(now),
        seed=_seed(run, recipe),
        before=_before(recipe),
        members=whose,
    )


def _judge(
    run: JobRun,
    folder: Path,
    recipe: Recipe,
    facts: Mapping[str, Any],
    *,
    serving: Collection[str],
    actor: str,
    now: datetime,
) -> Learned:
    """Register what was fitted, or say why nothing was; the gate decides whether it serves.

    `serving`: keys that served when the run began; one that was stopped since stays stopped.
    """
    try:
        fit = fitting.read_result(folder)
    except CannotLearn as error:
        return Learned(recipe.key, None, "untrained", "", str(error))
    described = {**facts, "seed": _seed(run, recipe)}
    if recipe.kind == "category":
        names = features.category_names(fit.arrays["codes"].tolist())
        described["names"] = {str(code): name for code, name in names.items()}
    model = registry.register(recipe, fit, facts=described, run_id=run.pk, now=now)
    with transaction.atomic():
        # who stops a model holds the same lock
        registry.lock()
        stopped = recipe.key in serving and recipe.key not in _serving()
        objection = "it was stopped while it was being learnt" if stopped else fit.objection
        model = registry.gate(model, objection, actor=actor, now=now)
    return Learned(recipe.key, model.version, model.status, model.algorithm, model.reason)


def _serving() -> set[str]:
    """Return the keys of models that score now."""
    rows = LearnedModel.objects.filter(status=LearnedModel.Status.LIVE)
    return set(rows.values_list("key", flat=True))


def _seed(run: JobRun, recipe: Recipe) -> int:
    """Return the seed of one model in one run: learning a slot anew gives the same model."""
    return zlib.crc32(f"{recipe.key} {run.slot}".encode())


def _before(recipe: Recipe) -> Before | None:
    """Return the clusters that customers are in now: new ones keep their numbers, or learn on."""
    rows = LearnedModel.objects.filter(key=recipe.key, kind=LearnedModel.Kind.CLUSTER)
    live = rows.filter(status=LearnedModel.Status.LIVE).first()
    if recipe.kind != "cluster" or not rows.exists():
        return None
    held = Score.objects.filter(key=f"cluster:{recipe.key}").order_by("customer_id")
    pairs = list(held.values_list("customer_id", "value")[:SAMPLE])
    used = [row.metrics.get("next_id", 0) for row in rows.order_by("-version")[: registry.KEPT]]
    return Before(
        np.array([customer for customer, _ in pairs], np.int64),
        np.array([value for _, value in pairs], np.int64),
        max(used, default=0),
        registry.arrays_to_learn_on(live, recipe) if live is not None else None,
        live.version if live is not None else None,
    )
