"""The page of one decision: for whom, on what grounds, what showed and what lost, in words."""

from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from personalization.content import services as content
from personalization.customers.models import Identity
from personalization.customers.services import create_identities
from personalization.decisions import record
from personalization.decisions.models import Decision
from personalization.decisions.selectors import Explanation
from personalization.decisions.telling import told
from personalization.lib import clock
from personalization.ops import serve as config
from recommender.models import ShownList
from tests.decisions.conftest import NOW, Decide

ADDRESS = "/admin/decisions/decision/"
ASK = {"anonymousId": "a1", "placements": ["home.hero", "home.recommended", "nowhere"]}


def page_of(client: Client, answer: dict[str, Any]) -> str:
    record.flush()
    return client.get(f"{ADDRESS}explain/", {"id": answer["decisionId"]}).content.decode()


def made(body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    row = Decision(id=UUID(int=1), day=NOW.date(), at=NOW, config_version=1, body=body, **fields)
    return told(Explanation(row, {}))


def test_page__stranger__in_words_with_the_record_below(
    decide: Decide, admin_client: Client
) -> None:
    page = page_of(admin_client, decide(ASK))

    assert "the shop has not seen this visitor before" in page
    assert "There was no such placement, or it was not active." in page
    assert "shown: it won" in page
    assert "not recorded: a stranger" in page
    assert "<details" in page
    assert "&quot;source&quot;: &quot;stranger&quot;" in page


def test_page__two_campaigns__the_loser_says_why(decide: Decide, admin_client: Client) -> None:
    values = {"placement": "home.hero", "priority": -1, "title": "The quiet one"}
    content.create_campaign(key="quiet", values=values, actor="t")
    content.upsert_block(campaign="quiet", key="q", content={"heading": "Q"}, actor="t")
    content.publish_campaign(key="quiet", actor="t")
    config.reload()

    page = page_of(admin_client, decide(ASK))

    assert ">The quiet one</a>" in page
    assert "another campaign has a higher priority" in page


def test_page__customer__linked_here_and_in_the_list(decide: Decide, admin_client: Client) -> None:
    create_identities([(Identity.Kind.ANONYMOUS, "a1")], now=NOW)
    customer = Identity.objects.get().customer_id

    page = page_of(admin_client, decide(ASK))

    link = f'<a href="/admin/customers/customer/{customer}/change/">'
    assert f"{link}a1</a>" in page
    assert link in admin_client.get(ADDRESS, {"q": "a1"}).content.decode()
    assert link not in admin_client.get(ADDRESS, {"q": "a2"}).content.decode()


def test_page__list_reported__its_products_in_order(decide: Decide, admin_client: Client) -> None:
    answer = decide(ASK)
    ShownList.objects.create(
        generation=1,
        decision=answer["decisionId"],
        placement="home.recommended",
        strategy="for-you",
        day=NOW.date(),
        identity_id=1,
        items=[["sku3", "transitions"], ["sku1", "pin"]],
    )

    page = page_of(admin_client, answer)

    assert page.index("Product 3</a>") < page.index("Product 1</a>")
    assert "Viewed next" in page
    assert "Pinned by hand" in page


def test_page__list_not_reported__says_so(decide: Decide, admin_client: Client) -> None:
    assert "No page reported that somebody saw the list" in page_of(admin_client, decide(ASK))


@pytest.mark.django_db
def test_told__visit__segments_cart_and_actions() -> None:
    now_s = int(clock.now().timestamp())
    page = made({"mask": 3, "cart": ["sku9"], "recent": [["view", "sku8", now_s]], "cut": True})

    assert [(one["title"], one["allowed"]) for one in page["purposes"]][2][1] is False
    assert page["cart"] == ["sku9"]
    assert (page["recent"][0]["what"], page["recent"][0]["title"]) == ("looked at", "sku8")
    assert page["cut"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("model_missing:als", "This model was not there to answer: Taste as a whole"),
        ("recommend:budget", "Time was up"),
        ("new:thing", "new:thing"),
    ],
)
def test_told__what_was_missing__in_words(code: str, words: str) -> None:
    assert made({"degraded": [code]})["degraded"][0].startswith(words)


@pytest.mark.django_db
def test_told__empty_record__nothing_is_made_up() -> None:
    page = made({})

    assert (page["customer"], page["placements"], page["models"]) == (None, [], [])
    assert page["ms"] is None
