"""The storefront's views: pages, product data, tiles, log-in as a demo customer only."""

import re

import pytest
from django.conf import settings
from django.test import Client

from personalization.access.serve import Caller, proven
from personalization.catalog.services import upsert_categories, upsert_products
from personalization.demo import services, state
from personalization.demo.engine.shop import product_rows
from personalization.demo.engine.traffic import Plan, make_assortment
from personalization.demo.selectors import personas
from personalization.lib import clock
from personalization.ops.models import JobRun

pytestmark = pytest.mark.django_db

PLAN = Plan(seed=4, end_us=1_795_000_000_000_000, products=200, customers=300, events=1_000)


@pytest.fixture
def shop(client: Client) -> Client:
    """A client of a shop that has products but no events."""
    now = clock.now()
    upsert_categories(services._categories(), actor="test", now=now)
    rows = product_rows(make_assortment(PLAN), currency="EUR")
    upsert_products([row._asdict() for row in rows], actor="test", now=now)
    JobRun.objects.create(
        kind=state.KIND,
        slot=state.SLOT,
        params=state.params_of(PLAN),
        checkpoint={"public_key": "pk_test", "stage": "events", "ready": True},
        done=250,
        created_at=now,
    )
    return client


def test_front_door__with_a_demo__the_shop__without__the_admin(client: Client) -> None:
    without = client.get("/")
    JobRun.objects.create(
        kind=state.KIND,
        slot=state.SLOT,
        params=state.params_of(PLAN),
        created_at=clock.now(),
    )
    beside = client.get("/")

    assert (without.status_code, without["Location"]) == (302, "/admin/")
    assert (beside.status_code, beside["Location"]) == (302, "/shop/")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "c/home/",
        "c/bedding/?page=1",
        "c/bedding/?page=x",
        "p/lark-00001/",
        "cart/",
        "search/?q=lamp",
    ],
)
def test_pages__demo_there__answer_without_inline_code(shop: Client, address: str) -> None:
    answer = shop.get(f"/shop/{address}")

    body = answer.content.decode()
    assert answer.status_code == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", body)
    assert 'data-key="pk_test"' in body
    assert "The shop is being filled" in body


@pytest.mark.parametrize("address", ["", "c/home/", "p/lark-00001/", "cart/", "products.json"])
def test_pages__no_demo__404_that_says_how(client: Client, address: str) -> None:
    answer = client.get(f"/shop/{address}")

    assert answer.status_code == 404
    assert b"make demo" in answer.content


@pytest.mark.parametrize("address", ["c/none/", "p/none/", "tile/none.svg"])
def test_pages__unknown_key__404(shop: Client, address: str) -> None:
    assert shop.get(f"/shop/{address}").status_code == 404


def test_search__words__all_must_be_in_the_title(shop: Client) -> None:
    title = product_rows(make_assortment(PLAN), currency="EUR")[3].title
    answer = shop.get("/shop/search/", {"q": title.upper()})

    assert title in answer.content.decode()
    assert "Nothing found" in shop.get("/shop/search/", {"q": "zzz \0"}).content.decode()


def test_search__markup__is_shown_as_text(shop: Client) -> None:
    answer = shop.get("/shop/search/", {"q": "<script>alert(1)</script>"})

    assert b"<script>alert" not in answer.content


def test_products__keys__known_ones_in_full(shop: Client) -> None:
    answer = shop.get("/shop/products.json", {"ids": "lark-00001,none,lark-00000,"})

    data = answer.json()
    assert set(data) == {"lark-00001", "lark-00000"}
    assert data["lark-00001"]["currency"] == "EUR"
    assert data["lark-00001"]["amount"] > 0


def test_tile__product__svg_that_may_be_cached(shop: Client) -> None:
    answer = shop.get("/shop/tile/lark-00001.svg")

    assert answer["Content-Type"] == "image/svg+xml"
    assert "max-age=86400" in answer["Cache-Control"]
    assert answer.content == shop.get("/shop/tile/lark-00001.svg").content


def test_tile__title_of_odd_letters__stays_xml(shop: Client) -> None:
    now = clock.now()
    upsert_products([{"key": "odd", "title": "<&>"}], actor="test", now=now)

    assert b">?</text>" in shop.get("/shop/tile/odd.svg").content


def test_progress__while_filling__share_and_stage(shop: Client) -> None:
    assert shop.get("/shop/progress.json").json() == {
        "ready": True,
        "stage": "events",
        "share": 0.25,
    }


def test_log_in__demo_customer__token_that_proves_the_user(shop: Client) -> None:
    persona = personas(PLAN)[0]

    answer = shop.post("/shop/login/", {"user": persona.user_id}).json()

    settings.IDENTITY_PROOF = "required"
    caller = Caller(key_id=1, kind="public", scopes=frozenset(), name="x")
    assert proven(caller, answer["userId"], answer["userToken"], now=clock.now())


@pytest.mark.parametrize("user", ["", "somebody", "lark-u-99999"])
def test_log_in__anybody_else__is_refused(shop: Client, user: str) -> None:
    assert shop.post("/shop/login/", {"user": user}).status_code == 404


def test_log_in__without_csrf_token__is_refused(shop: Client) -> None:
    strict = Client(enforce_csrf_checks=True)

    answer = strict.post("/shop/login/", {"user": personas(PLAN)[0].user_id})

    assert answer.status_code == 403


def test_personas__each__likes_another_department(shop: Client) -> None:
    found = personas(PLAN)

    assert len({persona.user_id for persona in found}) == len(found) >= 4
