"""A misspelt field of a write is told at every door of `/api`, and nothing is written."""

from typing import Any

import pytest
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.access.services import create_key

pytestmark = pytest.mark.django_db

WRITES: dict[str, dict[str, Any]] = {
    "/api/placements/": {"key": "home.hero", "kind": "content"},
    "/api/campaigns/": {"key": "spring", "placement": "home.hero"},
    "/api/strategies/": {"key": "mine", "title": "Mine", "algorithm": "popularity"},
    "/api/segments/": {"key": "vips", "rule": {"kind": "profile", "key": "orders", "op": "exists"}},
    "/api/learned-models/": {"key": "groups", "algorithm": "kmeans", "k": 4},
}


@pytest.mark.parametrize("address", WRITES)
def test_write__misspelt_field__named_and_nothing_written(client: Client, address: str) -> None:
    _, key = create_key(name="office", kind="secret", actor="t")
    before = AuditEvent.objects.count()

    answer = client.post(
        address,
        WRITES[address] | {"titel": "Spring"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )

    error = answer.json()["error"]
    assert answer.status_code == 422, error
    told = {one["path"]: one["problem"] for one in error["details"]}
    assert told.keys() == {"titel"}
    assert told["titel"].startswith("is not known; known are ")
    assert "title" in told["titel"]
    assert AuditEvent.objects.count() == before


def test_write__ten_thousand_unknown_fields__the_first_of_them_told(client: Client) -> None:
    _, key = create_key(name="office", kind="secret", actor="t")

    answer = client.post(
        "/api/placements/",
        WRITES["/api/placements/"] | {f"f{number:04}": 0 for number in range(10_000)},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )

    told = [one["path"] for one in answer.json()["error"]["details"]]
    assert answer.status_code == 422
    assert told == [f"f{number:04}" for number in range(50)]


def test_write__several_faults__all_at_once(client: Client) -> None:
    _, key = create_key(name="office", kind="secret", actor="t")

    answer = client.post(
        "/api/placements/",
        {"kind": "poster", "titel": "x"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )

    told = {one["path"] for one in answer.json()["error"]["details"]}
    assert told == {"key", "kind", "titel"}
