"""The shop of the decision benchmarks: products, customers with a history, models, content."""

import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from personalization.events.bulk import BulkEvent


def build(*, products: int, customers: int, events: int) -> str:
    """Fill the database and Redis; return a secret key."""
    from django.db import connection

    from personalization.access.services import create_key
    from personalization.catalog.services import upsert_products
    from personalization.customers import documents
    from personalization.events import bulk
    from personalization.events.processor import bulk as folding
    from recommender.services import train

    now = datetime.now(UTC)
    _say("products")
    items = [
        {
            "key": f"sku-{n}",
            "title": f"Product {n}",
            "price_minor": 1000 + n % 5000,
            "currency": "EUR",
            "categories": [f"c{n % 200}"],
        }
        for n in range(products)
    ]
    upsert_products(items, actor="bench", now=now)
    _say("events")
    bulk.copy_events(_history(products, customers, events, now))
    _say("profiles")
    folding.run()
    _say("model")
    train(slot=f"bench-{now.isoformat()}", actor="bench", now=now)
    _serve(now)
    _content()
    _say("documents")
    documents.warm()
    with connection.cursor() as cursor:
        # what a shop's base is after a while; else this works on beside the first rounds
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    _row, key = create_key(name="bench", kind="secret", actor="bench")
    return key


def _say(step: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {step}", flush=True)


def _history(products: int, customers: int, events: int, now: datetime) -> "Iterator[BulkEvent]":
    from personalization.events.bulk import BulkEvent

    rng = np.random.default_rng(11)
    shown = (rng.zipf(1.25, events) % products).astype(int)
    at = now - timedelta(days=20)
    each = max(events // customers, 1)
    for n in range(events):
        customer = n // each % customers
        # Neighbours in the catalogue go together, so that there is something to learn.
        product = (int(shown[n - n % each]) + int(rng.integers(0, 8))) % products
        yield BulkEvent(
            str(uuid.UUID(bytes=rng.bytes(16), version=4)),
            "Product Viewed",
            at + timedelta(seconds=n * 1_700_000 / events),
            anonymous_id=f"visitor-{customer}",
            properties={"product_id": f"sku-{product}"},
        )


# Placement and strategy -> its sources: the sparse ones, and matrix factorisation with them.
_SPARSE = ("item_knn", "rp3beta", "popularity")
SHELVES = {"home.sparse": _SPARSE, "home.als": (*_SPARSE, "als")}


def _serve(now: datetime) -> None:
    """Have the shelves' models serve, also one that the gate finds no better than popularity."""
    from recommender import registry
    from recommender.models import ModelVersion

    for name in SHELVES["home.als"]:
        version = ModelVersion.objects.filter(algorithm=name).order_by("number").last()
        if version is None:
            sys.exit(f"{name} was not trained: there is nothing to measure")
        registry.promote(version.pk, actor="bench", now=now)


def _content() -> None:
    from personalization.content import services
    from recommender.strategies import save_strategy

    services.upsert_placement(
        key="home.hero", values={"title": "Hero", "kind": "content"}, actor="bench"
    )
    shelf = {"kind": "recommendations", "count": 12}
    services.upsert_placement(
        key="home.recommended",
        values={"title": "For you", "strategy": "for-you", **shelf},
        actor="bench",
    )
    for key, sources in SHELVES.items():
        given = [{"algorithm": name, "weight": 1} for name in sources]
        values = {"title": key, "sources": given, "algorithm": "popularity"}
        strategy = key.replace(".", "-")
        save_strategy(key=strategy, values=values, actor="bench")
        services.upsert_placement(
            key=key, values={"title": key, "strategy": strategy, **shelf}, actor="bench"
        )
    services.create_campaign(
        key="spring", values={"title": "Spring", "placement": "home.hero"}, actor="bench"
    )
    services.upsert_block(
        campaign="spring", key="hero-a", content={"heading": "Spring is here"}, actor="bench"
    )
    services.publish_campaign(key="spring", actor="bench")
