"""A log-in joins the device to its user, staff parts them again, and decisions follow."""

from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client

from personalization.customers.models import Merge
from personalization.customers.services import unmerge
from personalization.lib import clock
from tests.flows.conftest import SHELF, Walk

pytestmark = pytest.mark.django_db(transaction=True)
DEVICE = {"anonymousId": "laptop-1"}


def _recent(walk: Walk, ids: dict[str, str]) -> set[str]:
    explained = walk.decide(ids, secret=True, explain=True)["whole"]["explain"]
    return {item for _, item, _ in explained["recent"]}


def test_log_in__merged_and_parted__decisions_follow_the_user_and_part(walk: Walk) -> None:
    walk.view("a0", DEVICE)
    walk.view("b0", walk.user("kim"))
    walk.process()
    assert _recent(walk, DEVICE) == {"a0"}
    assert _recent(walk, walk.user("kim")) == {"b0"}

    walk.call("POST", "/v1/identify", {**walk.user("kim", "laptop-1"), "traits": {}})
    walk.process()
    assert _recent(walk, walk.user("kim")) == {"a0", "b0"}
    assert _recent(walk, DEVICE) == {"a0", "b0"}

    with clock.frozen(walk.at):
        unmerge(Merge.objects.get().pk, actor="staff", now=walk.at)
    walk.process()
    assert _recent(walk, walk.user("kim")) == {"b0"}
    assert _recent(walk, DEVICE) == {"a0"}


def test_log_in__user_not_proven__nothing_is_joined(walk: Walk) -> None:
    walk.view("b0", walk.user("kim"))
    walk.view("a0", {"userId": "kim", **DEVICE})
    walk.process()

    assert _recent(walk, DEVICE) == {"a0"}
    assert _recent(walk, walk.user("kim")) == {"b0"}
    assert not Merge.objects.exists()


def test_claim__user_not_proven__nothing_of_theirs_is_read(walk: Walk) -> None:
    kim = walk.user("kim")
    walk.send("Order Completed", kim, order_id="o1", products=[{"product_id": "b0"}])
    walk.process()

    def shown(ids: dict[str, str]) -> list[set[str]]:
        shelf = walk.decide(ids, placements=[{"key": SHELF, "count": 20}])
        asked = urlencode({**ids, "count": 20})
        listed = walk.call("GET", f"/v1/recommendations/for-you?{asked}")
        return [{item["id"] for item in answer["items"]} for answer in (shelf, listed)]

    # What was bought is not shown to whom it belongs, and that is not told to others.
    assert ["b0" in one for one in shown(kim)] == [False, False]
    assert ["b0" in one for one in shown({"userId": "kim", **DEVICE})] == [True, True]
    assert ["b0" in one for one in shown({**kim, "userId": "eve", **DEVICE})] == [True, True]


def test_merge__seen_by_staff__on_the_customers_page(walk: Walk) -> None:
    walk.view("a0", walk.user("kim", "laptop-1"))
    walk.process()
    User.objects.create_superuser("boss", password="x")
    staff = Client()
    staff.login(username="boss", password="x")
    customer_id = Merge.objects.get().target_id

    page = staff.get(f"/admin/customers/customer/{customer_id}/change/").content.decode()

    assert "laptop-1" in page
    assert "kim" in page
