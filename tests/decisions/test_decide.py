"""`POST /v1/decide` through its door: content, recommendations, consent, faults of the request."""

from datetime import timedelta
from typing import Any

import pytest

from personalization.access.serve import identity_token
from personalization.consent.services import record as record_consent
from personalization.content import services as content
from personalization.customers.services import create_identities
from personalization.decisions import record
from personalization.lib import clock, tokens
from personalization.lib.errors import AppError
from personalization.ops import serve as config
from tests.decisions.conftest import NOW, Decide

ANONYMOUS, USER = 1, 2


def _kinds() -> tuple[int, int]:
    from personalization.customers.models import Identity  # noqa: PLC0415 -- needs Django

    return Identity.Kind.ANONYMOUS, Identity.Kind.USER


def test_decide__stranger__content_items_and_tokens(decide: Decide) -> None:
    answer = decide(
        {"anonymousId": "a1", "placements": ["home.hero", {"key": "home.recommended", "count": 3}]}
    )
    hero, shelf = answer["placements"]["home.hero"], answer["placements"]["home.recommended"]
    assert (hero["campaign"], hero["block"], hero["content"]) == (
        "spring", "hero-b", {"heading": "Spring"},
    )  # fmt: skip
    assert len(shelf["items"]) == 3
    assert set(shelf["items"][0]) == {"id", "score", "reason", "source"}
    claims = tokens.verify(shelf["token"], unit="a1", now=NOW)
    assert str(claims.decision_id) == answer["decisionId"]
    shown = [(item["id"], item["source"]) for item in shelf["items"]]
    assert claims.items_digest == tokens.items_digest(shown)
    assert tokens.verify(hero["token"], unit="a1", now=NOW).placement == "home.hero"
    assert answer["configVersion"] == config.current().version


def test_decide__campaign_over__default_content_without_any_worker(decide: Decide) -> None:
    with clock.frozen(NOW + timedelta(days=1)):
        hero = decide({"anonymousId": "a1", "placements": ["home.hero"]})["placements"]["home.hero"]
    assert (hero["campaign"], hero["content"], hero["reason"]) == (
        None, {"heading": "Welcome"}, "default",
    )  # fmt: skip


def test_decide__unknown_placement_and_flag__errors_on_their_keys_alone(decide: Decide) -> None:
    answer = decide({"anonymousId": "a1", "placements": ["nope", "home.hero"], "flags": ["f"]})
    assert answer["placements"]["nope"]["error"]["code"] == "placement_unknown"
    assert answer["placements"]["home.hero"]["campaign"] == "spring"
    assert answer["flags"]["f"]["error"]["code"] == "flag_unknown"


def test_decide__page_item_cart_and_exclude__never_shown(decide: Decide) -> None:
    asked = {"key": "product.similar", "item": "sku29", "count": 100, "exclude": ["sku28"]}
    answer = decide({"context": {"cart": ["sku27"]}, "placements": [asked]})
    shown = {item["id"] for item in answer["placements"]["product.similar"]["items"]}
    assert len(shown) == 27
    assert not shown & {"sku27", "sku28", "sku29"}


@pytest.mark.parametrize("count", [101, 10**6])
def test_decide__count_too_large__clamped(decide: Decide, count: int) -> None:
    answer = decide({"placements": [{"key": "home.recommended", "count": count}]})
    assert len(answer["placements"]["home.recommended"]["items"]) == 30


def test_decide__purpose_restricted_by_the_call__contextual_without_token(decide: Decide) -> None:
    body = {"anonymousId": "a1", "placements": ["home.hero", "home.recommended"]}
    refused = {"categoryPreferences": {"personalization": False}}
    answer = decide(body | {"context": {"consent": refused}})
    shelf = answer["placements"]["home.recommended"]
    assert shelf["reason"] == "no_consent"
    assert shelf["items"]
    assert "token" not in shelf
    assert "token" not in answer["placements"]["home.hero"]


def test_decide__withdrawn__holds_from_the_next_decision(decide: Decide) -> None:
    anonymous, _ = _kinds()
    body = {"anonymousId": "device-1", "placements": ["home.recommended"]}
    create_identities([(anonymous, "device-1")], now=NOW)
    assert decide(body)["placements"]["home.recommended"]["reason"] == "personal"
    record_consent(
        identity=(anonymous, "device-1"),
        purposes={"personalization": False},
        source="test",
        policy_version="1",
        now=NOW,
    )
    assert decide(body)["placements"]["home.recommended"]["reason"] == "no_consent"


