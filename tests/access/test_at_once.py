"""Whoever makes the same thing at once takes turns: the later finds it made, none fails."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from personalization.access.services import create_key
from personalization.content import services
from personalization.events.models import EventSchema

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
    statuses, ready = list[int](), threading.Barrier(AT_ONCE)

    def send() -> None:
        client = Client(raise_request_exception=False)
        headers = {"Authorization": f"Bearer {key}"}
        ready.wait(10)
        try:
            answer = client.post(address, body, content_type="application/json", headers=headers)
            statuses.append(answer.status_code)
        finally:
            connection.close()

    senders = [threading.Thread(target=send) for _ in range(AT_ONCE)]
    for one in senders:
        one.start()
    for one in senders:
        one.join(60)

    first = 200 if later == 200 else 201
    assert sorted(statuses) == sorted([first, *[later] * (AT_ONCE - 1)])


@pytest.mark.django_db(transaction=True)
def test_block__one_key_for_two_campaigns_at_once__the_later_is_told() -> None:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    for campaign in ("spring", "autumn"):
        services.create_campaign(key=campaign, values={"placement": "home.hero"}, actor="t")
    told, ready = list[str](), threading.Barrier(2)

    def make(campaign: str) -> None:
        ready.wait(10)
        try:
            services.upsert_block(campaign=campaign, key="same", content={}, actor="t")
            told.append("made")
        except Exception as error:  # noqa: BLE001 -- which it is, is asked below
            told.append(type(error).__name__)
        finally:
            connection.close()

    makers = [threading.Thread(target=make, args=(name,)) for name in ("spring", "autumn")]
    for one in makers:
        one.start()
    for one in makers:
        one.join(60)

    assert sorted(told) == ["KeyTaken", "made"]


@pytest.mark.django_db(transaction=True)
def test_event_type__saved_at_once_in_the_admin__the_later_finds_its_name_taken() -> None:
    staff = User.objects.create_superuser("ada")
    form = {
        "name": "Level Reached", "title": "", "fact": "", "rows-TOTAL_FORMS": "0",
        "rows-INITIAL_FORMS": "0",
    }  # fmt: skip
    told, ready = list[str](), threading.Barrier(AT_ONCE)

    def save() -> None:
        client = Client(raise_request_exception=False)
        client.force_login(staff)
        ready.wait(10)
        try:
            answer = client.post("/admin/events/eventschema/add/", form)
            fault = b"already exists" in answer.content or b"another event type" in answer.content
            told.append(f"{answer.status_code} {'taken' if fault else ''}".strip())
        finally:
            connection.close()

    savers = [threading.Thread(target=save) for _ in range(AT_ONCE)]
    for one in savers:
        one.start()
    for one in savers:
        one.join(60)

    assert sorted(told) == [*["200 taken"] * (AT_ONCE - 1), "302"]
    assert EventSchema.objects.filter(name="Level Reached").count() == 1
