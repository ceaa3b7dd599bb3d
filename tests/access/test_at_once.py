"""Whoever makes the same thing at once takes turns: the later finds it made, none fails."""

from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from personalization.access.services import create_key
from personalization.content import services
from personalization.content.models import Campaign
from personalization.events.models import EventSchema
from tests.atonce import at_once

AT_ONCE = 4
RULE = {"kind": "profile", "key": "orders", "op": "exists"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("address", "body", "later"),
    [
        ("/api/placements/", {"key": "home.new", "kind": "content"}, 201),
        ("/api/campaigns/", {"key": "spring", "placement": "home.hero"}, 409),
        ("/api/segments/", {"key": "vips", "rule": RULE}, 409),
        ("/api/segments/lists/", {"key": "guests", "ids": ["u1", "u2"]}, 200),
        ("/api/strategies/", {"key": "mine", "title": "Mine", "algorithm": "popularity"}, 409),
    ],
)
def test_create__the_same_at_once__one_makes_it_and_none_fails(
    address: str, body: dict[str, Any], later: int
) -> None:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    _, key = create_key(name="office", kind="secret", actor="t")

    def send() -> int:
        client = Client(raise_request_exception=False)
        headers = {"Authorization": f"Bearer {key}"}
        answer = client.post(address, body, content_type="application/json", headers=headers)
        return answer.status_code

    statuses = at_once(*[send] * AT_ONCE)

    first = 200 if later == 200 else 201
    assert sorted(statuses) == sorted([first, *[later] * (AT_ONCE - 1)])


@pytest.mark.django_db(transaction=True)
def test_block__one_key_for_two_campaigns_at_once__the_later_is_told() -> None:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    for campaign in ("spring", "autumn"):
        services.create_campaign(key=campaign, values={"placement": "home.hero"}, actor="t")

    def make(campaign: str) -> str:
        try:
            services.upsert_block(campaign=campaign, key="same", content={}, actor="t")
        except Exception as error:  # noqa: BLE001 -- which it is, is asked below
            return type(error).__name__
        return "made"

    told = at_once(*(partial(make, name) for name in ("spring", "autumn")))

    assert sorted(told) == ["KeyTaken", "made"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("address", "form"),
    [
        (
            "events/eventschema",
            {"name": "spring", "title": "", "fact": "", "rows-TOTAL_FORMS": "0",
             "rows-INITIAL_FORMS": "0"},
        ),
        (
            "content/campaign",
            {"key": "spring", "title": "Spring", "priority": "0", "block-TOTAL_FORMS": "1",
             "block-INITIAL_FORMS": "0", "block-0-heading": "Tulips"},
        ),
    ],
)  # fmt: skip
def test_admin__the_same_added_at_once__the_later_are_told_that_it_exists(
    address: str, form: dict[str, str]
) -> None:
    hero = services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    staff = User.objects.create_superuser("ada")
    clients = [Client(raise_request_exception=False) for _ in range(AT_ONCE)]
    for one in clients:
        one.force_login(staff)

    def save(client: Client) -> str:
        answer = client.post(f"/admin/{address}/add/", form | {"placement": str(hero.pk)})
        words = answer.content.decode()
        faults = ("already exists", "another event type", "campaign &#x27;spring&#x27; exists")
        fault = any(one in words for one in faults)
        return f"{answer.status_code} {'taken' if fault else ''}".strip()

    told = at_once(*(partial(save, one) for one in clients))

    assert sorted(told) == [*["200 taken"] * (AT_ONCE - 1), "302"]
    made = {"events/eventschema": EventSchema, "content/campaign": Campaign}[address]
    assert made._default_manager.filter(**{next(iter(form)): "spring"}).count() == 1
