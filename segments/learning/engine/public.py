"""Public data sets as events and samples; lines in, arrays out.

UCI Online Retail (purchases), UCI Online Shoppers Intention (sessions, each bought or not).
"""

import csv
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from segments.learning.engine.classifiers import Sample
from segments.learning.engine.features import DAY_US, KIND, Events

# What is bought and taken back so soon was never sold: a typing error of a wholesaler.
_TAKEN_BACK_US = DAY_US
_NOMINAL = ("Month", "OperatingSystems", "Browser", "Region", "TrafficType", "VisitorType")
_NUMERIC = (
    "Administrative",
    "Administrative_Duration",
    "Informational",
    "Informational_Duration",
    "ProductRelated",
    "ProductRelated_Duration",
    "BounceRates",
    "ExitRates",
    "PageValues",
    "SpecialDay",
)
_SKEWED = {name for name in _NUMERIC if name not in ("BounceRates", "ExitRates", "SpecialDay")}


@dataclass(slots=True)
class _Line:
    """One line of an invoice; `pence` of all its pieces."""

    customer: int
    at_us: int
    invoice: str
    item: str
    quantity: int
    pence: int


def online_retail(lines: Iterable[str]) -> Events:
    """Return the orders, their lines and the refunds of UCI Online Retail; guests are left out.

    An invoice is an order of all its lines; one that begins with C is a refund. A line that the
    same customer takes back whole within a day (same product, same quantity) does not count,
    neither does its refund. Money in pence; times as they stand, taken for UTC.
    """
    sold, back = _parsed(lines)
    sold, back = _without_slips(sold, back)
    rows: list[tuple[int, int, str, int, float]] = []
    for kind, listed in (("order", sold), ("refund", back)):
        invoices: dict[str, list[_Line]] = {}
        for line in listed:
            invoices.setdefault(line.invoice, []).append(line)
        for of_invoice in invoices.values():
            first = of_invoice[0]
            worth = float(abs(sum(line.pence for line in of_invoice)))
            rows.append((first.customer, first.at_us, kind, 0, worth))
            if kind == "order":
                rows += [
                    (one.customer, first.at_us, "line", _code(one.item), one.pence / one.quantity)
                    for one in of_invoice
                ]
    return _events(rows)


def online_shoppers(lines: Iterable[str], *, page_values: bool) -> tuple[Sample, tuple[str, ...]]:
    """Return (sample, names of its columns) of UCI Online Shoppers Intention; class 1 bought.

    Codes (month, system, browser, region, traffic, visitor) become a column a level, but the first.
    Without `page_values` the column PageValues, which knows the outcome, is left out.
    """
    rows = list(csv.DictReader(lines, delimiter=";"))
    numeric = [name for name in _NUMERIC if page_values or name != "PageValues"]
    columns = [np.array([float(row[name]) for row in rows]) for name in numeric]
    names = list(numeric)
    columns.append(np.array([row["Weekend"] == "TRUE" for row in rows], np.float64))
    names.append("Weekend")
    for name in _NOMINAL:
        given = np.array([row[name] for row in rows])
        for level in np.unique(given)[1:].tolist():
            columns.append((given == level).astype(np.float64))
            names.append(f"{name}={level}")
    target = np.array([row["Revenue"] == "TRUE" for row in rows], np.int64)
    log = [name in _SKEWED for name in names]
    return Sample(np.column_stack(columns), target, log), tuple(names)


def _parsed(lines: Iterable[str]) -> tuple[list[_Line], list[_Line]]:
    """Return (lines sold, lines taken back) of customers, in the order of the file."""
    sold: list[_Line] = []
    back: list[_Line] = []
    for row in csv.DictReader(lines):
        quantity = int(row["Quantity"])
        if not row["CustomerID"] or not quantity:
            continue
        at = datetime.strptime(row["InvoiceDate"], "%m/%d/%y %H:%M").replace(tzinfo=UTC)
        line = _Line(
            int(float(row["CustomerID"])),
            int(at.timestamp()) * 1_000_000,
            row["InvoiceNo"],
            row["StockCode"],
            quantity,
            round(float(row["UnitPrice"]) * 100 * quantity),
        )
        cancelled = row["InvoiceNo"].startswith("C")
        if cancelled:
            back.append(line)
        elif quantity > 0:
            sold.append(line)
    return sold, back


def _without_slips(sold: list[_Line], back: list[_Line]) -> tuple[list[_Line], list[_Line]]:
    """Return both without what was sold and taken back whole within a day."""
    waiting: dict[tuple[int, str, int], list[int]] = {}
    for place, line in enumerate(sold):
        waiting.setdefault((line.customer, line.item, line.quantity), []).append(place)
    gone: set[int] = set()
    kept = []
    for line in back:
        earlier = waiting.get((line.customer, line.item, -line.quantity), [])
        near = [p for p in earlier if 0 <= line.at_us - sold[p].at_us <= _TAKEN_BACK_US]
        if near:
            gone.add(near[-1])
            earlier.remove(near[-1])
        else:
            kept.append(line)
    return [line for place, line in enumerate(sold) if place not in gone], kept


def _events(rows: list[tuple[int, int, str, int, float]]) -> Events:
    n = len(rows)
    at = np.array([row[1] for row in rows], np.int64)
    none = np.zeros(n, np.int64)
    return Events(
        customer=np.array([row[0] for row in rows], np.int64),
        at_us=at,
        kind=np.array([KIND[row[2]] for row in rows], np.int8),
        item=np.array([row[3] for row in rows], np.int64),
        category=none,
        brand=none,
        session=none,
        value_minor=np.array([row[4] for row in rows], np.float64),
        discounted=np.zeros(n, np.bool_),
        device=np.zeros(n, np.int8),
        hour=(at // (DAY_US // 24) % 24).astype(np.int8),
        # the epoch began on a Thursday
        weekday=((at // DAY_US + 3) % 7).astype(np.int8),
    )


def _code(text: str) -> int:
    return zlib.crc32(text.encode()) + 1
