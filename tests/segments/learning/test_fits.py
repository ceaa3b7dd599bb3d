"""Fits that somebody asks for, and their end: the job, the form, the page, what is refused."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from personalization.access.models import AuditEvent
from personalization.consent.models import ConsentState
from personalization.lib.errors import AppError
from personalization.ops import services as jobs
from personalization.ops.errors import Cancelled
from personalization.ops.fitprocess import FittingError
from personalization.ops.models import JobRun
from segments import services as segments
from segments.admin.clusterform import SUBJECTS, ClusterForm
from segments.learning import fits, services
from segments.learning.engine.catalogue import FEATURES, NAMES
from segments.learning.engine.recipes import Recipe
from segments.learning.tasks import fit as fit_task
from segments.learning.tasks import learn as learn_task
from segments.models.learning import LearnedModel, Score
from tests.access.test_api import member
from tests.recommender.shop import NOW
from tests.segments.learning.shop import habits

pytestmark = pytest.mark.django_db(transaction=True)
FORM = "admin:segments_learnedmodel_clusters"
# of nobody: what the pages read of clusters, and of lookalikes
METRICS: Any = {
    "k": 3, "customers": 0, "accuracy": 1.0, "candidates": [], "clusters": [], "map": [],
    "auc": 0.7, "ece": 0.1, "members": 20, "others": 20,
}  # fmt: skip
KINDS = services.cluster_recipe("kinds", algorithm="kmeans", k=3)


def given(**changes: Any) -> dict[str, Any]:
    """What a browser sends of the form, with these fields otherwise."""
    sent = {"title": "Kinds", "key": "kinds", "algorithm": "kmeans", "features": list(NAMES)}
    return {**sent, "k": "3", **changes}


def of(name: str, row: LearnedModel | JobRun) -> str:
    return reverse(f"admin:segments_learnedmodel_{name}", args=[row.pk])


def live(key: str, kind: str = "cluster", config: Any = None) -> LearnedModel:
    """A version that scores, of no files."""
    recipe = {"key": key, "kind": kind, "title": key, "config": config or {}}
    manifest = {"facts": {"recipe": recipe}}
    return LearnedModel.objects.create(
        key=key,
        kind=kind,
        version=1,
        status="live",
        algorithm="kmeans",
        manifest=manifest,
        metrics=METRICS,
        created_at=NOW,
    )


def test_form__posted__fits_in_a_job_by_consent_and_scores(shop: Path) -> None:
    who = habits(150)
    refusing = who[0].customer_id
    ConsentState.objects.create(customer_id=refusing, denied=2, updated_at=NOW)
    client = member("editor")

    sent = given(algorithm="gaussian_mixture", features=["orders", "sessions"], reach="7")
    answer = client.post(reverse(FORM), sent)
    run = JobRun.objects.get(kind=fits.RUN_KIND)
    waiting = client.get(answer["Location"]).content.decode()
    fit_task(run.slot)
    fit_task(run.slot)

    assert answer["Location"] == of("fit", run)
    assert f'data-live="{of("fit_live", run)}"' in waiting
    assert f"number of groups 3, 2 of {len(NAMES)} features" in waiting
    model = LearnedModel.objects.get()
    assert (model.key, model.status, model.algorithm) == ("kinds", "live", "gaussian_mixture")
    assert model.manifest["facts"]["recipe"]["config"] == {
        "algorithm": "gaussian_mixture", "k": 3, "features": ["orders", "sessions"],
    }  # fmt: skip
    scored = set(Score.objects.filter(key="cluster:kinds").values_list("customer_id", flat=True))
    assert len(scored) > 100
    assert refusing not in scored
    fragment = client.get(of("fit_live", run)).content.decode()
    assert of("change", model) in fragment
    assert "Stop the fit" not in fragment
    page = client.get(of("change", model)).content.decode()
    assert "cluster:kinds:NUMBER" in page
    assert "Between clusters" in page
    opened = client.get(f"{reverse(FORM)}?from={model.pk}").context["form"]
    assert (opened["k"].value(), opened["features"].value()) == (3, ["orders", "sessions"])
    assert AuditEvent.objects.filter(action="fit").count() == 1


@pytest.mark.parametrize(
    ("changes", "field", "fix"),
    [
        ({"title": ""}, "title", "required"),
        ({"key": "My Kinds"}, "key", "Use small letters"),
        ({"algorithm": "magic"}, "algorithm", "valid choice"),
        ({"k": "1"}, "k", "Give 2 to 20, or nothing"),
        ({"k": "many"}, "k", "Give 2 to 20, or nothing"),
        ({"algorithm": "hdbscan", "least_share": "80"}, "least_share", "Give 0.2 to 50 percent"),
        ({"algorithm": "dbscan", "reach": "nan"}, "reach", "Give 0.01 to 50"),
        ({"features": []}, "features", "Tick at least one"),
        ({"features": ["luck"]}, "features", "luck"),
        ({"key": "purchase_30d"}, "key", "Is taken; choose another one."),
        ({"key": "vips"}, "key", "Is taken; choose another one."),
        ({"key": "underway"}, "key", "Is being learnt; wait, or cancel that."),
    ],
)
def test_form__fault__stands_at_its_field_with_the_fix(
    shop: Path, changes: dict[str, Any], field: str, fix: str
) -> None:
    live("vips", "lookalike", {"segment": "vips"})
    before = fits.start_fit(recipe=Recipe("underway", "cluster", "", KINDS.config), actor="ann")

    page = member("editor").post(reverse(FORM), given(**changes))

    errors = page.context["form"].errors
    assert list(errors) == [field]
    assert fix in errors[field][0]
    assert list(JobRun.objects.filter(kind=fits.RUN_KIND)) == [before]


@pytest.mark.parametrize(
    ("changes", "config"),
    [
        ({"k": ""}, {"algorithm": "kmeans", "k": 0, "features": []}),
        (
            {"algorithm": "hdbscan", "least_share": "5"},
            {"algorithm": "hdbscan", "k": 0, "features": [], "least_share": 0.05},
        ),
        (
            {"algorithm": "dbscan", "reach": "1.5", "features": ["orders"]},
            {"algorithm": "dbscan", "k": 0, "features": ["orders"], "reach": 1.5},
        ),
    ],
)
def test_form__settings_of_another_method__were_not_seen_and_are_dropped(
    changes: dict[str, Any], config: dict[str, Any]
) -> None:
    form = ClusterForm(given(**changes))

    assert form.is_valid(), form.errors
    assert form.recipe.config == config


def test_form__boxes__each_feature_once_and_all_ticked() -> None:
    form = ClusterForm()

    boxes = [one.data["value"] for _, boxes in form.subjects() for one in boxes]

    assert sorted(boxes) == sorted(NAMES)
    assert form["features"].value() == list(NAMES)
    families = [one for names in SUBJECTS.values() for one in names]
    assert sorted(families) == sorted({one.family for one in FEATURES})


def test_cancel__at_work__stops_and_says_so(shop: Path) -> None:
    client: Client = member("editor")
    run = fits.start_fit(recipe=KINDS, actor="ann")
    jobs.start_run(kind=run.kind, slot=run.slot)
    jobs.advance(run.pk, done=1, total=2)
    assert '<progress max="2" value="1"' in client.get(of("fit_live", run)).content.decode()

    client.post(of("fit_cancel", run))

    run.refresh_from_db()
    assert run.cancel_requested
    assert "stopping" in client.get(of("fit_live", run)).content.decode()
    with pytest.raises(Cancelled):
        jobs.advance(run.pk)
    again = client.post(of("fit_cancel", run), follow=True)
    assert "nothing was stopped" in again.content.decode()


def test_beat__wake_up_was_lost__learnt_all_the_same_and_says_why_not(shop: Path) -> None:
    run = fits.start_fit(recipe=KINDS, actor="ann")

    learn_task()

    run.refresh_from_db()
    assert run.status == "succeeded"
    assert "it takes 100 customers" in fits.reason_of(run)
    page = member("viewer").get(of("fit", run)).content.decode()
    assert "it takes 100 customers" in page
    assert not JobRun.objects.filter(kind=services.SCORE_KIND).exists()


def test_pages__viewer__looks_and_starts_nothing(shop: Path) -> None:
    client = member("viewer")
    model = live("kinds", config=KINDS.config)
    run = fits.start_fit(recipe=Recipe("others", "cluster", "", KINDS.config), actor="ann")

    refused = [
        client.get(reverse(FORM)),
        client.post(reverse(FORM), given()),
        client.post(of("again", model)),
        client.post(of("stop", model)),
        client.post(of("fit_cancel", run)),
    ]

    assert {one.status_code for one in refused} == {403}
    assert client.get(of("fit", run)).status_code == 200
    assert "Stop the fit" not in client.get(of("fit", run)).content.decode()
    listed = client.get(reverse("admin:segments_learnedmodel_changelist")).content.decode()
    assert "Find clusters" not in listed
    assert '<span class="note">kinds</span>' in listed
    assert JobRun.objects.count() == 1


def test_again__by_the_recipe_of_the_version__lookalikes_by_their_segment(shop: Path) -> None:
    client = member("editor")
    model, alike = live("kinds", config=KINDS.config), live("vips", "lookalike", {"segment": "x"})

    started = client.post(of("again", model))
    twice = client.post(of("again", model), follow=True)
    refused = client.post(of("again", alike), follow=True)

    run = JobRun.objects.get(kind=fits.RUN_KIND)
    assert started["Location"] == of("fit", run)
    assert run.params["recipe"]["config"] == dict(KINDS.config)
    assert f"is being learnt by job {run.pk}" in twice.content.decode()
    assert "learnt with its segment" in refused.content.decode()


def test_stop__own_model__retires_with_its_job_and_nothing_learns_it_again(shop: Path) -> None:
    client = member("editor")
    model = live("kinds", config=KINDS.config)
    run = fits.start_fit(recipe=KINDS, actor="ann")

    client.post(of("stop", model))

    model.refresh_from_db()
    run.refresh_from_db()
    assert (model.status, run.status) == ("retired", "cancelled")
    assert "kinds" not in {one.key for one in services.due_recipes()}
    assert AuditEvent.objects.filter(action="retire").count() == 1
    twice = client.post(of("stop", model), follow=True)
    assert "scores anybody" in twice.content.decode()


def test_stop__while_the_night_learns_it__stays_stopped(shop: Path) -> None:
    habits(120)
    services.learn(slot="first", actor="beat", now=NOW, recipes=[KINDS])

    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == "learning kinds":
            fits.stop_model(key="kinds", actor="ann")

    night = NOW + timedelta(days=1)
    told = services.learn(slot="night", actor="beat", now=night, recipes=[KINDS], report=stop)

    assert told is not None
    assert (told[0].status, told[0].reason) == (
        "rejected", "it was stopped while it was being learnt",
    )  # fmt: skip
    assert not LearnedModel.objects.filter(status="live").exists()
    assert "kinds" not in {one.key for one in services.due_recipes()}


@pytest.mark.parametrize("score", ["cluster:kinds", "cluster:kinds:2"])
def test_stop__rules_read_it__refused_naming_them(shop: Path, score: str) -> None:
    live("kinds", config=KINDS.config)
    Score.objects.create(customer_id=1, key=score, value=2)
    rule: Any = {"kind": "score", "key": score, "op": "gte", "value": 0.5}
    segments.create_segment(key="second", values={}, rule=rule, actor="ann")

    with pytest.raises(AppError) as raised:
        fits.stop_model(key="kinds", actor="ann")

    assert raised.value.code == "model_used"
    assert [one.path for one in raised.value.details] == ["segments.second"]
    assert LearnedModel.objects.get().status == "live"


def test_stop__standard_model__would_be_back_tomorrow(shop: Path) -> None:
    live("customers", config={"algorithm": "kmeans"})

    with pytest.raises(AppError) as raised:
        fits.stop_model(key="customers", actor="ann")

    assert raised.value.code == "standard_model"


def test_fit__its_process_is_killed__said_in_words_and_a_later_beat_goes_on(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    habits(120)
    run = fits.start_fit(recipe=KINDS, actor="ann")
    begin = subprocess.Popen

    def killed(*args: Any, **options: Any) -> Any:
        process = begin(*args, **options)
        process.kill()
        return process

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", killed)
        with pytest.raises(FittingError):
            fit_task(run.slot)
    run.refresh_from_db()
    told = (run.status, "was killed" in run.error, LearnedModel.objects.exists())
    fits.work_on_open(now=NOW)
    run.refresh_from_db()

    assert told == (JobRun.Status.FAILED, True, False)
    assert (run.status, run.attempts, run.error) == (JobRun.Status.SUCCEEDED, 2, "")
    assert LearnedModel.objects.get().status == LearnedModel.Status.LIVE
