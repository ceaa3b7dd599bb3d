"""What the events app shows on the customer page."""

from collections.abc import Mapping
from typing import Any

from personalization.events.selectors import timeline

LIMIT = 50


def customer_timeline(customer_id: int | None) -> Mapping[str, Any]:
    """Return the newest events of a customer."""
    entries = timeline(customer_id, limit=LIMIT) if customer_id is not None else ()
    return {"entries": entries, "limit": LIMIT}
