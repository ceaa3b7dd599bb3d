"""What models may learn from: consented, human, of known customers, in the window."""

import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from personalization.consent.models import ConsentState
from personalization.events import copied, extraction
from personalization.events.engine.flags import BOT
from recommender import dataset
from recommender.reordering import situation
from recommender.visits import country_of, known_fields
from tests.recommender.shop import NOW, customer, events, ordered, products, viewed

KINDS = ("view", "add", "order")


def found(**options: Any) -> list[tuple[int, str, str]]:
    """(customer, key, kind) of what is extracted, sorted."""
    touched = extraction.touches(kinds=KINDS, **options)
    keys = ["mug", "cup", "pan", "7"]
    names = dict(zip(extraction.codes(keys).tolist(), keys, strict=True))
    return sorted(
        (int(who), names[int(item)], KINDS[kind])
        for who, item, kind in zip(touched.customers, touched.items, touched.kinds, strict=True)
    )


def test_touches__views_and_orders__one_row_a_product(shop: Path) -> None:
    ann = customer("ann")
    events(
        [
            viewed(ann, "mug", 2),
            ordered(ann, ["cup", "pan"], 1),
            (ann, "Product Added", {"sku": "mug", "product_id": ""}, 1),
            (ann, "Product Viewed", {"product_id": 7}, 1),
            (ann, "Order Completed", {"products": "none"}, 1),
            (ann, "Product Viewed", {"name": "nameless"}, 1),
            (ann, "Our Own Event", {"product_id": "mug"}, 1),
            (None, "Product Viewed", {"product_id": "mug"}, 1),
        ]
    )

    me = ann.customer_id
    assert found() == [
        (me, "7", "view"),
        (me, "cup", "order"),
        (me, "mug", "add"),
        (me, "mug", "view"),
        (me, "pan", "order"),
    ]


def test_touches__time__is_exact(shop: Path) -> None:
    events([viewed(customer("ann"), "mug", 2.5)])

    touched = extraction.touches(kinds=KINDS)

    assert touched.at_s.tolist() == [(NOW - timedelta(hours=2.5)).timestamp()]


@pytest.mark.parametrize(
    ("context", "told"),
    [
        ({}, ("", 18, "")),
        (
            {"device": {"type": "mobile"}, "country": "at", "timezone": "America/New_York"},
            ("mobile", 4, "AT"),
        ),
        ({"country": "Austria", "locale": "de-CH", "timezone": "Mars/Olympus"}, ("", 18, "CH")),
        ({"device": {"type": "fridge"}, "locale": "de", "timezone": "tokyo"}, ("", 18, "")),
        ({"device": "mobile", "country": "ÄÖ", "locale": "_AT", "timezone": 7}, ("", 18, "")),
        ({"device": {"type": "other"}, "country": "ZZ"}, ("other", 18, "ZZ")),
    ],
)
def test_touches__situation__as_a_decision_tells_it(
    shop: Path, settings: Any, context: dict[str, Any], told: tuple[str, int, str]
) -> None:
    """A shop of Tokyo, six in the evening there; who tells a time zone has an hour of their own."""
    settings.SHOP_TIME_ZONE = "Asia/Tokyo"
    ann = customer("ann")
    events([viewed(ann, "mug", 3), ordered(ann, ["cup"], 3)], context=context)
    at = NOW - timedelta(hours=3)
    text = {key: one for key, one in context.items() if isinstance(one, str)}

    touched = extraction.touches(kinds=KINDS)

    fields = known_fields({}, {"timezone": text.get("timezone", "")}, at)
    country = country_of([text.get("country")], text.get("locale", ""))
    assert (fields["local_time.hour"], country) == told[1:]
    assert touched.situations.tolist() == 2 * situation(*told).tolist()


