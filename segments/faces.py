"""Customers to look at: what tells them apart, and their pages. No trait, which may be personal."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.urls import reverse

_PEOPLE = """
SELECT c.id, c.uuid::text, (
    SELECT i.value FROM customers_identity i WHERE i.customer_id = c.id AND i.ended_at IS NULL
    ORDER BY i.kind, i.id LIMIT 1
)
FROM customers_customer c WHERE c.id = ANY(%s) ORDER BY c.id
"""


@dataclass(frozen=True, slots=True)
class Someone:
    """One customer: `id` its uuid, `label` the id it goes by (else the uuid), `url` its page."""

    customer_id: int
    id: str
    label: str
    url: str


def people(customer_ids: Iterable[int]) -> tuple[Someone, ...]:
    """Return the customers that exist, in the order of their numbers."""
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE, [list(customer_ids)])
        return tuple(
            Someone(number, uuid, value or uuid, _page(number))
            for number, uuid, value in cursor.fetchall()
        )


def _page(customer_id: int) -> str:
    return reverse("admin:customers_customer_change", args=[customer_id])
