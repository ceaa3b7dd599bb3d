"""From anonymous page views to neighbours on the shelf, with the reason why."""

from pathlib import Path

import pytest

from personalization.lib import clock
from recommender import live, services
from tests.flows.conftest import NOW, Walk
from tests.recommender.shop import shop, two_tastes

__all__ = ["shop"]
pytestmark = pytest.mark.django_db(transaction=True)
DEVICE = {"anonymousId": "laptop-1"}


def test_views__processed_and_trained__neighbours_are_shown_and_explained(
    walk: Walk, shop: Path
) -> None:
    with clock.frozen(NOW):
        two_tastes()
        trained = services.train(slot="t", actor="t", now=NOW) or []
    assert {one.model: one.status for one in trained}["item_knn"] == "live"
    live.forget()
    before = walk.decide(DEVICE)
    walk.view("a0", DEVICE)
    walk.view("a1", DEVICE)
    walk.process()

    after = walk.decide({**DEVICE}, secret=True, explain=True)

    assert {item["source"] for item in before["items"]} <= {"popularity", "catalog"}
    assert {item["source"] for item in after["items"]} == {"item_knn"}
    assert all(item["id"].startswith("a") for item in after["items"])
    assert all(item["reason"].startswith("Often viewed with A") for item in after["items"])
    explained = after["whole"]["explain"]
    assert explained["profileSource"] in {"redis", "postgres"}
    assert [action[:2] for action in explained["recent"]] == [["view", "a1"], ["view", "a0"]]
    assert after["explain"]["candidates"][0]["lost"] == ""
    assert {one["lost"] for one in after["explain"]["candidates"]} >= {"", "below_count"}