def test_decide__user_id_not_proven__answered_for_the_anonymous_id(decide: Decide) -> None:
    body = {"userId": "shopper-1", "anonymousId": "a1", "placements": ["home.hero"]}
    token = decide(body)["placements"]["home.hero"]["token"]
    assert tokens.verify(token, unit="a1", now=NOW)


def test_decide__user_id_proven__answered_for_the_user(decide: Decide) -> None:
    _, user = _kinds()
    create_identities([(user, "shopper-1")], now=NOW)
    proof = identity_token("shopper-1", expires_at=NOW + timedelta(hours=1))
    body = {"userId": "shopper-1", "userToken": proof, "placements": ["home.hero"]}
    token = decide(body)["placements"]["home.hero"]["token"]
    assert tokens.verify(token, unit="shopper-1", now=NOW)


def test_decide__filter__refused_by_name(decide: Decide) -> None:
    asked = ["home.hero", {"key": "home.recommended", "filter": {"brand": "x"}}]
    error = decide({"placements": asked}, status=422)["error"]
    assert error["code"] == "filter_unsupported"
    assert error["details"][0]["path"] == "placements[1].filter"


def test_decide__many_faults__all_named_with_paths(decide: Decide) -> None:
    body: dict[str, Any] = {
        "userId": ["x"],
        "anonymousId": "a" * 256,
        "context": {
            "cart": "sku1",
            "recent": [{"event": 3.5, "item": "x", "at": "soon"}],
            "page": 1,
        },
        "placements": [{"count": 0}, 7, {"key": "p", "exclude": [None]}, "p"],
        "flags": {"f": 1},
        "explain": "yes",
    }
    details = decide(body, status=400)["error"]["details"]
    assert {detail["path"] for detail in details} == {
        "userId", "anonymousId", "context.cart", "context.recent[0].event",
        "context.recent[0].at", "context.page", "placements[0].key", "placements[0].count",
        "placements[1]", "placements[2].exclude[0]", "placements[3]", "flags", "explain",
    }  # fmt: skip


def test_explain__fields_that_nobody_knows__named_by_path(decide: Decide) -> None:
    body: dict[str, Any] = {
        "anonymousid": "a1",
        "placements": ["home.hero"],
        "context": {
            "cartt": ["sku1"],
            "page": {"path": "/", "pth": "/"},
            "recent": [{"event": "Product Viewed", "item": "sku1", "itm": "sku2"}],
            "consent": {"categoryPreferences": {"personalization": True, "its own": False}},
        },
    }

    told = decide(body | {"explain": True}, key="secret")["explain"]["unknown"]
    plain = decide(body)

    assert told == [
        "anonymousid", "context.cartt", "context.page.pth", "context.recent[0].itm",
    ]  # fmt: skip
    assert "explain" not in plain
    assert plain["placements"]["home.hero"]["campaign"] == "spring"


def test_explain__everything_known__nothing_unknown(decide: Decide) -> None:
    body: dict[str, Any] = {
        "userId": "u1", "userToken": "", "anonymousId": "a1", "flags": [], "deduplicate": False,
        "writeKey": None, "explain": True,
        "placements": [
            {"key": "home.recommended", "count": 2, "exclude": ["sku1"], "item": "sku2"}
        ],
        "context": {
            "page": {"path": "/", "url": "", "title": "", "referrer": "", "search": ""},
            "device": {"type": "mobile"}, "locale": "de-DE", "timezone": "Europe/Berlin",
            "country": "DE", "cart": [], "recent": [{"event": "x", "items": ["sku1"], "at": None}],
        },
    }  # fmt: skip

    assert decide(body, key="secret")["explain"]["unknown"] == []


def test_explain__hundreds_unknown__the_first_twenty_and_long_names_cut(decide: Decide) -> None:
    body = {"placements": ["home.hero"], "explain": True, **{f"x{at:03}": 1 for at in range(300)}}

    told = decide(body | {"a" * 5_000: 1}, key="secret")["explain"]["unknown"]

    assert told == ["a" * 40, *(f"x{at:03}" for at in range(19))]


