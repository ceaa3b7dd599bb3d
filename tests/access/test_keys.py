"""Who calls: keys in every place that a request may carry one, and every refusal."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries

from personalization.access import errors
from personalization.access.config import AccessPart
from personalization.access.engine import keys
from personalization.access.models import ApiKey, AuditEvent
from personalization.access.serve import Caller, authenticate
from personalization.access.services import create_key, revoke_key
from personalization.lib import clock
from personalization.lib.errors import Unprocessable
from personalization.ops import serve as config
from personalization.ops import services as ops

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def made(kind: str = "public", **options: object) -> str:
    _row, key = create_key(name="test", kind=kind, actor="test", **options)  # type: ignore[arg-type]
    return key


def calling(key: str, **meta: Any) -> Caller:
    request = RequestFactory().get(
        "/v1/consent", headers={"authorization": f"Bearer {key}"}, **meta
    )
    return authenticate(request)


@pytest.mark.parametrize(
    "place",
    [
        lambda key: {"HTTP_AUTHORIZATION": f"Bearer {key}"},
        lambda key: {"HTTP_AUTHORIZATION": f"bearer  {key}"},
        lambda key: {
            "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{key}:".encode()).decode()
        },
        lambda key: {"HTTP_X_API_KEY": key},
    ],
)
def test_authenticate__key_in_a_header__tells_the_caller(
    place: Callable[[str], dict[str, Any]],
) -> None:
    key = made("secret", scopes=["decide"])

    caller = authenticate(RequestFactory().get("/", **place(key)))

    assert (caller.kind, caller.scopes, caller.name) == ("secret", frozenset({"decide"}), "test")


def test_authenticate__key_in_the_body__tells_the_caller() -> None:
    assert authenticate(RequestFactory().post("/"), body_key=made()).kind == "public"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
    ],
)
def test_authenticate__no_key_to_be_read__asks_for_one(header: str) -> None:
    with pytest.raises(errors.KeyMissing):
        authenticate(RequestFactory().get("/", HTTP_AUTHORIZATION=header))


@pytest.mark.parametrize("key", ["pk_unknown", "x", "pk_" + "ü" * 40, "\udfff"])
def test_authenticate__unknown_key__refuses(key: str) -> None:
    made()

    with pytest.raises(errors.KeyInvalid):
        authenticate(RequestFactory().post("/"), body_key=key)


def test_authenticate__warm_process__asks_the_database_nothing(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    key = made()
    calling(key)

    with django_assert_num_queries(0):
        calling(key)


def test_authenticate__expired_key__refuses_from_that_second_on() -> None:
    with clock.frozen(NOW):
        key = made(expires_at=NOW + timedelta(hours=1))
    with clock.frozen(NOW + timedelta(minutes=59)):
        calling(key)

    with clock.frozen(NOW + timedelta(hours=1)), pytest.raises(errors.KeyInvalid):
        calling(key)


def test_authenticate__revoked_key__refuses() -> None:
    row, key = create_key(name="test", kind="public", actor="test")
    calling(key)

    revoke_key(key_id=row.pk, actor="test")

    with pytest.raises(errors.KeyInvalid):
        calling(key)


def test_rollback__key_revoked_since__stays_revoked() -> None:
    row, key = create_key(name="test", kind="public", actor="test")
    before = config.reload().version
    revoke_key(key_id=row.pk, actor="test")
    later = made()

    ops.rollback(version=before, actor="test")
    config.reload()

    with pytest.raises(errors.KeyInvalid):
        calling(key)
    assert calling(later).kind == "public"


def test_authenticate__secret_key_from_a_browser__refuses() -> None:
    with pytest.raises(errors.SecretKeyInBrowser):
        calling(made("secret"), HTTP_ORIGIN="https://shop.example")


@pytest.mark.parametrize(
    ("meta", "allowed"),
    [
        ({"HTTP_ORIGIN": "https://shop.example"}, True),
        ({"HTTP_ORIGIN": "https://SHOP.example"}, True),
        ({"HTTP_REFERER": "https://shop.example/p/1?x=2"}, True),
        ({}, True),
        ({"HTTP_ORIGIN": "https://evil.example"}, False),
        ({"HTTP_ORIGIN": "http://shop.example"}, False),
        ({"HTTP_ORIGIN": "https://shop.example.evil.example"}, False),
        ({"HTTP_ORIGIN": "null"}, False),
        ({"HTTP_REFERER": "https://evil.example/https://shop.example"}, False),
    ],
)
def test_authenticate__key_bound_to_an_origin__holds_for_that_one(
    meta: dict[str, str], allowed: bool
) -> None:
    key = made(origins=["https://shop.example"])

    if allowed:
        assert calling(key, **meta).kind == "public"
        return
    with pytest.raises(errors.OriginNotAllowed):
        calling(key, **meta)


@pytest.mark.parametrize(
    ("kind", "scopes", "scope", "allowed"),
    [
        ("public", [], "events:write", True),
        ("public", [], "decide", True),
        ("public", [], "customers:read", False),
        ("public", [], "admin", False),
        ("public", ["decide"], "events:write", False),
        ("secret", [], "admin", True),
        ("secret", ["*"], "admin", True),
        ("secret", ["decide"], "decide", True),
        ("secret", ["decide"], "admin", False),
    ],
)
def test_require__scope__is_what_kind_and_key_allow(
    kind: str, scopes: list[str], scope: str, allowed: bool
) -> None:
    caller = calling(made(kind, scopes=scopes))

    if allowed:
        caller.require(scope)
        return
    with pytest.raises(errors.ScopeMissing):
        caller.require(scope)


def test_create_key__made__stores_a_hash_and_four_characters_alone() -> None:
    row, key = create_key(name="till", kind="secret", actor="ann")

    stored = ApiKey.objects.filter(pk=row.pk).values().get()
    trail = AuditEvent.objects.get(object_type="access.apikey", object_id=str(row.pk))

    assert key.startswith("sk_")
    assert len(key) == 46
    assert stored["sha256"] == keys.digest(key)
    assert key not in str(stored)
    assert (trail.actor, trail.action, trail.before) == ("ann", "create", None)
    assert key not in str(trail.after)
    assert stored["sha256"] not in str(trail.after)


def test_create_key__everything_wrong__names_every_fault() -> None:
    with clock.frozen(NOW), pytest.raises(Unprocessable) as refused:
        create_key(
            name=" ",
            kind="root",
            actor="ann",
            scopes=["everything"],
            origins=["shop"],
            expires_at=NOW,
        )

    assert [p.path for p in refused.value.details] == [
        "name",
        "kind",
        "scopes",
        "origins",
        "expires_at",
    ]
    assert not ApiKey.objects.exists()


def test_create_key__public_with_a_server_scope__is_refused() -> None:
    with pytest.raises(Unprocessable):
        made("public", scopes=["admin"])


def test_create_key__secret_with_an_origin__is_refused() -> None:
    with pytest.raises(Unprocessable):
        made("secret", origins=["https://shop.example"])


def test_revoke_key__twice__leaves_one_entry_in_the_trail() -> None:
    row, _key = create_key(name="till", kind="secret", actor="ann")

    revoke_key(key_id=row.pk, actor="ann")
    revoke_key(key_id=row.pk, actor="ann")

    assert AuditEvent.objects.filter(action="revoke").count() == 1


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"keys": [{}]},
        {"keys": [1]},
        None,
        {
            "keys": [
                {
                    "id": 1,
                    "sha256": "a",
                    "kind": "root",
                    "name": "",
                    "scopes": [],
                    "origins": [],
                    "expires_at_s": None,
                }
            ]
        },
    ],
)
def test_part__bytes_of_another_shape__does_not_load(data: object) -> None:
    with pytest.raises(Unprocessable):
        AccessPart().load(data)
