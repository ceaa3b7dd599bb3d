"""The admin and `/api` ask for the same role."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from personalization.content import services as content
from personalization.content.models import Block, Campaign
from personalization.events.models import RejectedEvent
from personalization.lib import clock
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from recommender.models import Strategy
from recommender.strategies import save_strategy

pytestmark = pytest.mark.django_db


def staff(role: str) -> Client:
    user = User.objects.create_user(role or "nobody", password=None, is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def campaign() -> Campaign:
    """A published campaign with a block."""
    content.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    content.create_campaign(key="spring", values={"placement": "home.hero"}, actor="t")
    content.upsert_block(campaign="spring", key="b", content={"heading": "S"}, actor="t")
    return content.publish_campaign(key="spring", actor="t")


def _block(client: Client) -> int:
    body = {"campaign": "spring", "key": "b", "content": {"heading": "New"}}
    return client.post("/api/blocks/", body, content_type="application/json").status_code


def _block_page(client: Client) -> int:
    row, block = Campaign.objects.get(), Block.objects.get()
    form = {
        "key": "spring", "title": "Spring", "placement": row.placement_id, "priority": 0,
        "block-TOTAL_FORMS": 1, "block-INITIAL_FORMS": 1, "block-0-id": block.pk,
        "block-0-campaign": row.pk, "block-0-key": "b", "block-0-content": '{"heading": "New"}',
    }  # fmt: skip
    return client.post(f"/admin/content/campaign/{row.pk}/change/", form).status_code


def _campaign(client: Client) -> int:
    body = {"priority": 3}
    return client.patch("/api/campaigns/spring/", body, content_type="application/json").status_code


@pytest.mark.parametrize("write", [_block, _block_page, _campaign])
def test_published_campaign__editor_refused__publisher_changes_it(
    campaign: Campaign, write: Callable[[Client], int]
) -> None:
    assert write(staff("editor")) == 403
    assert Block.objects.get().content == {"heading": "S"}
    assert write(staff("publisher")) in {200, 201, 302}


def test_draft__editor__changes_it(campaign: Campaign) -> None:
    content.end_campaign(key="spring", actor="t")
    assert _block(staff("editor")) == 201
    assert Block.objects.get().content == {"heading": "New"}


def test_strategy__editor_refused__at_both_doors() -> None:
    save_strategy(key="mine", values={"algorithm": "popularity", "title": "x"}, actor="t")
    page = f"/admin/recommender/strategy/{Strategy.objects.get(key='mine').pk}/change/"
    client = staff("editor")

    answer = client.patch("/api/strategies/mine/", {"title": "y"}, content_type="application/json")

    assert (answer.status_code, client.post(page, {}).status_code) == (403, 403)
    assert client.get(page).status_code == 200
    assert Strategy.objects.get(key="mine").title == "x"


@pytest.mark.parametrize(("role", "taken"), [("editor", False), ("publisher", True)])
def test_rejected_events__replay__is_for_publishers(role: str, taken: bool) -> None:
    page = staff(role).get("/admin/events/rejectedevent/")

    actions = page.context["action_form"]
    choices = dict(actions.fields["action"].choices) if actions else {}
    assert ("replay" in choices) is taken
    assert not RejectedEvent.objects.exists()


def test_decide__staff_without_a_role__needs_a_key() -> None:
    body = {"anonymousId": "a1", "placements": ["home.hero"]}
    answers = [
        staff(role).post("/v1/decide", body, content_type="application/json").status_code
        for role in ("", "viewer")
    ]

    assert answers == [401, 200]


def test_jobs__write_sent_again_with_its_key__is_answered_again() -> None:
    run = jobs.start_run(kind="import", slot="a")
    assert run is not None
    client, headers = staff("publisher"), {"Idempotency-Key": "k1"}
    client.post(f"/api/jobs/{run.pk}/cancel/", headers=headers)
    JobRun.objects.update(status="succeeded", finished_at=clock.now())

    again = client.post(f"/api/jobs/{run.pk}/cancel/", headers=headers)

    assert (again.status_code, again["Idempotent-Replay"]) == (200, "true")
    assert client.post(f"/api/jobs/{run.pk}/cancel/").status_code == 409
