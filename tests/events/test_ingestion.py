"""Events through the front door: what is stored, for whom, and what the caller is told."""

import base64
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from personalization.access.serve import identity_token
from personalization.access.services import create_key
from personalization.consent.models import ConsentState
from personalization.customers.models import Customer, Identity, Merge
from personalization.events import log
from personalization.events.models import Event, RejectedEvent
from personalization.lib import clock, tokens
from tests.events import mmdb
from tests.events.calls import counts, post, viewed

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"
)


def says(value: str, *, granted: int = 0, denied: int = 0) -> None:
    """Give an anonymous id a customer with words about consent."""
    customer = Customer.objects.create(assignment_key=value, created_at=NOW)
    Identity.objects.create(kind=2, value=value, customer=customer, origin=customer, created_at=NOW)
    ConsentState.objects.create(customer=customer, granted=granted, denied=denied, updated_at=NOW)


def proven(user: str) -> dict[str, str]:
    return {"userId": user, "userToken": identity_token(user, expires_at=NOW + timedelta(hours=1))}


def test_batch__well_formed__stores_rows(browser: Client) -> None:
    body = {
        "batch": [viewed("m1"), viewed("m2", anonymousId="a2")],
        "sentAt": "2026-03-01T12:00:01Z",
    }

    with clock.frozen(NOW):
        answer = post(browser, "batch", body)

    assert counts(answer) == (2, 0, 0, 0)
    first = Event.objects.get(message_id="m1")
    assert (first.type, first.name, first.trust) == ("track", "Product Viewed", 1)
    assert first.occurred_at == datetime(2026, 3, 1, 12, 0, 4, tzinfo=UTC)
    assert first.identity_id == Identity.objects.get(value="a1").pk
    assert first.properties == {"product_id": "sku1", "price": 19.99, "currency": "EUR"}


@pytest.mark.parametrize("path", ["track", "t"])
def test_track__plain_text_and_body_key__is_accepted(db: None, path: str) -> None:
    _row, key = create_key(name="shop", kind="public", actor="test")
    body = orjson.dumps(viewed() | {"writeKey": key})

    response = Client().post(f"/v1/{path}", body, content_type="text/plain")

    assert orjson.loads(response.content)["accepted"] == 1


def test_batch__gzip__is_accepted(browser: Client) -> None:
    body = gzip.compress(orjson.dumps({"batch": [viewed()]}))
    headers = {"content-encoding": "gzip"}

    response = browser.post("/v1/b", body, content_type="application/json", headers=headers)

    assert orjson.loads(response.content)["accepted"] == 1


@pytest.mark.parametrize(
    ("path", "fields", "name"),
    [
        ("identify", {"traits": {"plan": "gold"}}, "Identified"),
        ("i", {"traits": {"plan": "gold"}}, "Identified"),
        ("page", {"name": "Home"}, "Page Viewed"),
        ("s", {"name": "Start"}, "Screen Viewed"),
        ("g", {"groupId": "g1"}, "Grouped"),
    ],
)
def test_call__of_each_kind__has_its_name(
    browser: Client, path: str, fields: dict[str, Any], name: str
) -> None:
    post(browser, path, {"anonymousId": "a1", "messageId": "m1"} | fields)

    row = Event.objects.get()
    assert row.name == name
    assert row.traits == fields.get("traits")


def test_batch__own_context__is_merged_into_events(browser: Client) -> None:
    event = viewed(context={"locale": "de-DE"})
    shared = {"locale": "en-GB", "timezone": "Europe/Berlin", "page": {"path": "/a", "x": 1}}

    post(browser, "batch", {"batch": [event], "context": shared})

    context = Event.objects.get().context
    assert (context["locale"], context["timezone"]) == ("de-DE", "Europe/Berlin")
    assert context["page"] == {"path": "/a"}


def test_batch__one_malformed__keeps_its_neighbours(browser: Client) -> None:
    bad = viewed("m2", properties={"product_id": "sku1", "price": "19.99"})

    answer = post(browser, "batch", {"batch": [viewed("m1"), bad, 7, viewed("m3")]})

    assert counts(answer) == (2, 0, 0, 2)
    fault = answer["rejected"][0]
    assert (fault["index"], fault["messageId"]) == (1, "m2")
    assert fault["problems"][0]["path"] == "properties.price"
    assert "without quotes" in fault["problems"][0]["problem"]
    assert RejectedEvent.objects.get(message_id="m2").problems == fault["problems"]


