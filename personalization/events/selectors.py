"""Reads of the event log for people."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from personalization.customers.models import Identity
from personalization.events.engine import flags
from personalization.events.models import Event

# Properties that tell an event apart at a glance, in this order; the first three found are shown.
_TELLING = ("product_id", "name", "order_id", "query", "category", "total", "revenue", "quantity")


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event as the customer page shows it."""

    message_id: str
    name: str
    occurred_at: datetime
    details: tuple[tuple[str, str], ...]
    page: str
    marks: tuple[str, ...]


def timeline(customer_id: int, *, limit: int = 50) -> tuple[TimelineEntry, ...]:
    """Return the customer's newest events, whatever id they came with. Two index reads."""
    ids = list(Identity.objects.filter(customer_id=customer_id).values_list("pk", flat=True))
    rows = Event.objects.filter(identity_id__in=ids).order_by("-occurred_at", "-seq")[:limit]
    return tuple(_entry(row) for row in rows)


def _entry(event: Event) -> TimelineEntry:
    page = event.context.get("page")
    return TimelineEntry(
        message_id=event.message_id,
        name=event.name,
        occurred_at=event.occurred_at,
        details=_details(event.properties),
        page=str(page.get("path", "")) if isinstance(page, dict) else "",
        marks=tuple(flags.names(event.flags)),
    )


def _details(properties: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return up to three telling properties; of a list of products the number of lines."""
    found = [
        (key.replace("_", " "), str(properties[key])[:80])
        for key in _TELLING
        if isinstance(properties.get(key), str | int | float)
    ]
    products = properties.get("products")
    if isinstance(products, list):
        found.append(("products", str(len(products))))
    return tuple(found[:3])
