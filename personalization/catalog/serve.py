"""The catalogue as the hot path reads it: arrays in memory, refreshed by what has changed.

Knows nothing of who asks. Writers number their changes under one lock (`services`), so a reader
that asks for `change > last` misses no row of a slow transaction.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
import structlog
from django.db import Error
from numpy.typing import NDArray

from personalization.catalog import selectors
from personalization.lib import lastgood

log = structlog.get_logger("catalog")

# How stale a process without the background watcher may be (commands, tests).
_UNWATCHED_S = 1.0
# A changing catalogue is written to the node's disk no more often than this; in a process that
# starts while PostgreSQL is away stock may be as old.
_KEEP_EVERY_S = 60.0
_KEPT = "catalogue"


_COLUMNS = ("keys", "titles", "categories", "brands", "available", "price_minor")


@dataclass(frozen=True, slots=True)
class CatalogView:
    """All products at one moment, never changed in place; row `i` of every member is one product.

    `available` (n_items,) bool: sold, not deleted, in stock. `price_minor` (n_items,) int64, -1
    unknown. `categories` holds main category keys, "" without, as `brands` does. `index` maps key
    to row. A row keeps its place while the process lives; views between which no product was added
    share `index`.
    """

    change: int = 0
    keys: list[str] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    brands: list[str] = field(default_factory=list)
    available: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    price_minor: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def stamps(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """Return what is known now of each product that exists: category, brand, price_minor."""
        found = []
        for key in keys:
            row = self.index.get(key)
            if row is not None:
                price = int(self.price_minor[row])
                told = {"category": self.categories[row], "brand": self.brands[row]}
                stamp: dict[str, Any] = {name: value for name, value in told.items() if value}
                if price >= 0:
                    stamp["price_minor"] = price
                found.append(stamp)
        return found

    def is_available(self, key: str) -> bool:
        """Whether the product exists and can be bought now."""
        row = self.index.get(key)
        return row is not None and bool(self.available[row])


class _Held:
    """What this process holds: one reference that refreshes swap."""

    def __init__(self) -> None:
        self.view = CatalogView()
        self.lock = threading.Lock()
        self.checked_at = -_UNWATCHED_S
        self.watched = False
        self.read = False  # from PostgreSQL
        self.kept_change = 0
        self.kept_at = -_KEEP_EVERY_S


_held = _Held()


def view() -> CatalogView:
    """Return the newest view in memory; never raises.

    While PostgreSQL was never reached it is what this node last served, or empty.
    Costs one attribute read where the watcher runs; elsewhere it looks at most once a second.
    """
    if not _held.watched and time.monotonic() - _held.checked_at >= _UNWATCHED_S:
        try:
            refresh()
        except Error:
            log.warning("catalog.refresh_failed", exc_info=True)
    return _held.view


def watch() -> None:
    """Refresh, and have `view` rely on being called again (the background job of web)."""
    _held.watched = True
    refresh()
    _keep()


def refresh() -> CatalogView:
    """Read what has changed since the last look, and swap the view; readers never see half."""
    with _held.lock:
        # stamped first: a database that is away is asked once a second, not once a request
        _held.checked_at = time.monotonic()
        # what came from disk is replaced as a whole: it may be of another database
        old = _held.view if _held.read else CatalogView()
        try:
            rows = selectors.changes_after(old.change)
        except Error:
            if not _held.read and not _held.view.keys:
                _held.view = _recalled()
            raise
        if rows or not _held.read:
            _held.view = _applied(old, rows) if rows else old
        _held.read = True
        return _held.view


def forget() -> None:
    """Forget everything, as a fresh process would. For tests and after the table was restored."""
    with _held.lock:
        _held.view = CatalogView()
        _held.checked_at = -_UNWATCHED_S
        _held.watched = _held.read = False
        _held.kept_change, _held.kept_at = 0, -_KEEP_EVERY_S


def _keep() -> None:
    """Write the view to this node's disk when it has changed, now and then."""
    now, kept = time.monotonic(), _held.view
    if kept.change == _held.kept_change or now - _held.kept_at < _KEEP_EVERY_S:
        return
    told = {name: getattr(kept, name) for name in _COLUMNS} | {"change": kept.change}
    lastgood.keep(_KEPT, str(kept.change), orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY))
    _held.kept_change, _held.kept_at = kept.change, now


def _recalled() -> CatalogView:
    """Return what this node last served; empty where there is nothing that can be read."""
    kept = lastgood.recall(_KEPT)
    if kept is None:
        return CatalogView()
    try:
        told = orjson.loads(kept[1])
        found = CatalogView(
            change=told["change"],
            keys=told["keys"],
            index={key: row for row, key in enumerate(told["keys"])},
            titles=told["titles"],
            categories=told["categories"],
            brands=told["brands"],
            available=np.array(told["available"], np.bool_),
            price_minor=np.array(told["price_minor"], np.int64),
        )
    except (KeyError, TypeError, ValueError):
        # other code wrote it
        log.exception("catalog.recall_failed")
        return CatalogView()
    log.warning("catalog.recalled", products=len(found.keys))
    return found


def _applied(old: CatalogView, rows: list[tuple[Any, ...]]) -> CatalogView:
    """Return a view with `rows` (see `selectors.changes_after`) put into it."""
    added = [row for row in rows if row[0] not in old.index]
    size = len(old.keys) + len(added)
    # titles and categories are copied as well: a reader may be zipping them with the arrays
    keys, index = old.keys, old.index
    if added:
        keys = [*old.keys, *(row[0] for row in added)]
        index = old.index | {row[0]: len(old.keys) + i for i, row in enumerate(added)}
    titles = [*old.titles, *([""] * len(added))]
    categories = [*old.categories, *([""] * len(added))]
    brands = [*old.brands, *([""] * len(added))]
    available = np.zeros(size, np.bool_)
    available[: len(old.keys)] = old.available
    price_minor = np.full(size, -1, np.int64)
    price_minor[: len(old.keys)] = old.price_minor
    for key, title, main_category, brand, price, sellable, _change in rows:
        at = index[key]
        titles[at] = title
        categories[at] = main_category
        brands[at] = brand
        available[at] = sellable
        price_minor[at] = -1 if price is None else price
    return replace(
        old,
        change=rows[-1][-1],
        keys=keys,
        index=index,
        titles=titles,
        categories=categories,
        brands=brands,
        available=available,
        price_minor=price_minor,
    )