def test_track__unknown_event__is_accepted(browser: Client) -> None:
    answer = post(browser, "track", viewed(event="Level Reached", properties={"level": [1, {}]}))

    assert counts(answer) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"event": "a\0b"}, "event"),
        ({"properties": {"a": [{"b\0": 1}]}}, "properties.a[0].b\\u0000"),
        ({"userToken": "\0"}, "userToken"),
        ({"messageId": "m" * 101}, "messageId"),
        ({"anonymousId": "a" * 256}, "anonymousId"),
        ({"anonymousId": None}, "anonymousId"),
        ({"anonymousId": 5}, "anonymousId"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"event": ""}, "event"),
        ({"properties": {}}, "properties.product_id"),
        ({"properties": {"a": "x" * 40_000}}, ""),
        ({"properties": {str(n): n for n in range(300)}}, ""),
        ({"properties": {"a": [[[[[[[[[[1]]]]]]]]]]}}, ""),
    ],
)
def test_track__one_fault__is_rejected_with_its_path(
    browser: Client, fields: dict[str, Any], path: str
) -> None:
    answer = post(browser, "track", viewed() | fields)

    assert counts(answer) == (0, 0, 0, 1)
    assert path in [fault["path"] for fault in answer["rejected"][0]["problems"]]
    assert RejectedEvent.objects.count() == 1


def test_track__rejected_twice__is_counted(browser: Client) -> None:
    for _ in range(2):
        post(browser, "track", viewed(event=""))

    assert RejectedEvent.objects.get().count == 2


def test_track__half_a_surrogate_pair__is_mended(browser: Client) -> None:
    body = (
        rb'{"event":"x","anonymousId":"a1","properties":{"a":"\ud83d","b":"\\ud83d \ud83d\ude00"}}'
    )

    response = browser.post("/v1/track", body, content_type="application/json")

    assert response.status_code == 200
    assert Event.objects.get().properties == {"a": "\ufffd", "b": "\\ud83d 😀"}


def test_batch__nul_in_shared_context__is_refused_with_its_path(browser: Client) -> None:
    body = {"batch": [viewed()], "context": {"page": {"path": "/\0"}}}

    response = browser.post("/v1/batch", orjson.dumps(body), content_type="application/json")

    assert response.status_code == 400
    details = orjson.loads(response.content)["error"]["details"]
    assert details[0]["path"] == "context.page.path"


def test_batch__too_many_events__is_too_large(browser: Client) -> None:
    body: dict[str, object] = {"batch": [{}] * 501}

    response = browser.post("/v1/batch", orjson.dumps(body), content_type="application/json")

    assert response.status_code == 413


@pytest.mark.parametrize("packed", [False, True])
def test_batch__beyond_500_kilobytes__is_too_large(browser: Client, *, packed: bool) -> None:
    def sent(spare: int) -> int:
        body = b'{"batch": []' + b" " * (500 * 1024 - 13 - spare) + b"}"
        headers = {"content-encoding": "gzip"} if packed else {}
        response = browser.post(
            "/v1/batch",
            gzip.compress(body) if packed else body,
            content_type="application/json",
            headers=headers,
        )
        return response.status_code

    assert (sent(0), sent(-1)) == (200, 413)


def test_public_key__unproven_user__is_kept_as_claimed(browser: Client) -> None:
    post(browser, "track", viewed(userId="u1"))

    row = Event.objects.get()
    assert row.flags & 8
    assert row.context["claimed"] == "u1"
    assert not Identity.objects.filter(value="u1").exists()
    assert row.identity_id == Identity.objects.get(value="a1").pk


def test_public_key__proven_user__absorbs_the_device(browser: Client) -> None:
    with clock.frozen(NOW):
        post(browser, "track", viewed("m1"))
        post(browser, "track", viewed("m2") | proven("u1"))

    user = Identity.objects.get(kind=1, value="u1")
    assert Event.objects.get(message_id="m2").identity_id == user.pk
    assert Event.objects.get(message_id="m2").device_id == "a1"
    assert Identity.objects.get(value="a1").customer_id == user.customer_id
    assert Merge.objects.get().cause == "login"


def test_server__alias_of_two_users__merges_them_once(server: Client) -> None:
    for user in ("old", "new"):
        post(server, "track", viewed(user, userId=user, anonymousId=None))

    for _ in range(2):
        post(server, "alias", {"previousId": "old", "userId": "new", "messageId": "al"})

    assert Merge.objects.count() == 1
    assert Identity.objects.get(value="old").customer_id == (
        Identity.objects.get(value="new").customer_id
    )


