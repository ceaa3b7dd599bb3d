"""A small shop for tests: products, customers with two tastes, and their events in the log."""

import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from psycopg2.extras import execute_values

from personalization.catalog import services as catalogue_services
from personalization.customers.models import Customer, Identity
from personalization.lib import clock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PERSONALIZATION = 2


def customer(value: str) -> Identity:
    """One customer with one user id."""
    person = Customer.objects.create(assignment_key=value, created_at=NOW)
    return Identity.objects.create(
        kind=1, value=value, customer=person, origin=person, created_at=NOW
    )


def products(*keys: str) -> None:
    """Products of these keys, titled by them, on sale."""
    catalogue_services.upsert_products(
        [{"key": key, "title": key.title()} for key in keys], actor="test", now=NOW
    )


def events(
    rows: Iterable[tuple[Identity | None, str, dict[str, Any], float]], **columns: Any
) -> None:
    """Log (identity, event name, properties, hours ago) rows; `columns` of them all."""
    purposes, flags = columns.get("purposes", 7), columns.get("flags", 0)
    context = json.dumps(columns.get("context", {}))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_event")
        first = cursor.fetchone()[0]
        values = []
        for number, (identity, name, properties, hours) in enumerate(rows, first):
            at = NOW - timedelta(hours=hours)
            who = identity.pk if identity else None
            told = json.dumps(properties)
            row = (at.date(), f"m{number}", who, name, at, at, purposes, flags, told, context)
            values.append(row)
        execute_values(
            cursor.cursor,
            "INSERT INTO events_event (day, message_id, identity_id, name, occurred_at,"
            " received_at, purposes, flags, properties, context, trust, epoch, shard, type)"
            " VALUES %s",
            values,
            template="(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 2, 1, 0, 'track')",
            page_size=1_000,
        )


def viewed(
    identity: Identity, key: str, hours: float
) -> tuple[Identity, str, dict[str, Any], float]:
    return identity, "Product Viewed", {"product_id": key}, hours


def ordered(
    identity: Identity, keys: list[str], hours: float
) -> tuple[Identity, str, dict[str, Any], float]:
    lines = [{"product_id": key} for key in keys]
    return identity, "Order Completed", {"order_id": f"o{hours}", "products": lines}, hours


def two_tastes(people: int = 80) -> None:
    """Even customers look at a0..a9 over 30 days, odd ones at b0..b9; pairs are bought together."""
    products(*(f"{taste}{n}" for taste in "ab" for n in range(10)))
    rows = []
    for number in range(people):
        taste = "ab"[number % 2]
        who = customer(f"u{number}")
        for step in range(12):
            hours = 720 - 60 * step - number / 10
            rows.append(viewed(who, f"{taste}{(number + step * (1 + number % 3)) % 10}", hours))
        rows.append(
            ordered(who, [f"{taste}{number % 5 * 2}", f"{taste}{number % 5 * 2 + 1}"], number)
        )
    events(rows)


@pytest.fixture
def shop(db: None, settings: Any, tmp_path: Path) -> Iterator[Path]:
    """An empty shop at NOW with folders of its own; yields the model storage."""
    storage = tmp_path / "models"
    settings.STORAGES = settings.STORAGES | {
        "models": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(storage)},
        }
    }
    settings.MODEL_CACHE_DIR = tmp_path / "cache"
    with clock.frozen(NOW):
        yield storage
    shutil.rmtree(tmp_path, ignore_errors=True)
