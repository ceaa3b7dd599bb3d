"""`/api/products/` through the door: keys, answers per item, pages, the trail."""

import json
from typing import Any

import pytest
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.access.services import create_key
from personalization.catalog.models import Product

pytestmark = pytest.mark.django_db
MUG = {"key": "mug", "title": "Mug", "price": "4.50", "currency": "EUR", "brand": "Acme"}


@pytest.fixture
def call(client: Client) -> Any:
    """Call the API with a key of scope catalog:write."""
    _, key = create_key(name="shop", kind="secret", actor="test", scopes=["catalog:write"])

    def send(method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        return client.generic(
            method,
            path,
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers=headers,
        )

    return send


def test_upsert__mixed__an_answer_per_item(call: Any) -> None:
    answer = call("POST", "/api/products/", [MUG, {"key": "cup"}, MUG | {"key": "pan"}])

    assert answer.status_code == 200
    said = answer.json()
    assert (said["created"], [r["status"] for r in said["results"]]) == (
        2,
        ["created", "rejected", "created"],
    )
    assert said["rejected"][0]["problems"][0]["path"] == "title"


def test_upsert__one_object__will_do(call: Any) -> None:
    assert call("POST", "/api/products/", MUG).json()["created"] == 1


def test_upsert__each_write__has_its_trail(call: Any) -> None:
    call("POST", "/api/products/", MUG)
    call("POST", "/api/products/", {"key": "mug", "stock": 3})
    call("POST", "/api/products/", {"key": "mug", "stock": 3})
    call("DELETE", "/api/products/mug/")

    trail = list(AuditEvent.objects.filter(object_type="catalog.product").order_by("id"))
    assert [row.action for row in trail] == ["create", "update", "delete"]
    stocks = [(row or {}).get("stock") for row in (trail[1].before, trail[1].after)]
    assert stocks == [None, 3]


def test_upsert__many__one_row_of_the_trail(call: Any) -> None:
    call("POST", "/api/products/", [MUG | {"key": f"mug{n}"} for n in range(60)])

    (row,) = AuditEvent.objects.filter(object_type="catalog.product")
    assert (row.object_label, (row.after or {})["create"]) == ("60 products", 60)


def test_upsert__too_many__413(call: Any) -> None:
    assert call("POST", "/api/products/", [MUG] * 1001).status_code == 413


@pytest.mark.parametrize("body", ["text", 7, None, [[]], [None]])
def test_upsert__no_products__answers_per_item(call: Any, body: Any) -> None:
    answer = call("POST", "/api/products/", body)

    assert answer.status_code in {200, 400}
    assert not Product.objects.exists()


def test_list_and_get__deleted_ones__are_gone(call: Any) -> None:
    call("POST", "/api/products/", [MUG, MUG | {"key": "cup", "brand": "Other"}])
    call("DELETE", "/api/products/cup/")

    listed = call("GET", "/api/products/").json()["results"]
    assert [row["key"] for row in listed] == ["mug"]
    assert call("GET", "/api/products/mug/").json()["price_minor"] == 450
    assert call("GET", "/api/products/cup/").status_code == 404
    assert call("DELETE", "/api/products/cup/").status_code == 404
    assert call("GET", "/api/products/?brand=Other").json()["results"] == []


def test_list__unknown_parameter__400(call: Any) -> None:
    assert call("GET", "/api/products/?colour=red").status_code == 400


def test_products__without_a_key__refused(client: Client) -> None:
    assert client.post("/api/products/", MUG, content_type="application/json").status_code == 401


def test_products__key_of_another_scope__refused(client: Client) -> None:
    _, key = create_key(name="shop", kind="secret", actor="test", scopes=["events:write"])

    answer = client.post(
        "/api/products/", MUG, content_type="application/json", headers={"X-API-Key": key}
    )

    assert answer.status_code == 403
