"""REES46 eCommerce behaviour CSVs: views, carts, removals, purchases, with prices and sessions."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from personalization.events.bulk import BulkEvent
from personalization.events.importers.lines import Fault, Line, require
from personalization.events.importers.parsed import (
    Found,
    Setup,
    UnusableError,
    cell,
    each,
    event,
    number,
)

COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
CURRENCY = "USD"
_NAMES = {"view": "Product Viewed", "cart": "Product Added", "remove_from_cart": "Product Removed"}
_PURCHASE = "purchase"


def parse(lines: Iterable[Line | Fault], setup: Setup) -> Iterator[Found | Fault]:
    """Yield touches line by line; the purchases of a session are one order, at its first line."""

    def make(line: Line) -> BulkEvent | None:
        require(line, COLUMNS)
        basket = setup.baskets.get(basket_key(line) or "")
        if basket and basket[0].number != line.number:
            return None
        session = line.cells["user_session"].strip()
        return event(
            setup,
            line,
            occurred_at=_at(cell(line, "event_time")),
            user_id=cell(line, "user_id"),
            context={"session": {"id": session[:100]}} if session else {},
            **(_order(basket) if basket else _touch(line)),
        )

    return each(lines, make)


def basket_key(line: Line) -> str | None:
    """Return the order that a line is part of: the set has no order ids, a session buys once."""
    if line.cells.get("event_type") != _PURCHASE:
        return None
    return line.cells.get("user_session") or f"line-{line.number}"


def product(line: Line) -> dict[str, Any]:
    """Return the product that a line touches, named by brand and category, for want of titles."""
    key, brand = cell(line, "product_id"), line.cells["brand"].strip()
    codes = [part for part in line.cells["category_code"].strip().split(".") if part]
    kind = codes[-1].replace("_", " ") if codes else "product"
    found: dict[str, Any] = {
        "key": key,
        "title": f"{brand.title()} {kind} {key}".strip(),
        "brand": brand[:100],
        "currency": CURRENCY,
        "price": _price(line),
    }
    if codes:
        found["categories"] = list(reversed([".".join(codes[: i + 1]) for i in range(len(codes))]))
    return found


def _touch(line: Line) -> dict[str, Any]:
    name = _NAMES.get(line.cells["event_type"])
    if name is None:
        msg = "has an event_type other than view, cart, remove_from_cart and purchase"
        raise UnusableError(msg)
    properties = {
        "product_id": cell(line, "product_id"),
        "price": _price(line),
        "currency": CURRENCY,
    }
    return {"name": name, "properties": properties}


def _order(basket: Iterable[Line]) -> dict[str, Any]:
    lines = list(basket)
    sold = [
        {"product_id": cell(line, "product_id"), "price": _price(line), "quantity": 1}
        for line in lines
    ]
    total_minor = sum(round(_price(line) * 100) for line in lines)
    return {
        "name": "Order Completed",
        "properties": {
            "order_id": basket_key(lines[0]),
            "total": total_minor / 100,
            "currency": CURRENCY,
            "products": sold,
        },
    }


def _price(line: Line) -> float:
    price = number(line.cells["price"], "price")
    if price < 0:
        msg = "has a price below zero"
        raise UnusableError(msg)
    return price


def _at(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.removesuffix(" UTC")).replace(tzinfo=UTC)
    except ValueError as error:
        msg = "has no time in event_time"
        raise UnusableError(msg) from error
