"""A shop with two placements of content and two of recommendations, and its keys."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.test import Client

from personalization.access.services import create_key
from personalization.catalog.services import upsert_products
from personalization.content import services as content
from personalization.lib import clock
from personalization.ops import serve as config

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Decide = Callable[..., Any]


@pytest.fixture
def shop(db: None) -> Iterator[dict[str, str]]:
    """Yield the shop's keys; the clock stands at NOW."""
    with clock.frozen(NOW):
        products = [
            {"key": f"sku{n}", "title": f"Product {n}", "price_minor": 990, "stock": 5}
            for n in range(30)
        ]
        assert not upsert_products(products, actor="t", now=NOW)["rejected"]
        content.upsert_placement(
            key="home.hero",
            values={"kind": "content", "default_content": {"heading": "Welcome"}},
            actor="t",
        )
        for key in ("home.recommended", "product.similar"):
            strategy = "similar" if key == "product.similar" else "for-you"
            content.upsert_placement(
                key=key,
                values={"kind": "recommendations", "strategy": strategy, "count": 12},
                actor="t",
            )
        content.create_campaign(
            key="spring",
            values={"placement": "home.hero", "ends_at": NOW + timedelta(days=1)},
            actor="t",
        )
        content.upsert_block(
            campaign="spring", key="hero-b", content={"heading": "Spring"}, actor="t"
        )
        content.publish_campaign(key="spring", actor="t")
        _, public = create_key(name="browser", kind="public", actor="t")
        _, secret = create_key(name="server", kind="secret", actor="t")
        config.reload()
        yield {"public": public, "secret": secret}


@pytest.fixture
def decide(shop: dict[str, str], client: Client) -> Decide:
    """Return a caller of `POST /v1/decide`, with the public key unless told otherwise."""

    def call(body: Any, *, key: str = "public", status: int = 200, **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        response = client.post(
            "/v1/decide",
            raw,
            content_type="application/json",
            headers={"Authorization": f"Bearer {shop[key]}"} | headers,
        )
        assert response.status_code == status, response.content
        return orjson.loads(response.content)

    return call
