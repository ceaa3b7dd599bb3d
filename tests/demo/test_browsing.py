"""Customers of the demo walk through its open doors: what results count is what they did."""

import socket
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest
from django.core.management import call_command
from django.test import Client

from personalization.access.services import create_key
from personalization.catalog import serve as catalogue
from personalization.catalog.services import upsert_categories, upsert_products
from personalization.demo import browsing, removal, services, shelves, state
from personalization.demo.engine.shop import make_shop, product_key, product_rows
from personalization.demo.engine.shoppers import make_shoppers
from personalization.demo.engine.tempted import clicked
from personalization.demo.engine.traffic import Plan, make_assortment
from personalization.demo.management.commands.demo import Command
from personalization.lib import clock
from personalization.ops import serve as config
from personalization.ops.models import JobRun
from recommender.models import ItemDay, ShelfDay
from tests.recommender.stocked import install

pytestmark = pytest.mark.django_db(transaction=True)
PLAN = Plan(seed=4, end_us=1_795_000_000_000_000, products=200, customers=60, events=1_000)
# Enough that some end in an order, whatever the shelves hold: one in twenty does.
WALKS = 150


@pytest.fixture
def post(settings: Any, client: Client) -> browsing.Post:
    """Return what posts to the doors of a shop that is open."""
    settings.DECISION_BUDGET_MS = 60_000
    now = clock.now()
    upsert_categories(services._categories(), actor="test", now=now)
    rows = product_rows(make_assortment(PLAN), currency="EUR")
    upsert_products([row._asdict() for row in rows], actor="test", now=now)
    shelves.publish_shelves(actor="test")
    catalogue.forget()
    catalogue.refresh()
    install("popularity", "item_knn", keys=[product_key(number) for number in range(200)])
    config.reload()
    _, key = create_key(name="Demo back office", kind="secret", actor="test")

    def send(path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = client.post(
            path,
            orjson.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 200, answer.content
        told: Mapping[str, Any] = orjson.loads(answer.content)
        assert not told.get("rejected")
        return told

    return send


def counted() -> tuple[int, int, int]:
    """(shown, clicked, bought) of all shelves."""
    call_command("process", "--once")
    rows = ShelfDay.objects.values_list("shown", "clicked", "bought")
    shown, clicks, bought = (sum(column) for column in zip(*rows, strict=True))
    return shown, clicks, bought


def test_browse__by_the_doors__results_count_what_was_done(post: browsing.Post) -> None:
    walked = browsing.browse(PLAN, post, walks=WALKS, pause_s=0)

    shown, clicks, bought = counted()
    assert (clicks, bought) == (walked.clicks, walked.orders)
    assert shown > 10 * clicks > 0
    assert bought > 0
    assert set(ShelfDay.objects.values_list("placement", flat=True)) == {
        "product.similar",
        "home.recommended",
    }


def test_remove__after_walks__results_are_counted_without_them(post: browsing.Post) -> None:
    browsing.browse(PLAN, post, walks=5, pause_s=0)
    assert counted()[0] > 0

    assert removal.remove(say=lambda _what, _done: None)

    assert not ShelfDay.objects.exists()
    assert not ItemDay.objects.exists()


def test_command__web_does_not_answer__said_and_no_fault(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    JobRun.objects.create(
        kind=state.KIND, slot=state.SLOT, params=state.params_of(PLAN), created_at=clock.now()
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings.PORT = taken.getsockname()[1]

        Command()._browse()

    assert "its door is shut" in capsys.readouterr().out


def test_clicked__of_their_taste__more_often_and_the_first_places_most() -> None:
    rng = np.random.default_rng(1)
    shop, shoppers = make_shop(rng, 300), make_shoppers(rng, 40)
    loved = np.flatnonzero(np.isin(shop.leaf, shoppers.favourites[7]))[:8]
    other = np.flatnonzero(~np.isin(shop.leaf, shoppers.favourites[7]))[:8]

    def places(products: Any) -> list[int]:
        drawn = [clicked(rng, shop, shoppers, 7, products) for _ in range(3_000)]
        return [place for place in drawn if place is not None]

    mine = places(loved)
    assert len(mine) > 2 * len(places(other)) > 0
    assert mine.count(0) + mine.count(1) > mine.count(6) + mine.count(7)
    assert places(np.full(8, -1)) == []
