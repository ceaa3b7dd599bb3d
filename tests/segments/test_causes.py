"""An entry or exit names the event that it came with, where that is beyond doubt."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from personalization.customers.models import Customer
from personalization.lib import clock
from segments.causes import event_names
from segments.models import Change
from tests.access.test_api import member
from tests.events.processor.log import NOW, put
from tests.segments.live.world import count, go_live, process, tick

pytestmark = pytest.mark.django_db(transaction=True)
VIEWED: Any = count(days=7)


def named() -> list[tuple[str, str]]:
    """Cause and event of each change, oldest first."""
    rows = list(Change.objects.order_by("at", "pk"))
    told = event_names(rows)
    return [(row.cause, told.get(row.pk, "")) for row in rows]


def test_event__rule_reads_it__is_named_on_the_page_and_time_is_not() -> None:
    row = go_live("viewers", VIEWED)
    put("m1", product_id="sku1")
    process(1)
    tick(8 * 24 * 60)

    assert named() == [("event", "Product Viewed"), ("time", "")]
    client = member("viewer")
    with clock.frozen(NOW + timedelta(days=9)):
        page = client.get(reverse("admin:segments_segment_change", args=[row.pk]))
    seen = [(one["cause"], one["event"]) for one in page.context["page"]["changes"]]
    assert seen == [("Time", ""), ("Event", "Product Viewed")]
    assert "Event: Product Viewed, v1" in page.content.decode()


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"prefix": "Product"}, "Product Viewed"),
        ("Product Viewed", "Product Viewed"),
    ],
)
def test_event__by_name_or_its_beginning__is_named(event: Any, told: str) -> None:
    go_live("viewers", {**VIEWED, "event": event})
    put("m1", product_id="sku1")
    process(1)

    assert named() == [("event", told)]


def test_event__newest_of_a_batch_is_one_the_rule_does_not_read__nothing_is_said() -> None:
    go_live("viewers", VIEWED)
    put("m1", product_id="sku1")
    put("m2", "Page Scrolled", minute=1)
    process(2)

    assert named() == [("event", "")]


def test_event__of_a_rule_with_lists_of_values__is_named() -> None:
    where = [{"key": "product_id", "op": "in", "value": ["sku1", "sku2"]}]
    go_live("viewers", {**VIEWED, "where": where})
    put("m1", product_id="sku1")
    process(1)

    assert named() == [("event", "Product Viewed")]


def test_event__customer_has_another_or_none__nothing_is_said() -> None:
    go_live("viewers", VIEWED)
    put("m1", product_id="sku1")
    process(1)
    change = Change.objects.get()
    Change.objects.filter(pk=change.pk).update(customer_id=change.customer_id + 64)

    assert named() == [("event", "")]
    assert Customer.objects.count() == 1
    assert event_names([]) == {}
