"""What learning may read: consented, human, of known customers, as of a time; and what it reads."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection

from personalization.consent.models import ConsentState
from personalization.events import copied, extraction
from personalization.events.engine.flags import BOT
from personalization.lib import clock
from segments.learning import features
from segments.learning.engine.features import DEVICES, KIND, KINDS, Events
from tests.recommender.shop import NOW, customer, events, ordered, viewed
from tests.segments.learning.shop import people, products


def read(**options: Any) -> Events:
    return features.events(until=options.pop("until", NOW), **options)


def kinds(log: Events) -> list[str]:
    return sorted(KINDS[kind] for kind in log.kind)


def one(log: Events, kind: str) -> dict[str, Any]:
    (row,) = np.flatnonzero(log.kind == KIND[kind])
    return {name: getattr(log, name)[row] for name in log.__slots__}


def test_events__order__is_one_row_and_one_a_product(shop: Path) -> None:
    products()
    ann = customer("ann")
    lines = [
        {"product_id": "cups0", "price": 10, "quantity": 2},
        {"product_id": "lamps1", "price": 2.5},
        "no product",
    ]
    order = {"order_id": "o1", "coupon": "TEN", "products": lines}
    events([(ann, "Order Completed", order, 2), viewed(ann, "toys3", 1)])

    log = read()

    assert kinds(log) == ["line", "line", "order", "view"]
    placed, seen = one(log, "order"), one(log, "view")
    assert placed["value_minor"] == 2_250
    assert placed["discounted"]
    assert placed["customer"] == ann.customer_id
    assert placed["at_us"] == clock.to_us(NOW - timedelta(hours=2))
    assert sorted(log.value_minor[log.kind == KIND["line"]]) == [250, 1_000]
    # no price of its own: the catalogue's
    assert seen["value_minor"] == 4_000
    assert not seen["discounted"]
    codes = extraction.codes(["toys3", "toys", "brand1"])
    assert [seen["item"], seen["category"], seen["brand"]] == codes.tolist()
    assert features.category_names([int(seen["category"]), 5]) == {int(seen["category"]): "toys"}


def test_events__catalogue_changed_since__as_it_was_when_they_came(shop: Path) -> None:
    products()
    ann = customer("ann")
    lines = [{"note": "a gift"}, {"product_id": "cups1"}, {"product_id": "lamps1"}]
    partly = [{"product_id": "cups2"}, {"product_id": "gone"}]
    log: dict[str, tuple[Any, list[dict[str, Any]]]] = {
        "m0": (viewed(ann, "toys0", 4), [{"category": "games", "price_minor": 700}]),
        "m1": (
            (ann, "Order Completed", {"order_id": "1", "products": lines}, 3),
            [
                {"category": "mugs", "brand": "then", "price_minor": 1},
                {"category": "lights", "price_minor": 2},
            ],
        ),
        # of two products the catalogue knew one; which is not told
        "m2": (
            (ann, "Order Completed", {"order_id": "2", "products": partly}, 2),
            [{"category": "mugs"}],
        ),
        "m3": (viewed(ann, "toys1", 1), []),
    }
    events([row for row, _ in log.values()])
    for message, (_, stamps) in log.items():
        _stamp(message, stamps)

    read_ = read()

    at = np.argsort(read_.at_us, kind="stable")
    order = at[np.lexsort((read_.value_minor[at], read_.at_us[at]))]
    met = [n for n in order if read_.kind[n] in (KIND["view"], KIND["line"])]
    codes = _codes("games", "mugs", "lights", "cups", "toys", "then", "brand0", "brand1")
    assert [(codes[read_.category[n]], codes[read_.brand[n]]) for n in met] == [
        ("games", ""),
        ("mugs", "then"),
        ("lights", ""),
        ("", ""),
        ("cups", "brand0"),
        ("", ""),
        ("toys", "brand1"),
    ]
    assert [read_.value_minor[n] for n in met][:3] == [700, 1, 2]


def _codes(*names: str) -> dict[int, str]:
    return {0: ""} | dict(zip(extraction.codes(list(names)).tolist(), names, strict=True))


def _stamp(message_id: str, stamps: list[dict[str, Any]]) -> None:
    """What ingestion noted on an event of what the catalogue said."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE events_event SET context = %s WHERE message_id = %s",
            [json.dumps({"products": stamps} if stamps else {}), message_id],
        )


