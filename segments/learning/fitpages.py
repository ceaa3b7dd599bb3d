"""What the page of a fit shows: how far its job is, what came of it, who may do what."""

from typing import Any

from django.urls import reverse

from personalization.lib.widgets import number as grouped
from personalization.ops.models import JobRun
from segments.learning import fits, registry
from segments.learning.engine.catalogue import NAMES
from segments.learning.engine.methods import METHODS, SETTINGS
from segments.learning.engine.recipes import RECIPES, Recipe
from segments.learning.services import SCORE_KIND
from segments.models.learning import LearnedModel

_SAID = {
    "k": "number of groups {:g}",
    "least_share": "smallest group {:.1%} of customers",
    "reach": "reach {:g}",
}


def page_of(run: JobRun, *, may_change: bool) -> dict[str, Any]:
    """Return the context of `fit.html` and of `progress.html`, which is fetched while it works."""
    recipe = Recipe(**run.params["recipe"])
    model = LearnedModel.objects.filter(run_id=run.pk, key=recipe.key).first()
    slot = fits.scoring_slot(run)
    scoring = JobRun.objects.filter(kind=SCORE_KIND, slot=slot).first()
    busy = run.status in fits.OPEN
    return {
        "run": run,
        "title": recipe.title,
        "said": said_of(recipe),
        "told": _told(run),
        "status": run.get_status_display().lower(),
        "reason": fits.reason_of(run),
        "model_url": _model_url(model),
        "scoring": scoring,
        "scoring_told": _told(scoring) if scoring else "",
        "busy": busy or (scoring is not None and scoring.status in fits.OPEN),
        "may_cancel": may_change and busy and not run.cancel_requested,
        "live_url": reverse("admin:segments_learnedmodel_fit_live", args=[run.pk]),
        "cancel_url": reverse("admin:segments_learnedmodel_fit_cancel", args=[run.pk]),
        "job_url": reverse("admin:ops_jobrun_change", args=[run.pk]),
    }


def acts_of(model: LearnedModel) -> dict[str, str]:
    """Return the addresses of what can be done to a model, "" for what cannot."""
    is_live = model.status == LearnedModel.Status.LIVE
    is_cluster = model.kind == LearnedModel.Kind.CLUSTER
    form = reverse("admin:segments_learnedmodel_clusters")
    again = reverse("admin:segments_learnedmodel_again", args=[model.pk])
    stop = reverse("admin:segments_learnedmodel_stop", args=[model.pk])
    return {
        "change_url": f"{form}?from={model.pk}" if is_cluster else "",
        "again_url": "" if model.kind == LearnedModel.Kind.LOOKALIKE else again,
        "stop_url": stop if is_live and model.key not in RECIPES else "",
    }


def underway(key: str) -> str:
    """Return the address of the fit that is on its way, "" without one."""
    run = fits.runs_of(key).filter(status__in=fits.OPEN).first()
    return reverse("admin:segments_learnedmodel_fit", args=[run.pk]) if run else ""


def said_of(recipe: Recipe) -> str:
    """Return what clusters are made by, in words; empty for other kinds."""
    if recipe.kind != "cluster":
        return ""
    config = recipe.config
    words = [METHODS[config["algorithm"]].title]
    words += [_SAID[name].format(config[name]) for name in SETTINGS if config.get(name)]
    used = len(config.get("features") or NAMES)
    words.append(f"{used} of {len(NAMES)} features" if used < len(NAMES) else "all features")
    return ", ".join(words)


def method_of(model: LearnedModel) -> str:
    """Return what made a model: of clusters the method with its settings."""
    return said_of(registry.recipe_of(model)) or model.algorithm


def _model_url(model: LearnedModel | None) -> str:
    return "" if model is None else reverse("admin:segments_learnedmodel_change", args=[model.pk])


def _told(run: JobRun) -> str:
    of = f" of {grouped(run.total)}" if run.total else ""
    return f"{grouped(run.done)}{of} steps"
