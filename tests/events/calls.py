"""Calls to ingestion as clients make them."""

from typing import Any

import orjson
from django.test import Client


def post(client: Client, path: str, body: Any, **headers: str) -> dict[str, Any]:
    """Post JSON; assert 200 and return the answer."""
    response = client.post(
        f"/v1/{path}", orjson.dumps(body), content_type="application/json", headers=headers
    )
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = orjson.loads(response.content)
    return answer


def viewed(message_id: str = "m1", **fields: Any) -> dict[str, Any]:
    """A product view."""
    return {
        "type": "track",
        "event": "Product Viewed",
        "messageId": message_id,
        "anonymousId": "a1",
        "timestamp": "2026-03-01T12:00:00.000Z",
        "properties": {"product_id": "sku1", "price": 19.99, "currency": "EUR"},
    } | fields


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    """(accepted, duplicates, withheld, rejected)."""
    rejected = len(answer["rejected"])
    return answer["accepted"], answer["duplicates"], answer["withheld"], rejected
