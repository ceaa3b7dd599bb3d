"""RetailRocket's events.csv: views, carts and transactions of visitors, times in milliseconds."""

from collections.abc import Iterable, Iterator
from typing import Any

from personalization.events.bulk import BulkEvent
from personalization.events.importers.lines import Fault, Line, require
from personalization.events.importers.parsed import (
    Found,
    Setup,
    UnusableError,
    at_seconds,
    cell,
    each,
    event,
    number,
)

COLUMNS = ("timestamp", "visitorid", "event", "itemid", "transactionid")
_NAMES = {"view": "Product Viewed", "addtocart": "Product Added"}


def parse(lines: Iterable[Line | Fault], setup: Setup) -> Iterator[Found | Fault]:
    """Yield views and carts line by line; a transaction at its first line, with all its items."""

    def make(line: Line) -> BulkEvent | None:
        require(line, COLUMNS)
        basket = setup.baskets.get(basket_key(line) or "")
        if basket and basket[0].number != line.number:
            return None
        return event(
            setup,
            line,
            occurred_at=at_seconds(number(cell(line, "timestamp"), "timestamp") / 1000),
            anonymous_id=cell(line, "visitorid"),
            **(_order(basket) if basket else _touch(line)),
        )

    return each(lines, make)


def basket_key(line: Line) -> str | None:
    """Return the order that a line is part of."""
    return (
        line.cells.get("transactionid") or None
        if line.cells.get("event") == "transaction"
        else None
    )


def product(line: Line) -> dict[str, Any]:
    """Return the item that a line touches; the set hides all titles."""
    item = cell(line, "itemid")
    return {"key": item, "title": f"Item {item}"}


def _touch(line: Line) -> dict[str, Any]:
    name = _NAMES.get(line.cells["event"])
    if name is None:
        msg = "has an event other than view, addtocart and transaction, or a transaction without id"
        raise UnusableError(msg)
    return {"name": name, "properties": {"product_id": cell(line, "itemid")}}


def _order(basket: Iterable[Line]) -> dict[str, Any]:
    lines = list(basket)
    sold = [{"product_id": cell(line, "itemid"), "quantity": 1} for line in lines]
    return {
        "name": "Order Completed",
        "properties": {"order_id": basket_key(lines[0]), "products": sold},
    }
