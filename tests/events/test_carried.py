"""What the newest events of each type carry, and the order that it gives properties on pages."""

import re
from typing import Any

import pytest
from django.test import Client

from personalization.events import tail
from personalization.events.engine.property_rows import Row, by_use
from personalization.events.models import EventSchema
from tests.events.calls import post, viewed


def send(server: Client, count: int, **fields: Any) -> None:
    """Send so many events, three properties in each, `brand` in the first of twenty."""
    common = {"product_id": "sku1", "price": 5, "products": [{"sku": "a"}, {"brand": "x"}]}
    events = [
        viewed(f"m{at}", properties=common | ({"brand": "Kiln"} if at % 20 == 0 else {})) | fields
        for at in range(count)
    ]
    assert post(server, "batch", {"batch": events})["accepted"] == count


def test_carried__newest_events__shares_by_type_and_of_a_list_its_first(server: Client) -> None:
    send(server, 40)
    # of another type there are too few
    post(server, "track", viewed("other", event="Product Added"))

    assert tail.carried() == {
        "Product Viewed": {
            "product_id": 1.0, "price": 1.0, "brand": 0.05, "products": 1.0, "products[].sku": 1.0,
        }
    }  # fmt: skip


def test_carried__older_than_the_newest__not_looked_at(
    server: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(server, 40)
    monkeypatch.setattr(tail, "_COUNTED", 19)

    assert tail.carried() == {}


def test_carried__withheld__does_not_count(browser: Client) -> None:
    for at in range(20):
        post(browser, "track", viewed(f"m{at}"), **{"sec-gpc": "1"})

    assert tail.carried() == {}


def test_by_use__required_then_what_most_carry__lists_stay_together() -> None:
    names = ["id", "seldom", "lines", "lines[].a", "lines[].b", "often", "some"]
    rows = [Row(name, "string", required=name == "id") for name in names]
    shares = {"lines": 0.95, "lines[].b": 0.95, "often": 1.0, "some": 0.4, "seldom": 0.01}

    assert [row.name for row in by_use(rows, shares)] == [
        "id", "lines", "lines[].b", "lines[].a", "often", "some", "seldom",
    ]  # fmt: skip
    assert by_use(rows, {}) == rows


def test_event_type__its_page__properties_by_use(server: Client, admin_client: Client) -> None:
    address = (
        f"/admin/events/eventschema/{EventSchema.objects.get(name='Product Viewed').pk}/change/"
    )

    def shown() -> list[str]:
        page = admin_client.get(address).content.decode()
        return re.findall(r'name="rows-\d+-name" value="(\w+)"', page)

    assert shown().index("brand") < shown().index("price")
    send(server, 40)
    assert shown()[:2] == ["product_id", "price"]
    assert shown()[-1] != "brand"
    assert shown().index("price") < shown().index("brand")