def test_events__worth__revenue_first_and_no_other_currency(shop: Path) -> None:
    ann = customer("ann")
    events(
        [
            (ann, "Order Completed", {"order_id": "1", "revenue": 19.99, "total": 25}, 3),
            (ann, "Order Refunded", {"order_id": "1", "total": 5, "currency": "eur"}, 2),
            (ann, "Order Cancelled", {"order_id": "2", "total": 5, "currency": "USD"}, 1),
        ]
    )

    log = read()

    worth = dict(zip(log.at_us.tolist(), log.value_minor.tolist(), strict=True))
    assert [worth[clock.to_us(NOW - timedelta(hours=h))] for h in (3, 2)] == [1_999, 500]
    assert np.isnan(worth[clock.to_us(NOW - timedelta(hours=1))])
    assert kinds(log) == ["order", "refund", "refund"]


def test_events__unknown_names_and_searches__count_as_events(shop: Path) -> None:
    ann = customer("ann")
    events(
        [
            (ann, "Our Own Event", {"price": "dear"}, 3),
            (ann, "Products Searched", {"query": "cup"}, 2),
            (ann, "Checkout Started", {}, 1),
        ]
    )

    assert kinds(read()) == ["other", "other", "search"]


def test_events__local_time__follows_the_shop(shop: Path, settings: Any) -> None:
    settings.SHOP_TIME_ZONE = "Asia/Tokyo"
    events([viewed(customer("ann"), "cup", 0)])  # Sunday, 12:00 UTC

    log = read()

    assert (log.hour.tolist(), log.weekday.tolist()) == ([21], [6])
    assert DEVICES[log.device[0]] == ""


@pytest.mark.parametrize("columns", [{"purposes": 5}, {"flags": BOT}], ids=["no consent", "bot"])
def test_events__may_not_be_used__left_out(shop: Path, columns: dict[str, int]) -> None:
    events([viewed(customer("ann"), "mug", 2)], **columns)

    assert not len(read())


def test_events__withdrawn_since__left_out(shop: Path) -> None:
    ann, bob = customer("ann"), customer("bob")
    events([viewed(ann, "mug", 2), viewed(bob, "mug", 2)])
    ConsentState.objects.create(customer=ann.customer, denied=2, updated_at=NOW)

    assert read().customer.tolist() == [bob.customer_id]


def test_events__older_than_retention_or_later__do_not_exist(shop: Path, settings: Any) -> None:
    settings.EVENT_RETENTION_DAYS = 10
    ann = customer("ann")
    events([viewed(ann, "a", 241), viewed(ann, "b", 100), viewed(ann, "c", 1)])

    assert len(read()) == 2
    assert len(read(until=NOW - timedelta(hours=2))) == 1


def test_events__merged__belong_to_the_present_owner(shop: Path) -> None:
    ann, device = customer("ann"), customer("device")
    events([viewed(device, "mug", 2)])
    device.customer = ann.customer
    device.save(update_fields=["customer"])

    assert read().customer.tolist() == [ann.customer_id]


def test_events__groups_and_samples__part_the_customers(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied, "_BLOCK_ROWS", 7)
    cast = people(50)
    events([viewed(one, "mug", hour) for one in cast for hour in (1, 2)])

    spans = features.ranges(20)
    groups = [read(low=low, high=high).customer.tolist() for low, high in spans]
    sample = set(read(one_in=3).customer.tolist())
    more = set(read(one_in=3, also=[cast[0].customer_id, cast[1].customer_id]).customer.tolist())

    assert [len(set(group)) for group in groups] == [20, 20, 10]
    assert sorted(who for group in groups for who in group) == sorted(
        2 * [one.customer_id for one in cast]
    )
    assert 5 < len(sample) < 30
    assert more == sample | {cast[0].customer_id, cast[1].customer_id}
    assert features.customers() == 50


def test_events__agree_with_what_recommenders_read(shop: Path) -> None:
    ann = customer("ann")
    events([viewed(ann, "mug", 2), ordered(ann, ["cup", "pan"], 1)])

    touched = extraction.touches(kinds=("view", "order"))
    log = read()

    items = log.item[np.isin(log.kind, [KIND["view"], KIND["line"]])]
    assert sorted(items.tolist()) == sorted(touched.items.tolist())
