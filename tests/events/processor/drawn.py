"""Logs that Hypothesis draws, and everything that is known of customers, to be compared as a whole.

Few products, people and minutes: what meets at one moment, in one order or one session is what can
go wrong.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from personalization.customers import documents, services
from personalization.customers.models import Customer, Profile
from personalization.events.engine import flags
from personalization.events.processor.folding import FLOOR
from tests.events.processor.log import DEVICE, NOW, USER, put

# A test draws into tables that each example empties by itself.
WHOLE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

DEVICES, USERS = 2, 2
_NAMES = (
    *("Product Viewed", "Product Added", "Product Removed", "Product Added", "Cart Viewed"),
    *("Order Completed", "Order Refunded", "Order Cancelled", "Page Viewed", "Identified"),
)
# When a row was written, and last folded from the whole log: these differ, and may.
_MOMENTS = frozenset({"updated_at", "rebuilt_at"})

_products = st.integers(0, 2).map("sku{}".format)
Drawn = dict[str, Any]
events: st.SearchStrategy[Drawn] = st.fixed_dictionaries(
    {
        "name": st.sampled_from(_NAMES),
        "who": st.tuples(st.just(DEVICE), st.integers(0, DEVICES - 1).map("a{}".format))
        | st.tuples(st.just(USER), st.integers(0, USERS - 1).map("u{}".format)),
        "minute": st.integers(0, 40) | st.integers(0, 4000),
        "product_id": _products,
        "products": st.lists(st.fixed_dictionaries({"product_id": _products}), max_size=3),
        "order_id": st.integers(0, 3).map("o{}".format),
        "revenue": st.integers(0, 500),
        "currency": st.sampled_from(("EUR", "EUR", "USD")),
    },
    optional={
        "traits": st.dictionaries(
            st.sampled_from(("tier", "size", "note")),
            st.none() | st.integers(0, 9) | st.text("xy", max_size=80),
        ),
        "context": st.fixed_dictionaries(
            {},
            optional={
                "country": st.sampled_from(("DE", "FR", "AT")),
                "locale": st.sampled_from(("de-DE", "fr-FR")),
                "device": st.sampled_from(({"type": "mobile"}, {"type": "desktop"})),
                "session": st.sampled_from(({"id": "s1"}, {"id": "s2"})),
            },
        ),
        # analytics alone: kept, and folded into nobody
        "purposes": st.just(1),
        "flags": st.just(flags.BOT),
    },
)
# Somebody says who they are on a device, after so many events.
log_ins = st.tuples(st.integers(0, USERS - 1), st.integers(0, DEVICES - 1))


def forget_all() -> None:
    """Empty the log and all that was made of it: each example begins anew."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE customers_customer, events_event, events_watermark CASCADE")


def write(drawn: Sequence[Drawn], *, prefix: str) -> None:
    """Put the events into the log."""
    for number, event in enumerate(drawn):
        put(f"{prefix}{number}", **event)


def log_in(who: tuple[int, int]) -> None:
    """Let a user be seen on a device, of which something is in the log."""
    services.log_in(user=f"u{who[0]}", device=f"a{who[1]}", now=NOW)


def everything() -> dict[int, dict[str, Any]]:
    """Return all columns of each profile, its state without the floor, and what serving reads.

    A profile of no event is none: the live fold makes no row of what must not be folded, a fold of
    the whole log an empty one.
    """
    names = [f.attname for f in Profile._meta.concrete_fields if f.name not in _MOMENTS]
    found = {row["customer_id"]: row for row in Profile.objects.values(*names)}
    for row in found.values():
        row["state"] = {
            key: value for key, value in orjson.loads(row["state"]).items() if key != FLOOR
        }
    found = {customer_id: row for customer_id, row in found.items() if row["state"]}
    for customer_id, (_, _, body) in documents.build(_customers()).items():
        document = orjson.loads(body)
        del document["v"]
        if not document["p"].get("profile"):
            document["p"].pop("profile", None)
        found.setdefault(customer_id, {})["document"] = document
    return found


def _customers() -> list[int]:
    return list(Customer.objects.values_list("pk", flat=True))
