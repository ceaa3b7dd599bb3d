"""The whole walk through the public doors: an event comes in and changes the next answer."""

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from personalization.access.services import create_key
from personalization.customers import documents

pytestmark = pytest.mark.django_db(transaction=True)


def test_recent_event__processed__is_in_the_customers_document() -> None:
    _row, key = create_key(name="flow", kind="public", actor="test")
    client = Client(headers={"authorization": f"Bearer {key}"})
    event = {
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": "a1",
        "properties": {"product_id": "sku1"},
    }

    accepted = _post(client, "/v1/track", event)
    call_command("process", "--once")
    documents.sweep()
    answer = _post(client, "/v1/decide", {"anonymousId": "a1", "placements": [], "flags": []})

    assert accepted["accepted"] == 1
    assert answer["degraded"] == []


def _post(client: Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post(path, json.dumps(body), content_type="application/json")
    assert response.status_code == 200, response.content
    return dict(response.json())