def test_browser__alias_of_a_foreign_user__merges_nothing(browser: Client, server: Client) -> None:
    post(server, "track", viewed("m1", userId="victim", anonymousId=None))

    with clock.frozen(NOW):
        post(browser, "alias", {"previousId": "victim", "messageId": "al"} | proven("u1"))

    assert not Merge.objects.exists()


@pytest.mark.parametrize("bad", ["null", "undefined", "0", "guest"])
def test_server__id_that_is_none__belongs_to_nobody(server: Client, bad: str) -> None:
    post(server, "track", viewed(userId=bad, anonymousId=None))

    assert Event.objects.get().identity_id is None
    assert not Identity.objects.exists()


def test_consent__analytics_denied__leaves_no_trace(browser: Client) -> None:
    says("a1", denied=1)

    answer = post(browser, "batch", {"batch": [viewed(), viewed("m2", event="")]})

    assert counts(answer) == (0, 0, 1, 1)
    assert not Event.objects.exists()
    assert not RejectedEvent.objects.exists()


@pytest.mark.parametrize("how", ["gpc", "denied", "context"])
def test_consent__no_personalization__is_minimised(browser: Client, how: str) -> None:
    event = viewed(
        "m1",
        event="Product Viewed",
        properties={"product_id": "sku1", "comment": "call me"},
        context={"page": {"path": "/p", "title": "T"}, "session": {"id": "s"}},
    )
    if how == "denied":
        says("a1", denied=2)
    if how == "context":
        event["context"]["consent"] = {"categoryPreferences": {"personalization": False}}
    headers = {"sec-gpc": "1"} if how == "gpc" else {}

    answer = post(browser, "track", event, **headers)

    assert counts(answer) == (0, 0, 1, 0)
    row = Event.objects.get()
    assert row.flags & 4
    assert not row.purposes & 2
    assert row.properties == {"product_id": "sku1"}
    assert row.context["page"] == {"path": "/p"}
    assert "session" not in row.context
    assert "address" not in row.context


def test_browser__crawler__is_flagged(browser: Client) -> None:
    answer = post(browser, "track", viewed(), **{"user-agent": BOT})

    assert Event.objects.get().flags & 1
    assert (counts(answer), answer["bot"]) == ((1, 0, 0, 0), 1)


def test_curl__with_a_public_key__told_that_it_counts_as_a_robot(
    browser: Client, server: Client
) -> None:
    curl = {"user-agent": "curl/8.5.0"}

    assert post(browser, "batch", {"batch": [viewed("m1"), viewed("m2")]}, **curl)["bot"] == 2
    assert "bot" not in post(server, "track", viewed("m3"), **curl)
    assert "bot" not in post(browser, "track", viewed("m4"), **{"user-agent": PHONE})


def test_browser__phone_from_abroad__has_device_place_and_short_address(browser: Client) -> None:
    headers = {"user-agent": PHONE, "cf-ipcountry": "de", "cf-region-code": "BE"}
    browser.defaults["REMOTE_ADDR"] = "203.0.113.77"

    post(browser, "track", viewed(), **headers)

    context = Event.objects.get().context
    assert context["device"] == {"type": "mobile"}
    assert (context["country"], context["region"]) == ("DE", "BE")
    assert context["address"] == "203.0.113.0"


@pytest.mark.parametrize(
    ("address", "place"), [("198.51.100.9", ("NL", "NH")), ("198.51.101.9", ())]
)
def test_browser__place_database__gives_country_and_region_of_its_networks(
    browser: Client, settings: Settings, tmp_path: Path, address: str, place: tuple[str, ...]
) -> None:
    settings.GEO_MMDB = str(tmp_path / "places.mmdb")
    entry = {"country": {"iso_code": "NL"}, "subdivisions": [{"iso_code": "NH"}]}
    mmdb.write(tmp_path / "places.mmdb", "198.51.100.0/24", entry)
    browser.defaults["REMOTE_ADDR"] = address

    post(browser, "track", viewed())

    context = Event.objects.get().context
    assert tuple(context[name] for name in ("country", "region") if name in context) == place
    assert address not in str(context)


def test_server__visitors_own_address_and_agent__count(server: Client) -> None:
    context = {"ip": "2001:db8:1234:5678::1", "userAgent": BOT}

    post(server, "track", viewed(context=context), **{"user-agent": "python-requests/2"})

    row = Event.objects.get()
    assert row.flags & 1
    assert row.context["address"] == "2001:db8:1234::"


