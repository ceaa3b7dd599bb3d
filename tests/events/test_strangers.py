"""What a browser may not set, cannot fill, and leaves nothing of itself in."""

import pytest
from django.test import Client

from personalization.customers.models import Trait
from personalization.events import numbers, registry
from personalization.events.models import Event, RejectedEvent
from personalization.lib import clock
from personalization.ops.services import publish
from tests.events.calls import counts, post, viewed
from tests.events.test_ingestion import BOT, NOW, PHONE

pytestmark = pytest.mark.django_db


@pytest.fixture
def _declared(db: None) -> None:
    Trait.objects.update_or_create(
        key="credit", defaults={"title": "Credit", "type": "number", "server_only": True}
    )
    Trait.objects.update_or_create(
        key="size", defaults={"title": "Size", "type": "string", "server_only": False}
    )
    publish(actor="test")


_CALL = {"anonymousId": "a1", "messageId": "m1"}


@pytest.mark.usefixtures("_declared")
def test_identify__by_a_browser__server_only_traits_dropped(browser: Client) -> None:
    traits = {"credit": 1e6, "size": "M", "undeclared": 1}

    post(browser, "identify", {**_CALL, "traits": traits})
    post(browser, "identify", {**_CALL, "messageId": "m2", "traits": {"credit": 1}})

    assert Event.objects.get(message_id="m1").traits == {"size": "M", "undeclared": 1}
    assert Event.objects.get(message_id="m2").traits is None


@pytest.mark.usefixtures("_declared")
def test_identify__by_a_server__all_traits_stay(server: Client) -> None:
    post(server, "identify", {**_CALL, "traits": {"credit": 5, "size": "M"}})

    assert Event.objects.get().traits == {"credit": 5, "size": "M"}


def test_pictures__names_that_nobody_described__make_none(browser: Client) -> None:
    odd = [viewed(f"m{n}", event=f"Made Up {n}", properties={"price": n}) for n in range(20)]

    post(browser, "batch", {"batch": [*odd, viewed("known")]})

    assert {name for name, _ in numbers.pictures._known} == {"Product Viewed"}


@pytest.mark.parametrize("consented", [True, False])
@pytest.mark.parametrize(("agent", "device", "bot"), [(PHONE, "mobile", 0), (BOT, None, 1)])
def test_rejected__its_user_agent__only_what_it_told(
    browser: Client, agent: str, device: str | None, bot: int, consented: bool
) -> None:
    consent = {"consent": {"categoryPreferences": {"personalization": consented}}}
    event = viewed(properties={"product_id": "sku1", "price": "dear"})
    event["context"] = {"userAgent": agent, **consent}
    with clock.frozen(NOW):
        assert counts(post(browser, "track", event, **{"user-agent": agent}))[3] == 1
    row = RejectedEvent.objects.get()
    assert "Mozilla" not in row.body + str(row.envelope)
    row.body = row.body.replace('"dear"', "5")
    row.save()

    assert registry.replay([row.pk], actor="t", now=NOW).accepted == 1

    stored = Event.objects.get()
    assert stored.flags & 1 == bot
    assert stored.context.get("device") == (device and {"type": device})


def test_rejected__of_a_server__its_visitors_agent_too(server: Client) -> None:
    event = viewed(properties={"product_id": "sku1", "price": "dear"})
    event["context"] = {"userAgent": PHONE, "ip": "203.0.113.77"}
    with clock.frozen(NOW):
        post(server, "track", event, **{"user-agent": "python-requests/2"})
    row = RejectedEvent.objects.get()
    assert "Mozilla" not in row.body + str(row.envelope)
    row.body = row.body.replace('"dear"', "5")
    row.save()

    registry.replay([row.pk], actor="t", now=NOW)

    stored = Event.objects.get()
    assert stored.context["device"] == {"type": "mobile"}
    assert stored.context["address"] == "203.0.113.0"
