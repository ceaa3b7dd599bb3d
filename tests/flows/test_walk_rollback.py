"""A campaign goes wrong, staff rolls back, and the next edit does not bring it back."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from personalization.lib import clock
from tests.flows.conftest import SHELF, Walk

pytestmark = pytest.mark.django_db(transaction=True)


def _hero(walk: Walk) -> tuple[str | None, Any]:
    body = {"anonymousId": "laptop-1", "placements": ["home.hero"]}
    hero = walk.call("POST", "/v1/decide", body)["placements"]["home.hero"]
    return hero["campaign"], hero["content"].get("heading")


def _launch(walk: Walk, key: str, heading: str, priority: int) -> int:
    campaign = {"key": key, "title": key, "placement": "home.hero", "priority": priority}
    walk.call("POST", "/api/campaigns/", campaign, secret=True, status=201)
    block = {"key": f"{key}-block", "campaign": key, "content": {"heading": heading}}
    walk.call("POST", "/api/blocks/", block, secret=True, status=201)
    walk.call("POST", f"/api/campaigns/{key}/publish/", secret=True)
    body = {"anonymousId": "laptop-1", "placements": ["home.hero"]}
    return int(walk.call("POST", "/v1/decide", body)["configVersion"])


def test_rollback__bad_campaign__gone_and_stays_gone(walk: Walk) -> None:
    hero = {"key": "home.hero", "kind": "content", "default_content": {"heading": "Welcome"}}
    walk.call("POST", "/api/placements/", hero, secret=True, status=201)
    good = _launch(walk, "spring", "Spring", 1)
    _launch(walk, "typo", "Sprnig", 9)
    assert _hero(walk) == ("typo", "Sprnig")
    User.objects.create_superuser("boss", password="x")
    staff = Client()
    staff.login(username="boss", password="x")

    with clock.frozen(walk.at):
        data = {"action": "roll_back", "_selected_action": [good]}
        staff.post("/admin/ops/configversion/", data)
    assert _hero(walk) == ("spring", "Spring")

    walk.call("PATCH", f"/api/placements/{SHELF}/", {"count": 3}, secret=True)
    assert _hero(walk) == ("spring", "Spring")
    assert walk.call("GET", "/api/campaigns/typo/", secret=True)["status"] == "ended"
