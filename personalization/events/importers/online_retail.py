"""UCI Online Retail: invoices -> orders, `C...` -> refunds; guests are anonymous."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any

from personalization.events.bulk import BulkEvent
from personalization.events.importers.lines import Fault, Line, require
from personalization.events.importers.parsed import Found, Setup, UnusableError, cell, event, number

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
)
CURRENCY = "GBP"
_CANCELLATION = "C"
# Postage, discounts, bank charges and manual corrections are codes without a number in front.
_PRODUCT = re.compile(r"\d{5}")
_FORMATS = ("%m/%d/%y %H:%M", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S")


def parse(lines: Iterable[Line | Fault], setup: Setup) -> Iterator[Found | Fault]:
    """Yield one event an invoice: its lines stand together in the file."""
    checked = False
    for key, group in groupby(lines, key=_invoice):
        if key is None:
            yield from (line for line in group if isinstance(line, Fault))
            continue
        whole = [line for line in group if isinstance(line, Line)]
        if not checked:
            require(whole[0], COLUMNS)
            checked = True
        yield from _events(whole, setup)


def product(line: Line) -> dict[str, Any] | None:
    """Return the product that a line sells, for the catalogue."""
    key, title = line.cells.get("StockCode", "").strip(), line.cells.get("Description", "").strip()
    if not _PRODUCT.match(key) or not title or line.cells["InvoiceNo"].startswith(_CANCELLATION):
        return None
    price = number(line.cells["UnitPrice"], "UnitPrice")
    if price <= 0:
        return None
    return {"key": key, "title": title.title(), "price": price, "currency": CURRENCY}


def _invoice(line: Line | Fault) -> str | None:
    return None if isinstance(line, Fault) else line.cells.get("InvoiceNo", "")


def _events(lines: list[Line], setup: Setup) -> Iterator[Found | Fault]:
    sold: list[dict[str, Any]] = []
    total_minor = 0
    for line in lines:
        try:
            price, quantity = _priced(line)
        except UnusableError as unusable:
            yield Fault(line.number, str(unusable))
            continue
        total_minor += round(price * 100) * quantity
        code = line.cells["StockCode"].strip()
        if _PRODUCT.match(code):
            sold.append({"product_id": code, "price": price, "quantity": quantity})
    if not sold:
        return
    try:
        yield Found(lines[-1].number, _order(lines[0], sold, total_minor, setup))
    except UnusableError as unusable:
        yield Fault(lines[0].number, str(unusable))


def _priced(line: Line) -> tuple[float, int]:
    """Return unit price and quantity, both above zero; the file has what is cancelled below."""
    cancelled = line.cells["InvoiceNo"].startswith(_CANCELLATION)
    price = number(line.cells["UnitPrice"], "UnitPrice")
    quantity = int(number(line.cells["Quantity"], "Quantity")) * (-1 if cancelled else 1)
    if price <= 0 or quantity <= 0:
        msg = "is a stock correction: no price, or less than nothing sold"
        raise UnusableError(msg)
    return price, quantity


def _order(first: Line, sold: list[dict[str, Any]], total_minor: int, setup: Setup) -> BulkEvent:
    invoice = cell(first, "InvoiceNo")
    customer = first.cells["CustomerID"].strip().removesuffix(".0")
    return event(
        setup,
        first,
        name="Order Refunded" if invoice.startswith(_CANCELLATION) else "Order Completed",
        occurred_at=_at(first.cells["InvoiceDate"].strip()),
        user_id=customer or None,
        anonymous_id=None if customer else f"guest-{invoice}",
        properties={
            "order_id": invoice,
            "total": total_minor / 100,
            "currency": CURRENCY,
            "products": sold,
        },
    )


@lru_cache(maxsize=1024)
def _at(text: str) -> datetime:
    for layout in _FORMATS:
        try:
            return datetime.strptime(text, layout).replace(tzinfo=UTC)
        except ValueError:
            continue
    msg = "has no time in InvoiceDate"
    raise UnusableError(msg)