def test_touches__time_zones__join_no_events(shop: Path) -> None:
    """Most events are of one zone: hashed by it they would lie in memory together."""
    query = extraction._ROWS.partition("COPY (")[2].rpartition(")\nTO STDOUT")[0]
    params = extraction._params(KINDS, NOW - timedelta(days=1), NOW) | {"zones": ["Asia/Tokyo"]}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query}", params)
        plan = [line for (line,) in cursor.fetchall()]

    assert any("Hash Cond" in line or "Join" in line for line in plan)
    assert not any("timezone" in line for line in plan if "Cond" in line or "Join" in line)


@pytest.mark.parametrize("columns", [{"purposes": 5}, {"flags": BOT}], ids=["no consent", "bot"])
def test_touches__event_may_not_be_used__left_out(shop: Path, columns: dict[str, int]) -> None:
    events([viewed(customer("ann"), "mug", 2)], **columns)

    assert found() == []


def test_touches__withdrawn_since__left_out(shop: Path) -> None:
    ann, bob = customer("ann"), customer("bob")
    events([viewed(ann, "mug", 2), viewed(bob, "mug", 2)])
    ConsentState.objects.create(customer=ann.customer, denied=2, updated_at=NOW)
    ConsentState.objects.create(customer=bob.customer, granted=2, updated_at=NOW)

    assert found() == [(bob.customer_id, "mug", "view")]


def test_touches__window__half_open(shop: Path) -> None:
    ann = customer("ann")
    events([viewed(ann, "mug", 3), viewed(ann, "cup", 2), viewed(ann, "pan", 1)])

    hour = timedelta(hours=1)
    assert [key for _, key, _ in found(since=NOW - 3 * hour, until=NOW - 2 * hour)] == ["cup"]


def test_touches__older_than_retention__does_not_exist(shop: Path, settings: Any) -> None:
    settings.EVENT_RETENTION_DAYS = 10
    events([viewed(customer("ann"), "mug", 241)])

    assert found(since=NOW - timedelta(days=99)) == []


def test_touches__merged__belongs_to_the_present_owner(shop: Path) -> None:
    ann, device = customer("ann"), customer("device")
    events([viewed(device, "mug", 2)])
    device.customer = ann.customer
    device.save(update_fields=["customer"])

    assert found() == [(ann.customer_id, "mug", "view")]


def test_touches__many_blocks__every_row_once(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copied, "_BLOCK_ROWS", 7)
    ann = customer("ann")
    events([viewed(ann, "mug", hour / 10) for hour in range(100)])
    seen: list[int] = []

    touched = extraction.touches(kinds=KINDS, progress=seen.append)

    assert len(touched.customers) == len(set(touched.at_s.tolist())) == 100
    assert seen[-1] == 100


def test_unknown_items__not_in_the_catalogue__counted(shop: Path) -> None:
    products("mug")
    ann = customer("ann")
    events([viewed(ann, "mug", 1), viewed(ann, "ghost", 3), ordered(ann, ["ghost"], 1)])

    assert extraction.unknown_items(kinds=KINDS) == {
        "ghost": (2, NOW - timedelta(hours=3), NOW - timedelta(hours=1))
    }


def test_read__memory__bounded_by_the_arrays_that_come_back(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied, "_BLOCK_ROWS", 2_000)
    products(*(f"p{number}" for number in range(50)))
    ann = customer("ann")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_event (day, trust, message_id, epoch, shard, identity_id, type,"
            " name, occurred_at, received_at, purposes, flags, properties, context)"
            " SELECT %(now)s::date, 2, 'b' || n, 1, 0, %(who)s, 'track', 'Product Viewed',"
            " %(now)s::timestamptz - n * interval '1 s', %(now)s, 7, 0,"
            " jsonb_build_object('product_id', 'p' || n %% 50), '{}'"
            " FROM generate_series(1, 40000) n",
            {"now": NOW, "who": ann.pk},
        )
    dataset.read(until=NOW)  # what is loaded once is no memory of extraction
    tracemalloc.start()
    try:
        found = dataset.read(until=NOW)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    data = found.data
    arrays = (data.users, data.items, data.weights, data.at_s, found.kinds, found.met_in)
    assert len(data) == 40_000
    assert peak <= 4 * sum(array.nbytes for array in arrays) + 1_000_000
