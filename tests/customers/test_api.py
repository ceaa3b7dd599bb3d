"""`/api/customers/`: who may look, how one is found, what is told, what is handed over."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.access.services import create_key
from personalization.consent import services as consent
from personalization.customers.models import Customer, Identity, Merge
from personalization.customers.services import create_identities, merge
from personalization.lib import clock
from tests.access.test_api import code, member

pytestmark = pytest.mark.django_db
USER, DEVICE = Identity.Kind.USER, Identity.Kind.ANONYMOUS


@pytest.fixture
def reader() -> Client:
    return server("customers:read")


def server(*scopes: str) -> Client:
    _row, key = create_key(name="crm", kind="secret", actor="test", scopes=scopes)
    return Client(headers={"authorization": f"Bearer {key}"})


def made(*keys: tuple[int, str]) -> list[Customer]:
    create_identities(keys, now=clock.now())
    return [Identity.objects.get(kind=kind, value=value).customer for kind, value in keys]


def track(client: Client, **event: Any) -> None:
    body = {"event": "Product Viewed", "properties": {"product_id": "mug"}, **event}
    answer = client.post("/v1/track", body, content_type="application/json")
    assert answer.json()["accepted"] == 1, answer.content


def seen(client: Client, path: str, **query: str) -> dict[str, Any]:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


@pytest.mark.parametrize("tail", ["", "export/", "timeline/"])
def test_customers__key_without_the_scope__is_refused(tail: str) -> None:
    [customer] = made((USER, "u1"))

    answer = server("events:write", "catalog:write").get(f"/api/customers/{customer.uuid}/{tail}")

    assert (answer.status_code, code(answer)) == (403, "scope_missing")


@pytest.mark.parametrize(("role", "status"), [("viewer", 200), ("", 403)])
def test_customers__staff__viewers_may_look(role: str, status: int) -> None:
    [customer] = made((USER, "u1"))

    assert member(role).get(f"/api/customers/{customer.uuid}/").status_code == status
    assert User.objects.count() == 1


@pytest.mark.parametrize("tail", ["", "export/", "timeline/"])
def test_customers__unknown__is_404(reader: Client, tail: str) -> None:
    answer = reader.get(f"/api/customers/{uuid4()}/{tail}")

    assert (answer.status_code, code(answer)) == (404, "not_found")


@pytest.mark.parametrize(
    ("tail", "parameter"),
    [("", "user_id"), ("export/", "user_id"), ("timeline/", "user_id"), ("timeline/", "name")],
)
def test_customer__parameter_that_it_does_not_read__is_refused(
    reader: Client, tail: str, parameter: str
) -> None:
    [customer] = made((USER, "u1"))

    answer = reader.get(f"/api/customers/{customer.uuid}/{tail}", {parameter: "u1"})

    assert (answer.status_code, code(answer)) == (400, "malformed")


def test_customers__unknown_parameter__is_refused(reader: Client) -> None:
    answer = reader.get("/api/customers/", {"email": "ann@example.com"})

    assert (answer.status_code, code(answer)) == (400, "malformed")


@pytest.mark.parametrize("parameter", ["user_id", "anonymous_id", "cursor"])
def test_customers__nul_in_a_parameter__is_told_by_its_name(reader: Client, parameter: str) -> None:
    answer = reader.get(f"/api/customers/?{parameter}=a%00")

    assert (answer.status_code, code(answer)) == (400, "malformed")
    error = answer.json()["error"]
    assert [fault["path"] for fault in error["details"]] == [parameter]
    assert parameter in error["message"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_customers__writes__are_not_offered(reader: Client, method: str) -> None:
    [customer] = made((USER, "u1"))
    server_key = server("admin")

    assert getattr(server_key, method)(f"/api/customers/{customer.uuid}/").status_code == 405
    assert getattr(reader, method)(f"/api/customers/{customer.uuid}/").status_code in {403, 405}


def test_customers__by_an_id__the_one_that_goes_by_it_as_this_kind(reader: Client) -> None:
    user, device = made((USER, "same"), (DEVICE, "same"))

    by_user = seen(reader, "/api/customers/", user_id="same")["results"]
    by_device = seen(reader, "/api/customers/", anonymous_id="same")["results"]
    by_both = seen(reader, "/api/customers/", user_id="same", anonymous_id="same")["results"]

    assert [row["uuid"] for row in by_user] == [str(user.uuid)]
    assert [row["uuid"] for row in by_device] == [str(device.uuid)]
    assert by_both == []
    assert seen(reader, "/api/customers/", user_id="nobody")["results"] == []


def test_customers__many__pages_reach_each_once(reader: Client) -> None:
    made(*((USER, f"u{n}") for n in range(5)))

    first = seen(reader, "/api/customers/", page_size="3")
    second = seen(reader, first["next"])

    found = [row["uuid"] for row in first["results"] + second["results"]]
    assert len(set(found)) == len(found) == 5
    assert second["next"] is None


def test_customer__consent_said__detail_tells_what_and_when(reader: Client) -> None:
    [customer] = made((USER, "u1"))
    consent.record(
        identity=(USER, "u1"),
        purposes={"marketing": True},
        source="banner",
        policy_version="3",
        now=clock.now(),
    )

    told = seen(reader, f"/api/customers/{customer.uuid}/")

    assert told["uuid"] == str(customer.uuid)
    assert [(one["kind"], one["value"]) for one in told["identities"]] == [("user_id", "u1")]
    assert told["profile"] is None
    assert told["consent"]["marketing"]["in_force"] is True
    assert told["consent"]["marketing"]["said"]["source"] == "banner"
    assert told["consent"]["analytics"]["said"] is None
    assert told["segments"] == []


def test_customer__absorbed__names_who_took_it_in(reader: Client) -> None:
    source, target = made((DEVICE, "a1"), (USER, "u1"))
    merge(source.pk, target.pk, cause=Merge.Cause.STAFF, actor="test", now=clock.now())

    assert seen(reader, f"/api/customers/{source.uuid}/")["merged_into"] == str(target.uuid)
    told = seen(reader, f"/api/customers/{target.uuid}/")
    assert {one["value"] for one in told["identities"]} == {"a1", "u1"}


def test_timeline__events_of_two_ids__newest_first_page_by_page(reader: Client) -> None:
    shop, now = server("events:write"), clock.now()
    for n in range(3):
        at = (now - timedelta(minutes=n)).isoformat()
        track(shop, userId="u1", messageId=f"m{n}", timestamp=at)
    track(shop, userId="u2", messageId="other")
    customer = Identity.objects.get(value="u1").customer

    first = seen(reader, f"/api/customers/{customer.uuid}/timeline/", page_size="2")
    second = seen(reader, first["next"])

    told = first["results"] + second["results"]
    assert [event["message_id"] for event in told] == ["m0", "m1", "m2"]
    assert told[0]["properties"] == {"product_id": "mug"}
    assert told[0]["trust"] == "secret"
    assert "analytics" in told[0]["purposes"]


def test_export__customer__everything_held_and_a_line_in_the_trail(reader: Client) -> None:
    [customer] = made((USER, "u1"))

    told = seen(reader, f"/api/customers/{customer.uuid}/export/")

    assert told["customer"]["identities"][0]["value"] == "u1"
    assert told["held"]["decisions"] == []
    assert seen(reader, told["events"])["results"] == []
    line = AuditEvent.objects.get(action="export")
    assert line.object_id == str(customer.pk)
