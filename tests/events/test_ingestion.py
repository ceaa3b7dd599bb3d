"""Events through the front door: what is stored, for whom, and what the caller is told."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from personalization.customers.models import Identity
from personalization.events.models import Event, RejectedEvent
from personalization.lib import clock
from tests.events.calls import counts, post, viewed

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


def test_batch__well_formed__stores_rows(browser: Client) -> None:
    body = {
        "batch": [viewed("m1"), viewed("m2", anonymousId="a2")],
        "sentAt": "2026-03-01T12:00:01Z",
    }

    with clock.frozen(NOW):
        answer = post(browser, "batch", body)

    assert answer == {
        "success": True, "accepted": 2, "duplicates": 0, "withheld": 0, "rejected": []
    }  # fmt: skip
    first = Event.objects.get(message_id="m1")
    assert (first.type, first.name, first.trust) == ("track", "Product Viewed", 1)
    assert first.occurred_at == datetime(2026, 3, 1, 12, 0, 4, tzinfo=UTC)
    assert first.identity_id == Identity.objects.get(value="a1").pk
    assert first.properties == {"product_id": "sku1", "price": 19.99, "currency": "EUR"}
