"""Each format on a few lines written here: what becomes of every kind of line."""

import gzip
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from personalization.events.bulk import BulkEvent
from personalization.events.engine.schema import Schema
from personalization.events.importers.formats import FORMATS
from personalization.events.importers.lines import Fault, Line, opened
from personalization.events.importers.parsed import Found, Setup
from personalization.lib.errors import Unprocessable

RETAIL = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HEART,6,12/1/10 8:26,2.55,17850.0,United Kingdom
536365,71053,WHITE LANTERN,2,12/1/10 8:26,3.39,17850.0,United Kingdom
536365,POST,POSTAGE,1,12/1/10 8:26,18.00,17850.0,United Kingdom
536366,22633,HAND WARMER,1,12/1/10 8:28,1.85,,United Kingdom
C536367,85123A,WHITE HEART,-6,12/1/10 9:00,2.55,17850.0,United Kingdom
536368,22633,damaged,-5,12/1/10 9:01,0,,United Kingdom
536369,22633,HAND WARMER,one,12/1/10 9:02,1.85,17850.0,United Kingdom
"""
ROCKET = """timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,355908,
1433221333000,257597,addtocart,355908,
1433221334000,257597,transaction,355908,7000
1433221334500,1,view,5,
1433221335000,257597,transaction,5,7000
1433221336000,2,transaction,5,
1433221337000,2,jumped,5,
"""
REES = """\
event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-11-01 00:00:00 UTC,view,1003461,205,electronics.smartphone,xiaomi,489.07,520088904,s1
2019-11-01 00:00:01 UTC,cart,1003461,205,electronics.smartphone,xiaomi,489.07,520088904,s1
2019-11-01 00:00:02 UTC,purchase,1003461,205,electronics.smartphone,xiaomi,489.07,520088904,s1
2019-11-01 00:00:03 UTC,purchase,5000,206,,,10.10,520088904,s1
2019-11-01 00:00:04 UTC,remove_from_cart,5000,206,,,10.10,520088904,s2
yesterday,view,5000,206,,,10.10,520088904,s2
2019-11-01 00:00:05 UTC,view,5000,206,,,free,520088904,s2
"""


def setup_of(**fields: Any) -> Setup:
    return Setup(source="file.csv", schema=Schema({}), **fields)


def parsed(key: str, text: str, setup: Setup | None = None) -> tuple[list[BulkEvent], list[Fault]]:
    form = FORMATS[key]
    setup = setup or setup_of()
    if form.basket:
        baskets: dict[str, list[Line]] = {}
        for line in form.read(io.StringIO(text), "utf-8"):
            if isinstance(line, Line) and (basket := form.basket(line)):
                baskets.setdefault(basket, []).append(line)
        setup = setup_of(baskets=baskets)
    both = list(form.parse(form.read(io.StringIO(text), "utf-8"), setup))
    return (
        [found.event for found in both if isinstance(found, Found)],
        [fault for fault in both if isinstance(fault, Fault)],
    )


def test_online_retail__invoice__is_one_order_with_all_its_lines() -> None:
    events, _ = parsed("online-retail", RETAIL)

    order = events[0]
    assert (order.name, order.user_id, order.anonymous_id) == ("Order Completed", "17850", None)
    assert order.occurred_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert order.properties["total"] == pytest.approx(6 * 2.55 + 2 * 3.39 + 18)
    assert [item["product_id"] for item in order.properties["products"]] == ["85123A", "71053"]
    assert order.properties["currency"] == "GBP"


def test_online_retail__no_customer__is_an_anonymous_guest() -> None:
    events, _ = parsed("online-retail", RETAIL)

    assert (events[1].user_id, events[1].anonymous_id) == (None, "guest-536366")


def test_online_retail__cancellation__is_a_refund_of_positive_quantities() -> None:
    events, _ = parsed("online-retail", RETAIL)

    refund = events[2]
    assert (refund.name, refund.properties["order_id"]) == ("Order Refunded", "C536367")
    assert refund.properties["products"][0]["quantity"] == 6
    assert refund.properties["total"] == pytest.approx(15.3)


def test_online_retail__corrections_and_bad_numbers__are_faults_with_their_lines() -> None:
    events, faults = parsed("online-retail", RETAIL)

    assert len(events) == 3
    assert [(fault.line, fault.problem.split(":")[0]) for fault in faults] == [
        (7, "is a stock correction"),
        (8, "has no number in Quantity"),
    ]


def test_online_retail__products__come_from_sold_lines_alone() -> None:
    form = FORMATS["online-retail"]
    lines = [x for x in form.read(io.StringIO(RETAIL), "utf-8") if isinstance(x, Line)]
    assert form.products is not None

    found = [product for line in lines[:6] for product in form.products(line)]
    assert {product["key"] for product in found} == {"85123A", "71053", "22633"}
    assert found[0]["title"] == "White Heart"


def test_movielens__three_layouts__mean_the_same() -> None:
    typed = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n"
    titled = "userId,movieId,rating,timestamp\n196,242,3.0,881250949\n"
    untitled = "196\t242\t3\t881250949\n"

    for text in (typed, titled, untitled):
        events, faults = parsed("movielens", text)
        assert not faults
        assert events[0].properties == {"product_id": "242", "rating": 3.0}
        assert events[0].user_id == "196"
        assert events[0].occurred_at == datetime.fromtimestamp(881250949, tz=UTC)


def test_sessions__lines__spread_over_the_window_clicks_half_a_minute_apart() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)

    events, _ = parsed(
        "sessions", "1 2 1\n\n3 4\t9\n", setup_of(start_at=start, step=timedelta(hours=1))
    )

    assert [event.properties["product_id"] for event in events] == ["1", "2", "1", "3", "4"]
    assert events[2].occurred_at == start + timedelta(minutes=1)
    assert events[3].occurred_at == start + timedelta(hours=2)
    assert len({event.anonymous_id for event in events}) == 2
    assert len({event.message_id for event in events}) == 5


def test_retailrocket__transaction_lines__are_one_order_at_the_first() -> None:
    events, faults = parsed("retailrocket", ROCKET)

    assert [event.name for event in events] == [
        "Product Viewed",
        "Product Added",
        "Order Completed",
        "Product Viewed",
    ]
    order = events[2]
    assert order.properties["order_id"] == "7000"
    assert [item["product_id"] for item in order.properties["products"]] == ["355908", "5"]
    assert order.occurred_at == datetime.fromtimestamp(1433221334, tz=UTC)
    assert [fault.line for fault in faults] == [7, 8]


def test_rees46__purchases_of_a_session__are_one_order() -> None:
    events, faults = parsed("rees46", REES)

    assert [event.name for event in events] == [
        "Product Viewed",
        "Product Added",
        "Order Completed",
        "Product Removed",
    ]
    assert events[2].properties["total"] == pytest.approx(499.17)
    assert events[0].context == {"session": {"id": "s1"}}
    assert [fault.line for fault in faults] == [7, 8]


def test_rees46__product__is_named_by_brand_and_category() -> None:
    form = FORMATS["rees46"]
    first = next(iter(form.read(io.StringIO(REES), "utf-8")))
    assert isinstance(first, Line)
    assert form.products is not None

    (product,) = form.products(first)
    assert product["title"] == "Xiaomi smartphone 1003461"
    assert product["categories"] == ["electronics.smartphone", "electronics"]


def test_ndjson__lines__are_checked_like_calls() -> None:
    text = (
        '{"type":"track","event":"Product Viewed","userId":"u1","messageId":"m1",'
        '"timestamp":"2026-01-02T03:04:05Z","properties":{"product_id":"p1"}}\n'
        '{"type":"identify","anonymousId":"a1","timestamp":1767323045,"traits":{"tier":"gold"}}\n'
        '{"type":"identify","anonymousId":"a1","timestamp":"1767323045","traits":{"tier":"gold"}}\n'
        "{broken\n"
        '{"type":"track","event":"X","userId":"u1"}\n'
        '{"type":"track","event":"X","timestamp":"2026-01-02T03:04:05Z"}\n'
    )

    events, faults = parsed("ndjson", text)

    assert events[0].message_id == "m1"
    assert events[0].occurred_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (events[1].type, events[1].traits) == ("identify", {"tier": "gold"})
    assert [(fault.line, fault.problem.split(";")[0]) for fault in faults] == [
        (2, "timestamp has the wrong type"),
        (4, "is not valid JSON"),
        (5, "has no timestamp"),
        (6, "anonymousId is missing"),
    ]


def test_csv__mapping__fills_nested_fields_numbers_and_names() -> None:
    text = (
        "who,did,what,when,cost\nu1,look,p1,2026-01-02 03:04:05,9.5\n"
        "u2,buy,p2,,1\nu3,look,p3,2026-01-02,much\n"
    )
    setup = setup_of(
        mapping={
            "who": "userId",
            "did": "event",
            "what": "properties.product_id",
            "when": "timestamp",
            "cost": "properties.price",
        },
        constants={"properties.currency": "EUR"},
        names={"look": "Product Viewed"},
    )

    events, faults = parsed("csv", text, setup)

    assert events[0].name == "Product Viewed"
    assert events[0].properties == {"currency": "EUR", "product_id": "p1", "price": 9.5}
    assert [fault.line for fault in faults] == [3, 4]


def test_csv__column_not_there__stops_naming_it() -> None:
    with pytest.raises(Unprocessable, match="no column who"):
        parsed("csv", "a,b\n1,2\n", setup_of(mapping={"who": "userId"}))


@pytest.mark.parametrize("key", ["online-retail", "retailrocket", "rees46"])
def test_tables__wrong_file__stops_naming_the_columns(key: str) -> None:
    with pytest.raises(Unprocessable, match="has no column"):
        parsed(key, "a,b\n1,2\n")


def test_tables__ragged_record__is_a_fault() -> None:
    events, faults = parsed("retailrocket", ROCKET + "1,2,3\n")

    assert len(events) == 4
    assert faults[-1] == Fault(9, "has another number of cells than the header")


def test_ids__same_line__same_id_other_line_or_file_another() -> None:
    first, _ = parsed("movielens", "1\t2\t3\t881250949\n1\t2\t3\t881250949\n")
    again, _ = parsed("movielens", "1\t2\t3\t881250949\n1\t2\t3\t881250949\n9\t9\t3\t881250949\n")
    other = Setup(source="other.csv", schema=Schema({}))
    elsewhere, _ = parsed("movielens", "1\t2\t3\t881250949\n", other)

    assert [event.message_id for event in again[:2]] == [event.message_id for event in first]
    assert len({event.message_id for event in (*again, *elsewhere)}) == 4


def test_ids__too_long__are_faults() -> None:
    _, faults = parsed("movielens", f"{'9' * 300}\t2\t3\t881250949\n")

    assert faults[0].problem == "has an id longer than 255 characters"


def test_opened__gzip_and_bom__read_like_plain_text(tmp_path: Path) -> None:
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress("\ufeffa,b\n1,2\n".encode()))

    with opened(packed, "utf-8") as file:
        assert file.text.read() == "a,b\n1,2\n"
        assert file.bytes_read() > 0


def test_opened__other_encoding__is_a_fault_that_says_what_to_do(tmp_path: Path) -> None:
    latin = tmp_path / "x.csv"
    latin.write_bytes("userId,movieId,rating,timestamp\né,2,3,881250949\n".encode("latin-1"))

    with opened(latin, "utf-8") as file:
        lines = list(FORMATS["movielens"].read(file.text, "utf-8"))
    assert isinstance(lines[0], Fault)
    assert "--encoding" in lines[0].problem

    with opened(latin, "latin-1") as file:
        lines = list(FORMATS["movielens"].read(file.text, "latin-1"))
    assert isinstance(lines[0], Line)
    assert lines[0].cells["userId"] == "é"