@pytest.mark.parametrize("explain", [False, True])
def test_decide__placement_with_an_unknown_member__refused_as_ever(
    decide: Decide, *, explain: bool
) -> None:
    asked = {"key": "home.hero", "colour": "red"}

    error = decide({"placements": [asked], "explain": explain}, key="secret", status=400)["error"]

    assert [detail["path"] for detail in error["details"]] == ["placements[0].colour"]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"null", b"7", b'"x"', b"{", b"\xff\xfe", b'{"placements": [NaN]}',
        b'{"placements": [1e400]}', b'{"placements": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"userId": "\\u0000", "placements": ["home.hero"]}',
        b'{"userId": "\\ud800", "placements": ["home.hero"]}',
        b'{"placements": ["home.hero", "home.hero"]}', b'{"placements": []}',
        b'{"placements": [{"key": "home.hero", "count": 1e2}]}',
        b'{"placements": ["x"], "context": {"recent": [{"event": "a", "item": "b", "at": 5}]}}',
        b'{"placements": ["x"], "context": {"consent": {"categoryPreferences": [1]}}}',
    ],
)  # fmt: skip
def test_decide__garbage__400_in_the_one_shape(decide: Decide, raw: bytes) -> None:
    assert set(decide(raw, status=400)["error"]) == {"code", "message", "details"}


def test_decide__misspelt_members_of_a_placement__400_with_their_paths(decide: Decide) -> None:
    body = {"placements": ["home.hero", {"key": "home.recommended", "cuont": 3, "fliter": {}}]}

    details = decide(body, status=400)["error"]["details"]

    paths = {one["path"] for one in details}
    assert paths == {"placements[1].cuont", "placements[1].fliter"}


def test_decide__no_key__401(decide: Decide, client: Any) -> None:
    response = client.post("/v1/decide", b"{}", content_type="application/json")
    assert response.status_code == 401


def test_decide__key_in_body__accepted(decide: Decide, client: Any, shop: dict[str, str]) -> None:
    body = {"writeKey": shop["public"], "placements": ["home.hero"]}
    response = client.post("/v1/decide", body, content_type="application/json")
    assert response.status_code == 200


def test_explain__public_key__refused(decide: Decide) -> None:
    error = decide({"placements": ["home.hero"], "explain": True}, status=403)["error"]
    assert error["code"] == "explain_forbidden"


def test_explain__secret_key__every_candidate_with_why_it_lost(decide: Decide) -> None:
    content.create_campaign(
        key="later",
        values={"placement": "home.hero", "starts_at": NOW + timedelta(days=2), "priority": 9},
        actor="t",
    )
    content.upsert_block(campaign="later", key="later-b", content={"heading": "x"}, actor="t")
    content.publish_campaign(key="later", actor="t")
    config.reload()
    asked = {"key": "home.recommended", "count": 2, "exclude": ["sku5"]}
    answer = decide(
        {"anonymousId": "a1", "placements": ["home.hero", asked], "explain": True}, key="secret"
    )
    hero = answer["placements"]["home.hero"]["explain"]["candidates"]
    lost = {one["campaign"]: one["lost"] for one in hero}
    assert lost == {"later": "not_started", "spring": ""}
    items = answer["placements"]["home.recommended"]["explain"]["candidates"]
    assert [item["lost"] for item in items[:3]] == ["", "", "below_count"]
    assert {"id": "sku5", "score": None, "source": "", "lost": "excluded"} in items
    assert set(answer["explain"]["timingsMs"]) == {"profile", "content", "recommend", "total"}
    assert answer["explain"]["profileSource"] == "stranger"
    assert "personalization" in answer["explain"]["purposes"]


def test_decide__warm__asks_the_database_nothing(
    decide: Decide, django_assert_num_queries: Any
) -> None:
    body = {
        "anonymousId": "a1",
        "context": {"recent": [{"event": "Product Viewed", "item": "sku1"}]},
        "placements": ["home.hero", "home.recommended"],
    }
    config.watch()
    catalogue_watch()
    documents_ready("a1")
    decide(body)
    with django_assert_num_queries(0):
        answer = decide(body)
    assert answer["degraded"] == [] or all("model_missing" in d for d in answer["degraded"])


