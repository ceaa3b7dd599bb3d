"""What products say themselves of countries: where they are sold, and for how much.

Attributes `regions`, a list of countries, and `prices`, minor units by country. Prices are kept by
country for the products that name one, until something changes.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import orjson
from numpy.typing import NDArray

from personalization.catalog.serve import CatalogView
from personalization.lib.money import MAX_MINOR

Rows = NDArray[np.int64]
Prices = NDArray[np.int64]

REGIONS, PRICES = "regions", "prices"
_Named = Mapping[str, tuple[Rows, Prices]]


@dataclass(frozen=True, slots=True)
class _Table:
    """Country -> (rows in order, their prices there), of one state of the catalogue."""

    lineage: object = None
    change: int = -1
    named: _Named = field(default_factory=lambda: MappingProxyType({}))

    def is_of(self, view: CatalogView) -> bool:
        return self.lineage is view.lineage and self.change == view.change


class _Held:
    """What this process holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.table = _Table()


_held = _Held()


def forget() -> None:
    """Drop what this process holds. For tests, whose tables change under it."""
    _held.table = _Table()


def sold(text: str, region: str) -> bool:
    """Whether a product with these attributes (JSON) is sold, and has a price, in a country."""
    # most products say nothing of it: a look at the text is a tenth of reading it
    if f'"{REGIONS}"' not in text and f'"{PRICES}"' not in text:
        return True
    told = orjson.loads(text)
    regions, prices = told.get(REGIONS), told.get(PRICES)
    found = not isinstance(regions, list) or region in regions
    return found and (not isinstance(prices, dict) or prices.get(region) is not None)


def priced(view: CatalogView) -> Sequence[str]:
    """Return the countries that any product names a price for, most products first."""
    named = _named(view)
    return sorted(named, key=lambda country: (-len(named[country][0]), country))


def has_prices(view: CatalogView, country: str) -> bool:
    """Whether any product names a price for the country: elsewhere the general ones hold."""
    return country in _named(view)


def price_minor(view: CatalogView, country: str, rows: Rows | None) -> Prices:
    """Return what products cost in a country, (n,): where they say nothing of it, in general.

    -1 unknown, minor units of whatever currency the shop prices in there. `rows` None: of all.
    """
    found = view.price_minor.copy() if rows is None else view.price_minor[rows]
    named = _named(view).get(country)
    if named is None:
        return found
    own, prices = named
    if rows is None:
        found[own] = prices
        return found
    at = np.minimum(np.searchsorted(own, rows), len(own) - 1)
    return np.where(own[at] == rows, prices[at], found)


def _named(view: CatalogView) -> _Named:
    table = _held.table
    if not table.is_of(view):
        with _held.lock:
            table = _renewed(_held.table, view)
    return table.named


def _renewed(known: _Table, view: CatalogView) -> _Table:
    """Return the table of a view, and keep it unless it is of an older one."""
    if known.is_of(view):
        return known
    same = known.lineage is view.lineage
    if not same or known.change > view.change:
        table = _Table(view.lineage, view.change, _read(view, range(len(view.keys))))
    else:
        changed = np.flatnonzero(view.changes > known.change)
        fresh = _read(view, changed.tolist())
        table = _Table(view.lineage, view.change, _joined(known.named, fresh, changed))
    if not same or known.change < view.change:
        _held.table = table
    return table


def _read(view: CatalogView, rows: Iterable[int]) -> _Named:
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        text = view.attributes[row]
        if f'"{PRICES}"' not in text:
            continue
        prices = orjson.loads(text).get(PRICES)
        for country, price in prices.items() if isinstance(prices, dict) else ():
            # what is no price is no word on it
            if type(price) is int and 0 <= price <= MAX_MINOR:
                found[country].append((row, price))
    columns = {country: np.array(pairs, np.int64) for country, pairs in found.items()}
    return {country: (pairs[:, 0], pairs[:, 1]) for country, pairs in columns.items()}


def _joined(held: _Named, fresh: _Named, changed: Rows) -> _Named:
    """Return what is held of rows that did not change, and what the changed ones say now."""
    if not len(changed):
        return held
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64)
    found = {}
    for country in held.keys() | fresh.keys():
        rows, prices = held.get(country, nothing)
        stays = ~np.isin(rows, changed)
        own, fresh_prices = fresh.get(country, nothing)
        rows = np.concatenate([rows[stays], own])
        order = np.argsort(rows)
        if len(rows):
            found[country] = rows[order], np.concatenate([prices[stays], fresh_prices])[order]
    return found
