"""What the page itself says counts in this very answer: its cart, and what was just ordered."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from personalization.customers import documents
from personalization.lib import clock
from tests.decisions.conftest import NOW, Decide


def shown(answer: dict[str, Any]) -> set[str]:
    return {item["id"] for item in answer["placements"]["home.recommended"]["items"]}


def asked(**context: Any) -> dict[str, Any]:
    shelf = {"key": "home.recommended", "count": 100}
    return {"anonymousId": "a1", "context": context, "placements": [shelf]}


def test_recent__order_completed__its_items_are_not_shown(decide: Decide) -> None:
    order = {"event": "Order Completed", "item": "sku1", "items": ["sku2", "sku3"]}
    assert {f"sku{n}" for n in range(30)} - shown(decide(asked(recent=[order]))) == {
        "sku1", "sku2", "sku3",
    }  # fmt: skip


def test_recent__order_completed_without_consent__contextual(decide: Decide) -> None:
    order = {"event": "Order Completed", "item": "sku1"}
    refused = {"categoryPreferences": {"personalization": False}}
    assert "sku1" in shown(decide(asked(recent=[order], consent=refused)))


def test_recent__items_no_list__named(decide: Decide) -> None:
    order = {"event": "Order Completed", "items": "sku1"}
    details = decide(asked(recent=[order]), status=400)["error"]["details"]
    assert [detail["path"] for detail in details] == ["context.recent[0].items"]


@pytest.mark.django_db(transaction=True)
def test_cart__viewed_and_processed__left_out_unless_the_page_says_otherwise(
    decide: Decide, client: Client, shop: dict[str, str]
) -> None:
    event = {
        "event": "Cart Viewed",
        "anonymousId": "a1",
        "properties": {"products": [{"product_id": "sku4"}, {"product_id": "sku5"}]},
    }
    sent = client.post(
        "/v1/track",
        json.dumps(event),
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop['public']}"},
    )
    assert sent.json()["accepted"] == 1
    with clock.frozen(NOW + timedelta(seconds=5)):
        call_command("process", "--once")
        documents.sweep()
        assert not shown(decide(asked())) & {"sku4", "sku5"}
        assert shown(decide(asked(cart=[]))) >= {"sku4", "sku5"}
        assert "sku6" not in shown(decide(asked(cart=["sku6"])))
