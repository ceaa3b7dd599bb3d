"""`/v1/consent` through HTTP: the caller's own purposes, and nobody else's."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from personalization.access.serve import identity_token
from personalization.access.services import create_key
from personalization.consent.models import ConsentRecord
from personalization.consent.selectors import resolved
from personalization.consent.serve import MARKETING
from personalization.consent.services import record
from personalization.customers.models import Customer, Identity, Merge
from personalization.lib import clock

pytestmark = pytest.mark.django_db
USER, DEVICE = Identity.Kind.USER, Identity.Kind.ANONYMOUS
WITHDRAWN = {"personalization": False}


def caller(kind: str = "public", **options: Any) -> Client:
    _row, key = create_key(name="test", kind=kind, actor="test", **options)
    return Client(headers={"authorization": f"Bearer {key}"})


def proof(user: str) -> str:
    return identity_token(user, expires_at=clock.now() + timedelta(hours=1))


def send(client: Client, body: Any, **headers: str) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/v1/consent", text, content_type="application/json", headers=headers)


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_get__stranger__is_what_holds_by_default() -> None:
    answer = caller().get("/v1/consent?anonymousId=a1")

    assert answer.json() == {
        "anonymousId": "a1",
        "purposes": {"analytics": True, "personalization": True, "marketing": False},
        "stated": {},
        "gpc": False,
    }
    assert answer["Cache-Control"] == "no-store"
    assert not Customer.objects.exists()


def test_get__global_privacy_control__denies_what_its_purposes_say() -> None:
    answer = caller().get("/v1/consent?anonymousId=a1", headers={"sec-gpc": "1"}).json()

    assert answer["purposes"] == {"analytics": True, "personalization": False, "marketing": False}
    assert answer["gpc"] is True


def test_post__own_anonymous_id__holds_from_the_next_read() -> None:
    client = caller()

    answer = send(
        client, {"anonymousId": "a1", "purposes": WITHDRAWN, "source": "banner", "policyVersion": 3}
    )

    assert answer.json()["purposes"]["personalization"] is False
    assert client.get("/v1/consent?anonymousId=a1").json()["stated"] == WITHDRAWN
    row = ConsentRecord.objects.get()
    assert (row.source, row.policy_version) == ("banner", "3")


def test_post__proven_user__holds_for_the_user_and_the_device() -> None:
    client = caller()
    body = {"userId": "u1", "userToken": proof("u1"), "anonymousId": "a1", "purposes": WITHDRAWN}

    assert send(client, body).json()["userId"] == "u1"

    mine = client.get("/v1/consent", {"userId": "u1", "userToken": proof("u1")}).json()
    device = client.get("/v1/consent?anonymousId=a1").json()
    assert mine["stated"] == device["stated"] == WITHDRAWN


def test_post__server_for_a_user__needs_no_token() -> None:
    answer = send(caller("secret"), {"userId": "u1", "purposes": {"marketing": True}})

    assert answer.json()["stated"] == {"marketing": True}


def test_post__unproven_user_with_anonymous_id__is_about_the_anonymous_id_alone() -> None:
    client = caller()
    record(
        identity=(USER, "u1"),
        purposes={"marketing": True},
        source="t",
        policy_version="",
        now=clock.now(),
    )

    answer = send(client, {"userId": "u1", "anonymousId": "a1", "purposes": {"marketing": False}})

    assert "userId" not in answer.json()
    assert resolved_user("u1") == (MARKETING, 0)


@pytest.mark.parametrize("token", [None, "", "x.9999999999", "stolen"])
def test_post__user_without_proof__is_refused(token: str | None) -> None:
    given_token = proof("u2") if token == "stolen" else token

    answer = send(caller(), {"userId": "u1", "userToken": given_token, "purposes": WITHDRAWN})

    assert code(answer) == (403, "identity_not_proven")
    assert not ConsentRecord.objects.exists()


def test_get__user_without_proof__is_refused() -> None:
    assert code(caller().get("/v1/consent?userId=u1")) == (403, "identity_not_proven")


def test_post__proof_switched_off__believes_the_browser(settings: Settings) -> None:
    settings.IDENTITY_PROOF = "off"

    assert send(caller(), {"userId": "u1", "purposes": WITHDRAWN}).status_code == 200


def test_post__key_in_the_body__is_a_key() -> None:
    _row, key = create_key(name="test", kind="public", actor="test")

    body = {"writeKey": key, "anonymousId": "a1", "purposes": WITHDRAWN}

    assert send(Client(), body).status_code == 200


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scopes": ["decide"]}, (403, "scope_missing")),
        ({"origins": ["https://x.example"]}, (403, "origin_not_allowed")),
    ],
)
def test_post__key_that_may_not__is_refused(
    options: dict[str, Any], expected: tuple[int, str]
) -> None:
    client = caller(**options)

    answer = send(
        client, {"anonymousId": "a1", "purposes": WITHDRAWN}, origin="https://evil.example"
    )

    assert code(answer) == expected


def test_post__no_key__asks_for_one() -> None:
    assert code(send(Client(), {"anonymousId": "a1"})) == (401, "key_missing")


def test_post__too_fast__says_when_to_come_back(settings: Settings) -> None:
    settings.RATE_ADDRESS_PER_S = 1
    client = caller()
    for _ in range(2):
        client.get("/v1/consent?anonymousId=a1")

    answer = send(client, {"anonymousId": "a1", "purposes": WITHDRAWN})

    assert code(answer) == (429, "too_many_requests")
    assert answer["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("body", "expected", "paths"),
    [
        ([], (400, "malformed"), []),
        (None, (400, "malformed"), []),
        (b"{", (400, "malformed"), []),
        ({"purposes": WITHDRAWN}, (400, "malformed"), []),
        ({"anonymousId": "a1"}, (400, "malformed"), ["purposes"]),
        ({"anonymousId": "a1", "purposes": {}}, (400, "malformed"), ["purposes"]),
        ({"anonymousId": "a1", "purposes": ["x"]}, (400, "malformed"), ["purposes"]),
        (
            {"anonymousId": "a1", "purposes": {"marketing": 1}},
            (400, "malformed"),
            ["purposes.marketing"],
        ),
        (
            {"anonymousId": "a1", "purposes": {"marketing": None}},
            (400, "malformed"),
            ["purposes.marketing"],
        ),
        (
            {"anonymousId": ["a"], "source": {}, "policyVersion": "v" * 41, "purposes": WITHDRAWN},
            (400, "malformed"),
            ["anonymousId", "source", "policyVersion"],
        ),
        ({"anonymousId": "a\0", "purposes": WITHDRAWN}, (400, "malformed"), ["anonymousId"]),
        ({"anonymousId": "a" * 256, "purposes": WITHDRAWN}, (400, "malformed"), ["anonymousId"]),
        (
            {"anonymousId": "a1", "purposes": {"weather": True}},
            (422, "purpose_unknown"),
            ["purposes.weather"],
        ),
        (
            {"anonymousId": "a1", "purposes": {"\0": True}},
            (422, "purpose_unknown"),
            ["purposes.\0"],
        ),
        ({"anonymousId": "null", "purposes": WITHDRAWN}, (422, "identity_unusable"), []),
        (b'{"anonymousId":"\\ud800","purposes":{"marketing":true}}', (400, "malformed"), []),
        (b"[" * 40_000, (413, "too_large"), []),
    ],
)
def test_post__body_with_faults__names_them_and_writes_nothing(
    body: Any, expected: tuple[int, str], paths: list[str]
) -> None:
    answer = send(caller(), body)

    assert code(answer) == expected
    assert {d["path"] for d in answer.json()["error"]["details"]} == set(paths)
    assert not ConsentRecord.objects.exists()


def test_get__unknown_parameter__names_it() -> None:
    answer = caller().get("/v1/consent?anonymusId=a1")

    assert code(answer) == (400, "malformed")
    assert answer.json()["error"]["details"][0]["path"] == "anonymusId"


def test_consent__other_method__is_refused() -> None:
    answer = caller().delete("/v1/consent")

    assert answer.status_code == 405
    assert answer["Allow"] == "GET, POST"


def resolved_user(user: str) -> tuple[int, int]:
    found = resolved([(USER, user)])[USER, user]
    return found.granted, found.denied


ATTEMPT = st.fixed_dictionaries(
    {
        "userId": st.just("victim"),
        "anonymousId": st.sampled_from(["mine-1", "mine-2", "victim", ""]),
        "userToken": st.one_of(st.none(), st.text(max_size=80), st.just("other")),
        "previousId": st.sampled_from(["victim", "mine-1"]),
        "path": st.sampled_from(
            ["consent", "identify", "track", "alias", "page", "group", "decide", "batch"]
        ),
        "granted": st.booleans(),
    }
)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(attempts=st.lists(ATTEMPT, min_size=1, max_size=4))
def test_public_key__user_that_it_does_not_prove__is_neither_read_nor_changed(
    attempts: list[dict[str, Any]],
) -> None:
    record(
        identity=(USER, "victim"),
        purposes={"marketing": True, "analytics": True},
        source="t",
        policy_version="",
        now=clock.now(),
    )
    before = victim()
    client = caller()

    for attempt in attempts:
        answer = client.post(
            f"/v1/{attempt['path']}", json.dumps(crafted(attempt)), content_type="application/json"
        )
        assert answer.status_code < 500
        assert b'"userId":"victim"' not in answer.content
        read = client.get(
            "/v1/consent", {"userId": "victim", "userToken": attempt["userToken"] or ""}
        )
        assert read.status_code in {400, 403}  # 400: a token that cannot even be one

    assert victim() == before
    assert not Merge.objects.filter(
        target__identities__value="victim", target__identities__kind=USER
    ).exists()


def crafted(attempt: dict[str, Any]) -> dict[str, Any]:
    token = proof("somebody-else") if attempt["userToken"] == "other" else attempt["userToken"]
    event = {
        "type": "track" if attempt["path"] in {"batch", "decide", "consent"} else attempt["path"],
        "event": "Product Viewed",
        "name": "x",
        "groupId": "g",
        "userId": attempt["userId"],
        "userToken": token,
        "anonymousId": attempt["anonymousId"],
        "previousId": attempt["previousId"],
        "purposes": dict.fromkeys(
            ("marketing", "analytics", "personalization"), attempt["granted"]
        ),
        "traits": {"email": "evil@example.com"},
        "properties": {"product_id": "p"},
        "placements": [],
    }
    return {"batch": [event]} if attempt["path"] == "batch" else event


def victim() -> list[Any]:
    """Return everything that is known of the victim: ids, version, consent, proof."""
    identity = Identity.objects.get(kind=USER, value="victim", ended_at=None)
    customer = Customer.objects.get(pk=identity.customer_id)
    ids = sorted(customer.identities.values_list("kind", "value", "generation"))
    proofs = ConsentRecord.objects.filter(identity=identity).values_list("purpose", "granted")
    return [
        customer.pk,
        customer.version,
        customer.merged_into_id,
        ids,
        resolved_user("victim"),
        sorted(proofs),
    ]
