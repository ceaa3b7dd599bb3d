"""The catalogue as the hot path reads it: arrays in memory, refreshed by what has changed.

Knows nothing of who asks. Writers number their changes under one lock (`services`), so a reader
that asks for `change > last` misses no row of a slow transaction.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
import structlog
from django.db import Error
from numpy.typing import NDArray

from personalization.catalog import selectors
from personalization.lib import lastgood
from personalization.lib.looks import Looks

log = structlog.get_logger("catalog")

# A changing catalogue is written to the node's disk no more often than this; in a process that
# starts while PostgreSQL is away stock may be as old.
_KEEP_EVERY_S = 60.0
_KEPT = "catalogue"


_LISTS = ("keys", "titles", "categories", "brands", "attributes")
_ARRAYS: dict[str, type[np.generic]] = {
    "available": np.bool_,
    "price_minor": np.int64,
    "created_s": np.float64,
    "changes": np.int64,
}


@dataclass(frozen=True, slots=True)
class CatalogView:
    """All products at one moment, never changed in place; row `i` of every member is one product.

    `available` (n_items,) bool: sold, not deleted, in stock. `price_minor` (n_items,) int64, -1
    unknown. `categories` holds main category keys, "" without, as `brands` does; `shelves` all
    categories of a product. `attributes` is JSON text, "" without. `created_s` (n_items,) float64
    seconds since the epoch. `changes` (n_items,) int64: the last change of each row. `index` maps
    key to row. A row keeps its place in all views of one `lineage`; views between which no product
    was added share `index`.
    """

    change: int = 0
    keys: list[str] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    brands: list[str] = field(default_factory=list)
    available: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    price_minor: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    shelves: list[tuple[str, ...]] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    created_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0, np.float64))
    changes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    category_titles: Mapping[str, str] = field(default_factory=dict)
    lineage: object = field(default_factory=object)

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
        self.looks = Looks()
        self.read = False  # from PostgreSQL
        self.kept_change = 0
        self.kept_at = -_KEEP_EVERY_S


_held = _Held()


def view() -> CatalogView:
    """Return the newest view in memory; never raises.

    While PostgreSQL was never reached it is what this node last served, or empty.
    Costs one attribute read where the watcher runs; elsewhere it looks at most once a second.
    """
    try:
        _held.looks.by_reader(refresh)
    except Error:
        log.warning("catalog.refresh_failed", exc_info=True)
    return _held.view


def watch() -> None:
    """Refresh, and have `view` rely on being called again (the background job of web)."""
    _held.looks.by_watcher(refresh)
    _keep()


def refresh() -> CatalogView:
    """Read what has changed since the last look, and swap the view; readers never see half."""
    with _held.lock, _held.looks.one():
        # what came from disk is replaced as a whole: it may be of another database
        old = _held.view if _held.read else CatalogView()
        try:
            rows = selectors.changes_after(old.change)
        except Error:
            if not _held.read and not _held.view.keys:
                _held.view = _recalled()
            raise
        if rows:
            titles = selectors.category_titles()
            _held.view = replace(_applied(old, rows), category_titles=titles)
        elif not _held.read:
            _held.view = old
        _held.read = True
        return _held.view


def forget() -> None:
    """Forget everything, as a fresh process would. For tests and after the table was restored."""
    with _held.lock:
        _held.view = CatalogView()
        _held.looks.forget()
        _held.read = False
        _held.kept_change, _held.kept_at = 0, -_KEEP_EVERY_S


def _keep() -> None:
    """Write the view to this node's disk when it has changed, now and then."""
    now, kept = time.monotonic(), _held.view
    if kept.change == _held.kept_change or now - _held.kept_at < _KEEP_EVERY_S:
        return
    names = ("change", "shelves", "category_titles", *_LISTS, *_ARRAYS)
    told = {name: getattr(kept, name) for name in names}
    lastgood.keep(_KEPT, str(kept.change), orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY))
    _held.kept_change, _held.kept_at = kept.change, now


def _recalled() -> CatalogView:
    """Return what this node last served; empty where there is nothing that can be read."""
    kept = lastgood.recall(_KEPT)
    if kept is None:
        return CatalogView()
    try:
        told = orjson.loads(kept[1])
        arrays: dict[str, Any] = {
            name: np.array(told[name], kind) for name, kind in _ARRAYS.items()
        }
        found = CatalogView(
            change=told["change"],
            index={key: row for row, key in enumerate(told["keys"])},
            shelves=[tuple(held) for held in told["shelves"]],
            category_titles=told["category_titles"],
            **{name: told[name] for name in _LISTS},
            **arrays,
        )
    except (KeyError, TypeError, ValueError):
        # other code wrote it
        log.exception("catalog.recall_failed")
        return CatalogView()
    log.warning("catalog.recalled", products=len(found.keys))
    return found


def _applied(old: CatalogView, rows: Sequence[selectors.Change]) -> CatalogView:
    """Return a view with `rows` put into it."""
    added = [row.key for row in rows if row.key not in old.index]
    index = old.index
    if added:
        index = old.index | {key: len(old.keys) + place for place, key in enumerate(added)}
    size = len(old.keys) + len(added)
    # all is copied: a reader may be zipping lists with arrays
    lists: dict[str, Any] = {name: [*getattr(old, name), *[""] * len(added)] for name in _LISTS}
    shelves = [*old.shelves, *[()] * len(added)]
    arrays: dict[str, Any] = {name: np.resize(getattr(old, name), size) for name in _ARRAYS}
    for row in rows:
        at = index[row.key]
        lists["keys"][at] = row.key
        lists["titles"][at] = row.title
        lists["categories"][at] = row.categories[0] if row.categories else ""
        lists["brands"][at] = row.brand
        lists["attributes"][at] = row.attributes or ""
        shelves[at] = tuple(row.categories)
        arrays["available"][at] = row.sellable
        arrays["price_minor"][at] = -1 if row.price_minor is None else row.price_minor
        arrays["created_s"][at] = row.created_at.timestamp()
        arrays["changes"][at] = row.change
    return replace(old, change=rows[-1].change, index=index, shelves=shelves, **lists, **arrays)
