"""What lists led to: counted once, whatever arrives first, for the last click before a purchase."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from personalization.customers.engine.facts import Fact
from personalization.customers.models import Identity
from personalization.events.processor import isolation
from recommender import outcomes
from recommender.engine.attribution import Moment, attributed
from recommender.models import BoughtLine, ItemDay, ShelfDay, ShownClick, ShownList
from tests.flows.conftest import SHELF, Walk, walk
from tests.recommender.shop import NOW, customer

__all__ = ["walk"]
HOUR_US = 3_600_000_000
_HELD = ("strategy", "source", "position", "shown", "clicked", "bought", "revenue_minor")


def decision(hours: float = 0) -> str:
    """Return a version-7 id of so many hours before NOW."""
    ms = int((NOW - timedelta(hours=hours)).timestamp() * 1000)
    return str(uuid.UUID(int=(ms << 80) | (7 << 76) | (2 << 62) | int(hours * 1000)))


def fact(who: Identity, name: str, hours: float, **more: Any) -> Fact:
    base: dict[str, Any] = dict.fromkeys(Fact._fields, "") | {
        "identity_id": who.pk,
        "customer_id": who.customer_id,
        "message_id": f"{name}{hours}{more.get('order_id', '')}",
        "occurred_us": int(NOW.timestamp() * 1e6 - hours * HOUR_US),
        "name": name,
        "items": (),
        "currency": "EUR",
        "value_minor": None,
        "traits": None,
        "purposes": 7,
        "flags": 0,
        "position": (0, 0, 0),
        "props": None,
    }
    return Fact(**(base | more))


def shown(who: Identity, hours: float, **more: Any) -> Fact:
    props = {
        "items": [{"id": "mug", "source": "item_knn"}, ["cup", "popularity"]],
        "$decision": {"id": decision(hours), "placement": "home", "strategy": "for-you"},
    }
    return fact(who, "Decision Exposed", hours, props=props, **more)


def clicked(who: Identity, hours: float, *, after: float = 0.1, item: str = "mug") -> Fact:
    props = {
        "item": item,
        "$decision": {"id": decision(hours), "placement": "home", "strategy": "for-you"},
    }
    return fact(who, "Decision Clicked", hours - after, props=props)


def bought(who: Identity, hours: float, *, price: int | None = 500, order: str = "o1") -> Fact:
    lines = (("mug", 2, price), ("pan", 1, 100))
    return fact(who, "Order Completed", hours, kind="order", items=lines, order_id=order)


def held() -> list[tuple[Any, ...]]:
    return list(ShelfDay.objects.order_by("day", "position").values_list(*_HELD))


def fold(*facts: Fact) -> None:
    outcomes.fold(facts, NOW)


MUG = ("for-you", "item_knn", 0, 1, 1, 1, 1000)
CUP = ("for-you", "popularity", 1, 1, 0, 0, 0)


@pytest.mark.django_db
def test_fold__any_order_and_twice__the_same_sums(settings: Any) -> None:
    settings.SHOP_CURRENCY = "EUR"
    who = customer("ann")
    facts = (shown(who, 30), clicked(who, 30), bought(who, 10))
    for order in permutations(facts):
        for table in (ShelfDay, ItemDay, ShownList, ShownClick, BoughtLine):
            table.objects.all().delete()
        for one in order:
            fold(one)
        fold(*order)

        assert held() == [MUG, CUP]
        mug = ItemDay.objects.get(item="mug")
        assert (mug.shown, mug.clicked, mug.bought, mug.revenue_minor) == (1, 1, 1, 1000)
        assert (mug.day, mug.placement) == (datetime(2026, 2, 28, tzinfo=UTC).date(), "home")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("hours", "price", "expected"),
    [
        (29, 500, (1, 1000)),
        (31, 500, (0, 0)),  # before the click
        (29 - 24 * 7, 500, (0, 0)),  # after the window
        (29, None, (1, 0)),  # a line without a price
    ],
)
def test_fold__purchase__counts_in_the_window_after_the_click(
    settings: Any, hours: float, price: int | None, expected: tuple[int, int]
) -> None:
    settings.SHOP_CURRENCY, settings.OUTCOME_WINDOW_DAYS = "EUR", 7
    who = customer("ann")

    fold(shown(who, 30), clicked(who, 30), bought(who, hours, price=price))

    assert held()[0][-2:] == expected


@pytest.mark.django_db
def test_fold__an_earlier_click_arrives_late__purchase_stays_with_the_last(settings: Any) -> None:
    settings.SHOP_CURRENCY = "EUR"
    who = customer("ann")
    fold(shown(who, 30), clicked(who, 30), bought(who, 10))

    fold(shown(who, 50), clicked(who, 50))
    first = held()
    fold(shown(who, 11), clicked(who, 11))

    by_day = ShelfDay.objects.filter(position=0).order_by("day").values_list("bought", flat=True)
    assert first[-2] == MUG
    assert list(by_day) == [0, 0, 1]


@pytest.mark.django_db
def test_fold__clicked_as_a_guest_bought_when_logged_in__one_customer(settings: Any) -> None:
    settings.SHOP_CURRENCY = "EUR"
    guest, user = customer("guest"), customer("ann")
    guest.customer = user.customer
    guest.save(update_fields=["customer"])

    fold(shown(guest, 30), clicked(guest, 30), bought(user, 10))

    assert held()[0] == MUG


@pytest.mark.django_db
def test_fold__order_told_twice__the_earlier_one_counts(settings: Any) -> None:
    settings.SHOP_CURRENCY = "EUR"
    who = customer("ann")
    fold(shown(who, 30), clicked(who, 30), bought(who, 9, price=700))

    fold(bought(who, 10))

    assert held()[0] == MUG


@pytest.mark.django_db
@pytest.mark.parametrize("browser_first", [True, False])
def test_fold__order_told_by_browser_and_server__counts_once(
    settings: Any, browser_first: bool
) -> None:
    settings.SHOP_CURRENCY = "EUR"
    browser = customer("ann")
    server = Identity.objects.create(
        kind=1, value="server", customer=browser.customer, origin=browser.customer, created_at=NOW
    )
    told = [bought(browser, 10), bought(server, 9.9)]
    fold(shown(browser, 30), clicked(browser, 30))

    for one in told if browser_first else told[::-1]:
        fold(one)

    assert held()[0] == MUG


@pytest.mark.django_db
@pytest.mark.parametrize(("pieces", "counted"), [(0, 0), (-1, 0), (1, 1)])
def test_fold__line_of_no_piece__no_purchase(settings: Any, pieces: int, counted: int) -> None:
    settings.SHOP_CURRENCY = "EUR"
    who = customer("ann")
    order = fact(who, "Order Completed", 9, kind="order", items=(("mug", pieces, 500),))

    fold(shown(who, 30), clicked(who, 30), order)

    assert held()[0][5:] == (counted, counted * 500)


@pytest.mark.django_db
def test_fold__lines_worth_more_than_a_column_holds__bought_without_a_worth(settings: Any) -> None:
    settings.SHOP_CURRENCY = "EUR"
    who = customer("ann")
    order = fact(who, "Order Completed", 9, kind="order", items=(("mug", 10**6, 10**12),) * 10)

    fold(shown(who, 30), clicked(who, 30), order)

    assert held()[0] == ("for-you", "item_knn", 0, 1, 1, 1, 0)


@pytest.mark.django_db
def test_fold_facts__one_that_the_database_refuses__is_left_out_alone() -> None:
    who = customer("ann")
    bad = shown(who, 20)._replace(identity_id=2**70)

    left = isolation.fold_facts([shown(who, 30), bad, clicked(who, 30)], outcomes.fold, NOW)

    assert (left, [row[3:5] for row in held()]) == (1, [(1, 1), (1, 0)])


@pytest.mark.django_db
@pytest.mark.parametrize("purposes", [1, 2, 4])
def test_fold__not_allowed__nothing(purposes: int) -> None:
    fold(shown(customer("ann"), 30, purposes=purposes))

    assert held() == []


@pytest.mark.django_db
def test_fold__content_block_or_item_not_in_the_list__nothing_clicked() -> None:
    who = customer("ann")
    props = {"items": [], "$decision": {"id": decision(9), "placement": "top", "strategy": ""}}

    fold(fact(who, "Decision Exposed", 9, props=props), shown(who, 8))
    fold(clicked(who, 8, item="ghost"))

    assert [row[4] for row in held()] == [0, 0]


@pytest.mark.django_db
def test_drop_old__details_go_first_figures_later(settings: Any) -> None:
    who = customer("ann")
    fold(shown(who, 30), clicked(who, 30), bought(who, 10))

    assert outcomes.drop_old(now=NOW + timedelta(days=30)) == 0
    assert outcomes.drop_old(now=NOW + timedelta(days=40)) == 4
    assert ShelfDay.objects.count() == 2
    assert outcomes.drop_old(now=NOW + timedelta(days=500)) == 4


@pytest.mark.django_db
def test_personal_data__export_and_erase__sums_stay() -> None:
    who = customer("ann")
    fold(shown(who, 30), clicked(who, 30), bought(who, 10))
    mine = outcomes.OutcomesHeld()

    told = mine.export(who.customer_id)
    gone = mine.erase(who.customer_id)

    assert (len(told["shown"]), len(told["clicked"]), len(told["bought"])) == (1, 1, 2)
    assert (gone, ShownList.objects.count(), ShelfDay.objects.count()) == (4, 0, 2)


_TIMES = st.integers(0, 20)


@given(st.lists(_TIMES, max_size=6), st.lists(_TIMES, max_size=6), st.randoms())
def test_attributed__shuffled__the_same(
    clicks: Sequence[int], lines: Sequence[int], shuffled: Any
) -> None:
    made = [Moment(row, str(row), at) for row, at in enumerate(clicks)]
    told = [Moment(row, "", at) for row, at in enumerate(lines)]
    found = attributed(made, told, window_us=7)
    shuffled.shuffle(made)

    assert attributed(made, told, window_us=7) == found
    for row, click in found.items():
        gaps = [lines[row] - at for at in clicks if 0 <= lines[row] - at < 7]
        assert (click is None) == (not gaps)
        assert click is None or lines[row] - clicks[click] == min(gaps)


@pytest.mark.django_db(transaction=True)
def test_walk__shown_clicked_bought__through_http_and_again_by_replay(walk: Walk) -> None:
    ids = {"anonymousId": "laptop-1"}
    walk.consent(ids, granted=True)
    shelf = walk.decide(ids)
    items = [{"id": one["id"], "source": one["source"]} for one in shelf["items"]]
    walk.send("Decision Exposed", ids, token=shelf["token"], items=items)
    walk.send("Decision Clicked", ids, token=shelf["token"], item=items[1]["id"])
    lines = [{"product_id": items[1]["id"], "price": 5, "quantity": 2}]
    walk.send("Order Completed", ids, order_id="o1", products=lines)
    walk.process()
    live = held()

    call_command("replay", "--group", "insight", verbosity=0)
    walk.process()

    assert [row[2:] for row in live[:2]] == [(0, 1, 0, 0, 0), (1, 1, 1, 1, 1000)]
    assert held() == live
    assert outcomes.live_generation() == 2
    assert ShownList.objects.get().placement == SHELF
