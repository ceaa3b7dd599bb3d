"""What staff see of one customer: each floor's share, after a walk through the public doors."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from personalization.customers.models import Identity
from personalization.decisions import record
from personalization.lib import clock
from tests.flows.conftest import SHELF, Walk
from tests.segments.live.world import count, go_live, take_in

pytestmark = pytest.mark.django_db(transaction=True)


def _cards(page: str) -> dict[str, str]:
    """Return the text of each card by its heading."""
    cards = re.findall(r'<section class="card"><h2>(.*?)</h2>(.*?)</section>', page, re.DOTALL)
    return {title: " ".join(re.sub("<[^>]*>", " ", body).split()) for title, body in cards}


def test_page__customer_who_did_all_there_is__each_floor_shows_its_share(walk: Walk) -> None:
    kim = walk.user("kim", "laptop-1")
    with clock.frozen(walk.at):
        go_live("viewers", count(value=2))
    walk.call("POST", "/v1/identify", {**kim, "traits": {"tier": "gold"}})
    walk.view("a0", kim)
    walk.view("a1", kim)
    walk.consent(kim, granted=True)
    walk.process()
    with clock.frozen(walk.at):
        take_in()
    decided = walk.decide(kim, secret=True, explain=True)["whole"]["decisionId"]
    with clock.frozen(walk.at):
        record.flush()
    customer_id = Identity.objects.get(value="kim").customer_id
    staff = Client()
    staff.force_login(User.objects.create_superuser("boss"))

    with clock.frozen(walk.at):
        page = staff.get(f"/admin/customers/customer/{customer_id}/change/").content.decode()

    cards = _cards(page)
    assert "tier" in cards["Traits"]
    assert "gold" in cards["Traits"]
    assert {"kim", "laptop-1"} <= set(cards["Ids"].split())
    assert "viewers" in cards["Segments"]
    assert cards["Events"].count("Product Viewed") == 2
    assert "a1" in cards["Events"]
    assert SHELF in cards["Decided"]
    assert decided in page
    assert "banner" in cards["Consent"]
