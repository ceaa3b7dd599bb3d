"""Reads of the event log: for people, and for whoever may use it for a purpose."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from personalization.consent import serve as consent
from personalization.consent.models import ConsentState
from personalization.customers.models import Customer, Identity
from personalization.events.engine import flags
from personalization.events.models import Event, LoggedEvent
from personalization.lib.errors import NotFound

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


def events_of(customer: UUID) -> QuerySet[LoggedEvent]:
    """Return all events of a customer by its uuid, whatever id they came with.

    Raises
    ------
    NotFound
        There is no such customer.
    """
    found = Customer.objects.filter(uuid=customer).values_list("pk", flat=True).first()
    if found is None:
        msg = "no customer has this uuid"
        raise NotFound(msg)
    ids = list(Identity.objects.filter(customer_id=found).values_list("pk", flat=True))
    return LoggedEvent.objects.filter(identity_id__in=ids)


def events_for(purpose: int) -> QuerySet[Event]:
    """Return the events that may serve the purpose (a mask of one bit).

    It held at acceptance and holds now.

    Bots are left out, and so are events of nobody. Every reader of the log that serves a purpose
    starts here.
    """
    by_default = bool(consent.purposes().in_force(0, 0, gpc=False) & purpose)
    said = ConsentState.objects.annotate(
        no=F("denied").bitand(purpose), yes=F("granted").bitand(purpose)
    )
    holds = Q(no=0) if by_default else Q(no=0, yes=purpose)
    allowed = said.filter(holds).values("customer_id")
    silent = ~Exists(ConsentState.objects.filter(customer_id=OuterRef("customer_id")))
    owner = Q(customer_id__in=allowed) | silent if by_default else Q(customer_id__in=allowed)
    return (
        Event.objects.annotate(held=F("purposes").bitand(purpose), bot=F("flags").bitand(flags.BOT))
        .filter(held=purpose, bot=0)
        .filter(identity_id__in=Identity.objects.filter(owner).values("pk"))
    )


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