def test_price__far_outside__is_flagged_only(server: Client) -> None:
    usual = [
        viewed(f"m{n}", properties={"product_id": "s", "price": 10 + n % 7}) for n in range(130)
    ]
    odd = viewed("odd", properties={"product_id": "s", "price": 9_000_000})

    post(server, "batch", {"batch": usual})
    post(server, "batch", {"batch": [odd]})

    assert Event.objects.get(message_id="odd").flags & 2
    assert Event.objects.filter(flags=2).count() == 1


def test_pixel__event_without_id__answers_a_gif(db: None) -> None:
    _row, key = create_key(name="mail", kind="public", actor="test")
    event = {"type": "track", "event": "Mail Opened", "messageId": "m1", "writeKey": key}
    data = base64.urlsafe_b64encode(orjson.dumps(event)).decode().rstrip("=")

    response = Client().get("/v1/pixel.gif", {"data": data})

    assert response["Content-Type"] == "image/gif"
    assert Event.objects.get().identity_id is None


def test_pixel__event_rejected__answers_the_gif_all_the_same(browser: Client) -> None:
    data = base64.urlsafe_b64encode(orjson.dumps({"type": "track", "event": ""})).decode()

    response = browser.get("/v1/pixel.gif", {"data": data})

    assert (response.status_code, response["Content-Type"]) == (200, "image/gif")
    assert RejectedEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [("!", 400), (base64.urlsafe_b64encode(b"{}").decode(), 401), ("A" * 70_000, 413)],
)
def test_pixel__call_that_cannot_be_taken__is_an_error_without_picture(
    db: None, data: str, status: int
) -> None:
    response = Client().get("/v1/pixel.gif", {"data": data})

    assert (response.status_code, response["Content-Type"]) == (status, "application/json")
    assert response.json()["error"]["code"]


def _claims(**fields: Any) -> tokens.Claims:
    return tokens.Claims(decision_id=UUID(int=1), placement="home.hero", arm="b", **fields)


def test_exposure__own_token__keeps_its_claims(browser: Client) -> None:
    shown = [{"id": "sku1", "source": "item_knn"}]
    digest = tokens.items_digest([("sku1", "item_knn")])
    with clock.frozen(NOW):
        token = tokens.sign(_claims(items_digest=digest), unit="a1", now=NOW)
        event = viewed(event="Decision Exposed", properties={"token": token, "items": shown})
        answer = post(browser, "track", event)

    assert counts(answer) == (1, 0, 0, 0)
    properties = Event.objects.get().properties
    assert properties["decision"]["arm"] == "b"
    assert "token" not in properties


@pytest.mark.parametrize(
    ("unit", "age", "items"),
    [
        ("somebody else", timedelta(0), [{"id": "sku1", "source": "x"}]),
        ("a1", timedelta(days=2), [{"id": "sku1", "source": "x"}]),
        ("a1", timedelta(0), [{"id": "sku2", "source": "x"}]),
    ],
)
def test_exposure__foreign_stale_or_altered__is_rejected(
    browser: Client, unit: str, age: timedelta, items: list[Any]
) -> None:
    digest = tokens.items_digest([("sku1", "x")])
    with clock.frozen(NOW):
        token = tokens.sign(_claims(items_digest=digest), unit=unit, now=NOW - age)
        event = viewed(event="Decision Exposed", properties={"token": token, "items": items})
        answer = post(browser, "track", event)

    assert counts(answer) == (0, 0, 0, 1)
    assert not Event.objects.exists()


def test_ingest__known_visitor__takes_two_queries(browser: Client) -> None:
    post(browser, "track", viewed("m1"))

    with CaptureQueriesContext(connection) as queries:
        post(browser, "batch", {"batch": [viewed(f"n{n}") for n in range(20)]})

    told = [q["sql"] for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len([sql for sql in told if "opsversion" not in sql]) <= 3


def test_track__store_away__is_503_and_nothing_half_written(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(log, "insert", away)

    response = browser.post("/v1/track", orjson.dumps(viewed()), content_type="application/json")

    assert response.status_code == 503
    assert response["Retry-After"]
    assert not Identity.objects.exists()


def test_track__log_restored_elsewhere__raises_the_epoch(browser: Client) -> None:
    post(browser, "track", viewed("m1"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_logepoch SET system_identifier = 'another'")

    post(browser, "track", viewed("m2"))

    first, second = (Event.objects.get(message_id=m).epoch for m in ("m1", "m2"))
    assert second == first + 1


def test_track__no_key__is_unauthorized(db: None) -> None:
    response = Client().post("/v1/track", b"{}", content_type="application/json")

    assert response.status_code == 401
