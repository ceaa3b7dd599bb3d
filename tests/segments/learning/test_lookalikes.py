"""Lookalikes that somebody asks for: of a rule, by both doors, with progress, by consent."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from personalization.access.models import AuditEvent
from personalization.consent.models import ConsentState
from personalization.events.processor.loop import Processor
from personalization.lib.errors import AppError
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from segments import services as segments
from segments.learning import lookalikes, members, services
from segments.learning.tasks import learn as learn_task
from segments.learning.tasks import lookalike as lookalike_task
from segments.models import Segment
from segments.models.learning import LearnedModel, Score
from tests.access.test_api import code, member
from tests.recommender.shop import NOW
from tests.segments.learning.shop import habits
from tests.segments.live.world import count, filled, go_live
from tests.segments.people import server

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = "/api/segments/buyers/lookalike/"
# members whom nothing else is known of
SOME = range(1, 31)
# who bought often, and of them some by lot: the rest is like them
BUYERS: Any = {
    "and": [
        count("Order Completed", days=200, value=5),
        {"kind": "bucket", "salt": "half", "from": 0, "to": 0.5},
    ]
}


def test_lookalikes__of_a_rule__learnt_and_scored_by_consent(shop: Path) -> None:
    who = habits(150)
    Processor().drain()
    go_live("buyers", BUYERS)
    inside = members.of_segment("buyers").tolist()
    # one of the members, one of the others: both refuse from now on
    refusing = [inside[0], next(o.customer_id for o in who if o.customer_id not in inside)]
    ConsentState.objects.bulk_create(
        ConsentState(customer_id=one, denied=2, updated_at=NOW) for one in refusing
    )
    client = server("admin")

    asked = client.post(ADDRESS)
    assert (asked.status_code, asked.json()["run"]["status"]) == (202, "pending")
    lookalike_task(JobRun.objects.get(pk=asked.json()["run"]["id"]).slot)

    told = client.get(ADDRESS).json()
    assert (told["run"]["status"], told["reason"], told["score"]) == (
        "succeeded", "", "lookalike:buyers",
    )  # fmt: skip
    assert told["run"]["done"] > 0
    assert told["model"]["auc"] > 0.7
    assert told["model"]["members"] == len(inside) - 1
    scored = dict(Score.objects.filter(key=told["score"]).values_list("customer_id", "value"))
    assert len(scored) > 100
    assert not scored.keys() & set(refusing)
    others = {one for one, value in scored.items() if value >= 0.5} - set(inside)
    assert told["alike"] == len(others) > 0

    page = member("editor").get(reverse("admin:segments_segment_change", args=[row_id()]))
    assert "lookalike:buyers" in page.content.decode()
    assert "Learn lookalikes again" in page.content.decode()


def row_id() -> int:
    return int(Segment.objects.get(key="buyers").pk)


def test_start__twice__one_run(shop: Path) -> None:
    filled("buyers", SOME)

    runs = {
        lookalikes.start_lookalikes(key="buyers", actor="ann").pk,
        lookalikes.start_lookalikes(key="buyers", actor="ann").pk,
    }

    assert JobRun.objects.filter(kind=lookalikes.RUN_KIND).count() == len(runs) == 1
    assert AuditEvent.objects.filter(action="lookalike").count() == 1


@pytest.mark.parametrize(
    ("key", "number", "why"),
    [
        ("buyers", 3, "too_few_members"),
        ("customers", 30, "model_key_taken"),
        ("nobody", 0, "segment_unknown"),
    ],
)
def test_start__cannot_be_learnt__refused(shop: Path, key: str, number: int, why: str) -> None:
    if number:
        filled(key, range(1, number + 1))

    with pytest.raises(AppError) as raised:
        lookalikes.start_lookalikes(key=key, actor="ann")

    assert raised.value.code == why
    assert not JobRun.objects.filter(kind=lookalikes.RUN_KIND).exists()


def test_admin__asked_for__shows_how_far_it_is(shop: Path) -> None:
    row = filled("buyers", SOME)
    client: Client = member("editor")
    address = reverse("admin:segments_segment_lookalikes", args=[row.pk])

    client.post(address)
    run = JobRun.objects.get(kind=lookalikes.RUN_KIND)
    jobs.start_run(kind=run.kind, slot=run.slot)
    jobs.advance(run.pk, done=1, total=2)

    fragment = client.get(address).content.decode()
    assert '<progress max="2" value="1"' in fragment
    assert "Find lookalikes" not in fragment
    page = client.get(reverse("admin:segments_segment_change", args=[row.pk])).content.decode()
    assert f'data-live="{address}"' in page


def test_admin__viewer__looks_and_starts_nothing(shop: Path) -> None:
    row = filled("buyers", SOME)
    client = member("viewer")
    address = reverse("admin:segments_segment_lookalikes", args=[row.pk])

    assert client.post(address).status_code == 403
    assert "Find lookalikes" not in client.get(address).content.decode()
    refused = client.post(ADDRESS)
    assert (refused.status_code, code(refused)) == (403, "role_missing")


def test_beat__wake_up_was_lost__learnt_all_the_same_and_says_why_not(shop: Path) -> None:
    filled("buyers", SOME)
    lookalikes.start_lookalikes(key="buyers", actor="ann")

    learn_task()

    found = lookalikes.lookalikes_of(Segment.objects.get(key="buyers"))
    assert found.run is not None
    assert (found.run.status, found.model) == ("succeeded", None)
    # nobody of them is in the log
    assert "it takes 20 members" in found.reason
    assert not LearnedModel.objects.exists()


def test_delete__lookalikes_are_named__refused_and_then_they_retire(shop: Path) -> None:
    filled("buyers", SOME)
    LearnedModel.objects.create(
        key="buyers", kind="lookalike", version=1, status="live", manifest={}, created_at=NOW
    )
    score: Any = {"kind": "score", "key": "lookalike:buyers", "op": "gte", "value": 0.5}
    Score.objects.create(customer_id=1, key="lookalike:buyers", value=0.7)
    segments.create_segment(key="near", values={}, rule=score, actor="ann")

    with pytest.raises(AppError) as raised:
        segments.delete_segment(key="buyers", actor="ann")
    assert [one.path for one in raised.value.details] == ["segments.near"]
    segments.delete_segment(key="near", actor="ann")
    segments.delete_segment(key="buyers", actor="ann")
    lookalikes.retire_orphans()

    assert LearnedModel.objects.get().status == "retired"


def test_stop__by_the_button__scores_nobody_and_is_not_learnt_again(shop: Path) -> None:
    row = filled("buyers", SOME)
    client: Client = member("editor")
    address = reverse("admin:segments_segment_lookalikes_stop", args=[row.pk])
    nothing = client.post(address, follow=True).content.decode()
    LearnedModel.objects.create(
        key="buyers", kind="lookalike", version=1, status="live", created_at=NOW,
        metrics={"auc": 1},
        manifest={"facts": {"recipe": {"key": "buyers", "kind": "lookalike", "title": ""}}},
    )  # fmt: skip
    run = lookalikes.start_lookalikes(key="buyers", actor="ann")
    panel = client.get(reverse("admin:segments_segment_lookalikes", args=[row.pk]))
    viewer = member("viewer")
    seen = viewer.get(reverse("admin:segments_segment_lookalikes", args=[row.pk]))

    refused = viewer.post(address)
    client.post(address)

    run.refresh_from_db()
    assert "no lookalikes of" in nothing
    assert address in panel.content.decode()
    assert address not in seen.content.decode()
    assert refused.status_code == 403
    assert (LearnedModel.objects.get().status, run.status) == ("retired", "cancelled")
    assert not [one for one in services.due_recipes() if one.kind == "lookalike"]
    assert AuditEvent.objects.filter(action="retire").count() == 1


def test_work__segment_deleted_meanwhile__says_so(shop: Path) -> None:
    filled("buyers", SOME)
    run = lookalikes.start_lookalikes(key="buyers", actor="ann")
    segments.delete_segment(key="buyers", actor="ann")

    lookalike_task(run.slot)
    lookalike_task("1 never")

    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "the segment was deleted")
