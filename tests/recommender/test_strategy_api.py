"""`/api/strategies/`: what back offices write is checked, published and read back."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client

from personalization.access.services import create_key
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
            orjson.dumps(body) if body is not None else b"",
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
        ({"sources": [{"algorithm": "magic"}]}, "strategies[popular].sources[0].algorithm"),
        ({"weights": "guessed"}, "weights"),
    ],
)
def test_strategy__that_cannot_serve__refused_with_its_path(
    send: Any, change: dict[str, Any], path: str
) -> None:
    status, answer = send("PATCH", "popular/", change)

    assert status in {400, 422}
    assert path in [one["path"] for one in answer["error"]["details"]]
