"""`/api` in general: who may do what, unknown parameters, writes that are sent twice."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client, override_settings
from django.urls import path
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access import idempotency
from personalization.access.api import ApiViewSet
from personalization.access.authentication import actor_of
from personalization.access.models import IdempotentWrite
from personalization.access.services import create_key
from personalization.lib import clock
from personalization.lib.errors import Unprocessable
from personalization.ops.models import Heartbeat

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class Beats(ApiViewSet):
    """A view set such as apps have: a row is written, and named in the answer."""

    scope_read = "customers:read"
    scope_write = "catalog:write"
    action_roles = {"publish": "publisher"}
    query_parameters = frozenset({"kind"})

    def list(self, request: Request) -> Response:
        return Response({"actor": actor_of(request)})

    def create(self, request: Request) -> Response:
        row = Heartbeat.objects.create(
            name=f"n{Heartbeat.objects.count()}", kind="x", at=clock.now()
        )
        if "fail" in request.data:
            msg = "makes no sense"
            raise Unprocessable(msg)
        return Response({"name": row.name}, status=201)

    def publish(self, request: Request) -> Response:
        return Response(status=204)

    def destroy(self, request: Request, key: str) -> Response:
        Heartbeat.objects.filter(name=key).delete()
        return Response(status=204)


urlpatterns = [
    path("api/beats/", Beats.as_view({"get": "list", "post": "create"})),
    path("api/beats/publish/", Beats.as_view({"post": "publish"})),
    path("api/beats/<str:key>/", Beats.as_view({"delete": "destroy"})),
]


def server(*scopes: str, kind: str = "secret") -> Client:
    _row, key = create_key(name="back office", kind=kind, actor="test", scopes=scopes)
    return Client(headers={"authorization": f"Bearer {key}"})


def member(role: str, *, checks: bool = False) -> Client:
    user = User.objects.create_user(role or "nobody", password=None, is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client = Client(enforce_csrf_checks=checks)
    client.force_login(user)
    return client


def write(client: Client, body: dict[str, Any] | None = None, key: str = "") -> Any:
    headers = {"idempotency-key": key} if key else {}
    return client.post(
        "/api/beats/", json.dumps(body or {}), content_type="application/json", headers=headers
    )


def code(response: Any) -> str:
    return str(response.json()["error"]["code"])


def test_api__nobody__asks_for_a_key() -> None:
    response = Client().get("/api/beats/")

    assert (response.status_code, code(response)) == (401, "unauthorized")


def test_api__unknown_key__is_refused_even_with_a_session() -> None:
    response = member("admin").get("/api/beats/", headers={"authorization": "Bearer sk_x"})

    assert (response.status_code, code(response)) == (401, "key_invalid")


def test_api__public_key__is_refused() -> None:
    response = server(kind="public").get("/api/beats/")

    assert (response.status_code, code(response)) == (403, "scope_missing")


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        ([], 200, 201),
        (["*"], 200, 201),
        (["admin"], 200, 201),
        (["customers:read"], 200, 403),
        (["catalog:write"], 403, 201),
        (["decide"], 403, 403),
    ],
)
def test_api__secret_key__does_what_its_scopes_say(
    scopes: list[str], reads: int, writes: int
) -> None:
    client = server(*scopes)

    assert client.get("/api/beats/").status_code == reads
    assert write(client).status_code == writes


@pytest.mark.parametrize(
    ("role", "reads", "writes", "publishes"),
    [
        ("viewer", 200, 403, 403),
        ("editor", 200, 201, 403),
        ("publisher", 200, 201, 204),
        ("admin", 200, 201, 204),
        ("", 403, 403, 403),
    ],
)
def test_api__staff__does_what_the_role_says(
    role: str, reads: int, writes: int, publishes: int
) -> None:
    client = member(role)

    assert client.get("/api/beats/").status_code == reads
    assert write(client).status_code == writes
    assert client.post("/api/beats/publish/").status_code == publishes


def test_api__staff_without_csrf_token__is_refused() -> None:
    assert write(member("editor", checks=True)).status_code == 403


def test_api__customer_account_without_staff__is_nobody() -> None:
    client = Client()
    client.force_login(User.objects.create_user("ben", password=None))

    assert client.get("/api/beats/").status_code == 401


def test_api__actor__is_the_key_or_the_name() -> None:
    assert server().get("/api/beats/").json()["actor"].startswith("key:")
    assert member("viewer").get("/api/beats/").json()["actor"] == "viewer"


def test_api__unknown_query_parameter__names_it() -> None:
    response = server().get("/api/beats/?kind=x&cursor=&knid=y")

    assert (response.status_code, code(response)) == (400, "malformed")
    assert [d["path"] for d in response.json()["error"]["details"]] == ["knid"]


def test_api__too_many_requests__says_when_to_come_back(settings: Settings) -> None:
    settings.RATE_SECRET_KEY_PER_S = 1
    client = server()
    for _ in range(2):
        client.get("/api/beats/")

    response = client.get("/api/beats/")

    assert (response.status_code, response["Retry-After"]) == (429, "1")


def test_write__same_key_again__is_answered_again_and_done_once() -> None:
    client = server()

    first, second = write(client, key="k1"), write(client, key="k1")

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Idempotent-Replay"] == "true"
    assert Heartbeat.objects.count() == 1


def test_write__other_caller_with_the_same_key__is_a_write_of_its_own() -> None:
    write(server(), key="k1")
    write(server(), key="k1")

    assert Heartbeat.objects.count() == 2


def test_write__same_key_with_another_body__is_refused() -> None:
    client = server()
    write(client, key="k1")

    response = write(client, {"other": 1}, key="k1")

    assert (response.status_code, code(response)) == (422, "idempotency_mismatch")
    assert Heartbeat.objects.count() == 1


def test_write__refused__leaves_nothing_and_may_be_tried_again() -> None:
    client = server()

    refused = write(client, {"fail": True}, key="k1")

    assert refused.status_code == 422
    assert not Heartbeat.objects.exists()
    assert not IdempotentWrite.objects.exists()
    assert write(client, {}, key="k1").status_code == 201


@pytest.mark.parametrize("key", ["x" * 201, "\x7f", "ü"])
def test_write__unusable_idempotency_key__is_refused(key: str) -> None:
    response = write(server(), key=key)

    assert (response.status_code, code(response)) == (400, "malformed")
    assert not Heartbeat.objects.exists()


def test_write__day_old_answers__are_forgotten_with_the_next_write() -> None:
    now = clock.now()
    for age, name in ((idempotency.KEPT * 2, "old"), (idempotency.KEPT / 2, "young")):
        IdempotentWrite.objects.create(actor="a", key=name, digest="", status=200, at=now - age)

    write(server(), key="k1")

    assert set(IdempotentWrite.objects.values_list("key", flat=True)) == {"young", "k1"}


@pytest.mark.django_db(transaction=True)
def test_write__same_key_in_flight__is_told_to_wait() -> None:
    row, key = create_key(name="x", kind="secret", actor="test")
    client = Client(headers={"authorization": f"Bearer {key}"})
    actor = f"key:{row.pk}"
    held = idempotency._lock_id(idempotency.Slot(actor, "k1", ""))
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [held])

        response = write(client, key="k1")
    finally:
        other.close()

    assert (response.status_code, code(response)) == (409, "idempotency_in_flight")
    assert not Heartbeat.objects.exists()


@override_settings(ROOT_URLCONF=__name__)
def test_write__without_a_key__is_done_each_time() -> None:
    client = server()

    write(client)
    write(client)

    assert Heartbeat.objects.count() == 2


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "a"}])
def test_write__body_too_large__413_in_the_one_shape(
    headers: dict[str, str], settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    body = {"name": "x" * 1_001}

    answer = server("catalog:write").post(
        "/api/beats/", body, content_type="application/json", headers=headers
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert "1000 bytes" in answer.json()["error"]["message"]


def test_write__address_with_nul__is_nowhere() -> None:
    answer = server("catalog:write").delete("/api/beats/a%00/")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