def catalogue_watch() -> None:
    from personalization.catalog import serve as catalogue  # noqa: PLC0415 -- needs Django
    from recommender import live  # noqa: PLC0415 -- as above

    catalogue.watch()
    live.watch()


def documents_ready(device: str) -> None:
    from personalization.customers import documents  # noqa: PLC0415 -- needs Django
    from personalization.customers.models import Identity  # noqa: PLC0415 -- as above

    documents.watch_epochs()
    create_identities([(_kinds()[0], device)], now=NOW)
    row = Identity.objects.get(value=device)
    assert documents.write_now([row.customer_id])


def test_decide__budget_spent__fallback_named(decide: Decide, settings: Any) -> None:
    body = {"anonymousId": "a1", "placements": ["home.hero", "home.recommended"]}
    settings.DECISION_BUDGET_MS = 0
    answer = decide(body)
    assert answer["degraded"] == ["recommend:budget"]
    assert len(answer["placements"]["home.recommended"]["items"]) == 12
    assert answer["placements"]["home.hero"]["campaign"] == "spring"


def test_recommendations__get__the_same_pipeline(shop: dict[str, str], client: Any) -> None:
    response = client.get(
        "/v1/recommendations/popular",
        {"anonymousId": "a1", "count": "4", "exclude": "sku1,sku2"},
        headers={"X-API-Key": shop["public"]},
    )
    body = response.json()
    assert (response.status_code, body["strategy"], len(body["items"])) == (200, "popular", 4)
    assert tokens.verify(body["token"], unit="a1", now=NOW).strategy == "popular"


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("nope", {}, 404),
        ("popular", {"cout": "4"}, 400),
        ("popular", {"count": "-1"}, 400),
        ("popular", {"count": "9" * 5000}, 400),
        ("popular", {"item": "\x00"}, 400),
    ],
)
def test_recommendations__bad_request__named(
    shop: dict[str, str], client: Any, path: str, query: dict[str, str], status: int
) -> None:
    headers = {"X-API-Key": shop["public"]}
    response = client.get(f"/v1/recommendations/{path}", query, headers=headers)
    assert response.status_code == status
    assert "error" in response.json()


def test_ofrep__any_flag__not_found_by_its_protocol(shop: dict[str, str], client: Any) -> None:
    headers = {"X-API-Key": shop["public"]}
    body = {"context": {"targetingKey": "u1"}}
    one = client.post("/ofrep/v1/evaluate/flags/f", body, "application/json", headers=headers)
    assert (one.status_code, one.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    bad = client.post("/ofrep/v1/evaluate/flags/f", {}, "application/json", headers=headers)
    assert (bad.status_code, bad.json()["errorCode"]) == (400, "INVALID_CONTEXT")
    bulk = client.post("/ofrep/v1/evaluate/flags", body, "application/json", headers=headers)
    assert (bulk.status_code, bulk.json()) == (200, {"flags": []})
    again = client.post(
        "/ofrep/v1/evaluate/flags",
        body,
        "application/json",
        headers=headers | {"If-None-Match": bulk["ETag"]},
    )
    assert (again.status_code, again.content) == (304, b"")


def test_log__kept_decision__small_and_written(decide: Decide) -> None:
    from personalization.decisions.models import Decision  # noqa: PLC0415 -- needs Django

    recent = [{"event": "Product Viewed", "item": f"sku{n}" * 20} for n in range(20)]
    body = {"anonymousId": "a1", "context": {"recent": recent}, "placements": ["home.hero"]}
    answer = decide(body)
    record.flush()
    row = Decision.objects.get(id=answer["decisionId"])
    assert row.day == NOW.date()
    assert row.body["placements"] == {"home.hero": "spring"}
    assert row.body["cut"]


def test_log__share_zero__explained_ones_alone(decide: Decide, settings: Any) -> None:
    settings.DECISION_LOG_SHARE = 0.0
    decide({"placements": ["home.hero"]})
    assert record.waiting() == []
    answer = decide({"placements": ["home.hero"], "explain": True}, key="secret")
    assert [str(one) for one in record.waiting()] == [answer["decisionId"]]


def test_errors__app_error__has_stable_codes() -> None:
    from personalization.decisions import errors  # noqa: PLC0415 -- needs Django

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = [kind.code for kind in kinds if issubclass(kind, AppError)]
    assert len(set(codes)) == len(codes) > 4
