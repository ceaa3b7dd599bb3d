"""A small shop for the tests of lists, reasons, exports and the API."""

from typing import Any

from django.test import Client

from personalization.access.services import create_key
from personalization.customers.models import Identity
from tests.events.processor.log import DEVICE, USER, put
from tests.segments.live.world import count, go_live, process

ORDERED: Any = count("Order Completed", days=30)
VIEWED: Any = count(value=2, days=7)


def customer(value: str, kind: int = USER) -> int:
    return Identity.objects.get(kind=kind, value=value, ended_at=None).customer_id


def shop() -> None:
    """Two users and a device: u1 viewed twice, u2 once, the device twice."""
    put("m1", who=(USER, "u1"), product_id="sku1")
    put("m2", who=(USER, "u1"), product_id="sku2", minute=1)
    put("m3", who=(USER, "u2"), product_id="sku1", minute=1)
    put("m4", who=(DEVICE, "a1"), product_id="sku1", minute=1)
    put("m5", who=(DEVICE, "a1"), product_id="sku1", minute=2)
    process(3)


def viewers() -> None:
    """The shop with a live segment of who viewed twice."""
    go_live("viewers", VIEWED)
    shop()


def server(*scopes: str) -> Client:
    _row, key = create_key(name="back office", kind="secret", actor="test", scopes=scopes)
    return Client(headers={"authorization": f"Bearer {key}"})
