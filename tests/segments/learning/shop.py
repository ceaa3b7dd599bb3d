"""A small shop with habits in the log, for tests that go through the database."""

from datetime import timedelta
from typing import Any

import numpy as np

from personalization.catalog import services as catalogue
from personalization.customers.models import Customer, Identity
from tests.recommender.shop import NOW, events

DAYS = 200


def products() -> None:
    """Three categories of four products each."""
    catalogue.upsert_products(
        [
            {
                "key": f"{category}{n}",
                "title": f"{category.title()} {n}",
                "brand": f"brand{n % 2}",
                "categories": [category],
                "price_minor": 1_000 * (n + 1),
                "currency": "EUR",
            }
            for category in ("cups", "lamps", "toys")
            for n in range(4)
        ],
        actor="test",
        now=NOW,
    )


def people(count: int) -> list[Identity]:
    """As many customers with a user id each."""
    made = Customer.objects.bulk_create(
        [
            Customer(assignment_key=f"u{number}", created_at=NOW - timedelta(days=DAYS))
            for number in range(count)
        ]
    )
    return Identity.objects.bulk_create(
        [
            Identity(kind=1, value=f"u{n}", customer=one, origin=one, created_at=NOW)
            for n, one in enumerate(made)
        ]
    )


def habits(count: int, *, busy: bool = False, seed: int = 4) -> list[Identity]:
    """Customers of whom every third is eager; each has a favourite category. Log and catalogue.

    `busy`: enough of everything for every model.
    """
    products()
    who = people(count)
    rng = np.random.default_rng(seed)
    rows: list[tuple[Identity | None, str, dict[str, Any], float]] = []
    for number, identity in enumerate(who):
        eager = number % 3 == 0
        hours = rng.random() * 200
        gone = rng.random() * DAYS * 24 if rng.random() < 0.6 else 0.0
        while hours < DAYS * 24:
            if hours > gone:
                rows += _visit(rng, identity, number, hours, buys=0.5 if eager else 0.35)
            hours += rng.exponential(150 if eager else 420) / (2.5 if busy else 1)
    events(rows)
    return who


def _visit(
    rng: np.random.Generator, identity: Identity, number: int, hours: float, *, buys: float
) -> list[tuple[Identity | None, str, dict[str, Any], float]]:
    taste = ("cups", "lamps", "toys")[number % 3 if rng.random() < 0.8 else rng.integers(3)]
    key = f"{taste}{rng.integers(4)}"
    made: list[tuple[Identity | None, str, dict[str, Any], float]] = [
        (identity, "Product Viewed", {"product_id": key, "price": 12.5}, hours)
    ]
    if rng.random() < buys:
        line = {"product_id": key, "price": 12.5, "quantity": 2}
        order = {"order_id": f"o{number}-{hours}", "products": [line]}
        made.append((identity, "Order Completed", order, hours - 0.2))
    return made
