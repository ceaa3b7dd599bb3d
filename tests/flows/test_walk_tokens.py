"""What was shown comes back with its token: true ones count once, others are rejected by name."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.db import connection

from personalization.customers.engine import profile
from personalization.customers.models import Profile
from personalization.events.models import RejectedEvent
from personalization.events.registry import replay
from personalization.lib import clock
from tests.flows.conftest import SHELF, Walk

pytestmark = pytest.mark.django_db(transaction=True)
DEVICE = {"anonymousId": "laptop-1"}


def _exposed(walk: Walk, shelf: dict[str, Any], ids: dict[str, str], token: str) -> Any:
    items = [{"id": item["id"], "source": item["source"]} for item in shelf["items"]]
    return walk.send("Decision Exposed", ids, token=token, placement=SHELF, items=items)


def _logged() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM events_event ORDER BY occurred_at")
        return [name for (name,) in cursor.fetchall()]


def _profiles() -> dict[int, Any]:
    """What decisions read of each customer; the fold's own notes may differ."""
    return {
        row.pk: profile.document(orjson.loads(row.state), declared={})
        for row in Profile.objects.all()
    }


def test_token__of_this_very_answer__exposure_and_click_are_accepted(walk: Walk) -> None:
    shelf = walk.decide(DEVICE)

    exposed = _exposed(walk, shelf, DEVICE, shelf["token"])
    item = shelf["items"][0]["id"]
    clicked = walk.send("Decision Clicked", DEVICE, token=shelf["token"], item=item)

    assert (exposed["accepted"], clicked["accepted"]) == (1, 1)
    assert _logged() == ["Decision Exposed", "Decision Clicked"]


@pytest.mark.parametrize("fault", ["foreign", "stale", "forged", "other list"])
def test_token__not_of_this_unit_and_day__rejected_with_its_reason(walk: Walk, fault: str) -> None:
    shelf = walk.decide(DEVICE)
    token, ids = shelf["token"], DEVICE
    if fault == "foreign":
        ids = {"anonymousId": "phone-2"}
    elif fault == "stale":
        walk.at += timedelta(hours=25)
    elif fault == "forged":
        token = token[:-8] + ("A" * 8 if token[-8:] != "A" * 8 else "B" * 8)
    else:
        shelf = {"items": shelf["items"][1:]}

    answer = _exposed(walk, shelf, ids, token)

    assert answer["accepted"] == 0
    paths = {problem["path"] for problem in answer["rejected"][0]["problems"]}
    assert paths <= {"properties.token", "properties.items"}
    kept = RejectedEvent.objects.get()
    assert {problem["path"] for problem in kept.problems} == paths
    assert _logged() == []


def test_replay__nothing_changed__nothing_changes(walk: Walk) -> None:
    shelf = walk.decide(DEVICE)
    _exposed(walk, shelf, {"anonymousId": "phone-2"}, shelf["token"])
    walk.view("a0", DEVICE)
    walk.process()
    profiles = _profiles()
    rejected = list(RejectedEvent.objects.values("problems", "count", "replayed_at"))

    with clock.frozen(walk.at):
        again = replay([RejectedEvent.objects.get().pk], actor="t", now=walk.at)
        call_command("replay", "--group", "profile")
    walk.process()

    assert (again.accepted, again.still_rejected) == (0, 1)
    assert list(RejectedEvent.objects.values("problems", "count", "replayed_at")) == rejected
    assert _profiles() == profiles
    assert _logged() == ["Product Viewed"]
