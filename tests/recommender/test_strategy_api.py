"""`/api/strategies/`: what back offices write is checked, published and read back."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client

from personalization.access.services import create_key
from recommender.models import Strategy
from recommender.serve import strategies
from tests.recommender.stocked import product, stock

RULES = {"filter": product("attributes.colour", "eq", "red"), "caps": {"brand": 2}}
SOURCES = [{"algorithm": "item_knn", "weight": 2, "seeds": ["recent"]}]


@pytest.fixture
def send(shop: Path, client: Client) -> Any:
    """A caller of the API with a secret key."""
    stock(attributes=[{"colour": "red"}] * 12)
    _, secret = create_key(name="server", kind="secret", actor="t")

    def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = client.generic(
            method,
            f"/api/strategies/{path}",
            json.dumps(body) if body is not None else "",
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )
        return answer.status_code, orjson.loads(answer.content)

    return call


def test_strategy__with_sources_and_rules__published_and_read_back(send: Any) -> None:
    body = {"key": "mine", "title": "Mine", "use": "cart", "algorithm": "item_knn"}
    status, made = send("POST", "", body | {"sources": SOURCES, "rules": RULES})

    assert (status, made["rules"], made["sources"]) == (201, RULES, SOURCES)
    assert send("GET", "mine/")[1]["use"] == "cart"
    assert strategies()["mine"].rules.caps == (("brand", 2),)


def test_strategy__made_before__conflict_that_changes_nothing(send: Any) -> None:
    body = {"key": "mine", "title": "Mine", "algorithm": "item_knn"}
    send("POST", "", body)

    status, answer = send("POST", "", body | {"title": "Another"})

    assert status == 409
    assert answer["error"]["message"].startswith("there is a strategy 'mine'; choose another key")
    assert Strategy.objects.get(key="mine").title == "Mine"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (
            {"rules": {"filter": product("attributes.color", "eq", "red")}},
            "rules.filter.key",
        ),
        ({"rules": {"caps": {"brands": 2}}}, "rules.caps.brands"),
        (
            {"rules": {"quotas": [{"rule": product("brand", "eq", "x"), "least": 0}]}},
            "rules.quotas[0].least",
        ),
        ({"sources": [{"algorithm": "magic"}]}, "sources[0].algorithm"),
        ({"sources": [{"algorithm": ["item_knn"]}]}, "sources[0].algorithm"),
        ({"sources": [{"algorithm": {"a": 1}}]}, "sources[0].algorithm"),
        ({"sources": [{"algorithm": "item_knn\0"}]}, "sources[0].algorithm"),
        ({"sources": [{"algorithm": "item_knn", "wait\ud800": 1}]}, "sources[0].wait\\ud800"),
        ({"sources": [{"algorithm": "item_knn", "weight": 1e-45}]}, "sources[0].weight"),
        ({"sources": {}}, "sources"),
        ({"rules": {"editorial": ["a\0"]}}, "rules.editorial[0]"),
        ({"rules": {"editorial": ["\ud800"]}}, "rules.editorial[0]"),
        ({"rules": {"pins": [{"item": "\udfff", "place": 1}]}}, "rules.pins[0].item"),
        ({"rules": {"readmission_days": {"a\0": 1}}}, "rules.readmission_days.a\\x00"),
        ({"rules": {"readmission_days": {"\ud800": 1}}}, "rules.readmission_days.\\ud800"),
        (
            {"rules": {"quotas": [{"rule": RULES["filter"], "least": 1, "title": "\0"}]}},
            "rules.quotas[0].title",
        ),
        ({"rules": {"filter": product("price_minor", "gt", 1e300)}}, "rules.filter.value"),
        ({"rules": {"filter": product("brand", "eq", "a\0")}}, "rules.filter.value"),
        ({"rules": {"fatigue": {"after": None, "factor": 1}}}, "rules.fatigue.after"),
        ({"rules": [1]}, "rules"),
        ({"weights": "guessed"}, "weights"),
        ({"weights": "\ud800"}, "weights"),
        ({"use": "\ud800"}, "use"),
        ({"params": "a\0"}, "params"),
        ({"params": {"seeds": ["\ud800"]}}, "params.seeds[0]"),
        ({"params": {"seeds": [10**30]}}, "params.seeds[0]"),
        ({"exclude_brought_days": 3}, "exclude_brought_days"),
        ({"key": "other"}, "key"),
    ],
)
def test_strategy__that_cannot_serve__refused_with_its_path(
    send: Any, change: dict[str, Any], path: str
) -> None:
    status, answer = send("PATCH", "popular/", change)

    assert status in {400, 422}
    assert path in [one["path"] for one in answer["error"]["details"]]


NULLS = dict.fromkeys(
    (
        *("filter", "boosts", "bury", "pins", "quotas", "caps", "diversity", "margin", "fatigue"),
        *("exclude_seen", "exclude_cart", "readmission_days", "exploration", "editorial"),
    )
)


@pytest.mark.parametrize("name", NULLS)
def test_strategy__null_in_its_rules__as_good_as_absent(send: Any, name: str) -> None:
    body = {"key": "frz", "title": "t", "algorithm": "popularity"}
    status, made = send("POST", "", body | {"rules": {name: None}})

    assert (status, made["rules"]) == (201, {})
    assert strategies()["frz"].rules == strategies()["popular"].rules


def test_strategy__nulls_stored_before__keep_nobody_from_publishing(send: Any) -> None:
    Strategy.objects.filter(key="popular").update(rules=NULLS)

    assert send("PATCH", "similar/", {"exclude_bought_days": 7})[0] == 200
    assert strategies()["similar"].exclude_bought_days == 7
    assert strategies()["popular"].rules == strategies()["similar"].rules


def test_strategy__tiny_weights_stored_before__still_blend(send: Any) -> None:
    sources = [{"algorithm": "popularity", "weight": 1e-300}] * 2
    Strategy.objects.filter(key="popular").update(sources=sources)

    assert send("PATCH", "popular/", {"title": "Popular"})[0] == 200
    assert [one.weight for one in strategies()["popular"].sources] == [1e-6, 1e-6]


@pytest.mark.parametrize("key", ["a/b", "..", "a\nb", "<script>", "A", "a.b", "9a", "x" * 61, "é"])
def test_strategy__key_that_is_none__refused(send: Any, key: str) -> None:
    status, answer = send("POST", "", {"key": key, "title": "t", "algorithm": "popularity"})

    assert status == 422
    assert answer["error"]["details"][0]["path"] == "key"


def test_strategy__old_key_that_would_be_refused_now__is_changed_all_the_same(send: Any) -> None:
    Strategy.objects.create(key="Old.key", title="t", algorithm="popularity")

    status, answer = send("PATCH", "Old.key/", {"key": "Old.key", "title": "u"})

    assert (status, answer["title"]) == (200, "u")


def test_strategy__nested_too_deeply__refused(send: Any) -> None:
    deep: Any = []
    for _ in range(100):
        deep = [deep]

    assert send("PATCH", "popular/", {"rules": {"filter": deep}})[0] == 400
