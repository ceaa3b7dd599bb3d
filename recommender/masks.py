"""Which products may be shown, as one mask of the catalogue, kept until something changes.

The hot path copies a mask and strikes out a few rows. Where products changed, only they are judged
again; rules by the clock are judged anew each minute.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import is_
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
from django.conf import settings
from numpy.typing import NDArray

from personalization.catalog import serve as catalogue
from personalization.catalog.serve import CatalogView
from personalization.lib import clock
from personalization.ops import serve as config
from recommender.engine import rulemasks
from recommender.engine.rulemasks import Mask, ProductRule
from recommender.engine.strategies import StrategySpec
from recommender.live import Live
from segments.engine.catalogue import OWN

Rows = NDArray[np.int64]
Places = NDArray[np.int32]
# Judges the given rows of the catalogue, all of them for None.
Build = Callable[[Rows | None], Mask]

# Masks of one process together; 640 of 100,000 products, 64 of a million.
_MOST_BYTES = 64 * 2**20
_MINUTE_US = 60_000_000
# A product's own word on where it is sold: a list of countries, and prices by country.
REGIONS, PRICES = "regions", "prices"


@dataclass(frozen=True, slots=True)
class Request:
    """What rules may read of the request. `fields` by key (docs/rules.md); `region`: a country."""

    fields: Mapping[str, Any]
    region: str
    now_us: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A mask, and of which state of the catalogue it is; a view itself would be held for long."""

    lineage: object
    change: int
    minute: int
    mask: Mask

    def is_of(self, view: CatalogView, minute: int) -> bool:
        return self.change == view.change and self.lineage is view.lineage and self.minute == minute


@dataclass(frozen=True, slots=True)
class _Codes:
    """Numbers of a group's names, and the number of each product (n,), -1 for none."""

    lineage: object
    change: int
    numbers: dict[str, int]
    codes: Places


class _Held:
    """Masks of this process by what they mean, the latest used last."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.masks: OrderedDict[tuple[Any, ...], _Entry] = OrderedDict()
        self.shelves: OrderedDict[tuple[Any, ...], tuple[tuple[Mask, ...], Mask]] = OrderedDict()
        self.codes: dict[str, _Codes] = {}
        self.rows: dict[str, tuple[Live, dict[str, int], Places]] = {}
        self.models: OrderedDict[tuple[str, int], tuple[Mask, Places, Mask]] = OrderedDict()


_held = _Held()


def watch() -> None:
    """Judge what the published strategies ask of products before a request needs it."""
    view = catalogue.view()
    request = Request({}, "", clock.to_us(clock.now()))
    strategies: Mapping[str, StrategySpec] = config.part("strategies")
    for spec in strategies.values():
        for rule in spec.rules.rules():
            rule_mask(rule, view, request)
    for name in ("brand", "category"):
        codes(name, view)


def rule_mask(rule: ProductRule, view: CatalogView, request: Request) -> Mask:
    """Return for which products a rule holds, (n,) by row of the view; not to be written."""
    zone = _zone(settings.SHOP_TIME_ZONE)
    truths = rule.truths(request.fields, request.now_us, zone)

    def build(rows: Rows | None) -> Mask:
        size = len(view.keys) if rows is None else len(rows)
        return rulemasks.rule_mask(
            rule,
            size,
            lambda key: _column(view, key, rows),
            truths=truths,
            now_us=request.now_us,
            zone=zone,
        )

    minute = request.now_us // _MINUTE_US if rule.timed else 0
    return _kept(("rule", rule.name, truths), view, minute, build)


def region_mask(view: CatalogView, region: str) -> Mask:
    """Return which products are sold, and have a price, in a country; "" for anywhere."""
    if not region:
        return _kept(("region", ""), view, 0, lambda rows: np.ones(_size(view, rows), np.bool_))

    def build(rows: Rows | None) -> Mask:
        told = _taken(view.attributes, rows)
        return np.fromiter((_sold(text, region) for text in told), np.bool_, len(told))

    return _kept(("region", region), view, 0, build)


def shelf_mask(rules: Sequence[ProductRule], view: CatalogView, request: Request) -> Mask:
    """Return which products can be bought in the region and pass every rule; not to be written."""
    parts = (
        view.available,
        *([region_mask(view, request.region)] if request.region else []),
        *(rule_mask(rule, view, request) for rule in rules),
    )
    if len(parts) == 1:
        return parts[0]
    key = (request.region, *(rule.name for rule in rules))
    known = _held.shelves.get(key)
    # compared as objects: what a mask was made of lives as long as it does
    if known is not None and all(map(is_, known[0], parts)) and len(known[0]) == len(parts):
        return known[1]
    mask: Mask = np.logical_and.reduce(parts)
    _put(_held.shelves, key, (parts, mask))
    return mask


def codes(name: str, view: CatalogView) -> Places:
    """Return the "brand" or "category" of each product as a number, (n,), -1 for none."""
    known = _held.codes.get(name)
    if known is not None and known.change == view.change and known.lineage is view.lineage:
        return known.codes
    values = view.brands if name == "brand" else view.categories
    numbers, found, changed = dict[str, int](), np.zeros(len(values), np.int32), None
    if known is not None and known.lineage is view.lineage:
        numbers = known.numbers
        found[: len(known.codes)] = known.codes
        changed = np.flatnonzero(view.changes > known.change)
    told = _taken(values, changed)
    found[slice(None) if changed is None else changed] = [
        numbers.setdefault(value, len(numbers)) if value else -1 for value in told
    ]
    _held.codes[name] = _Codes(view.lineage, view.change, numbers, found)
    return found


def rows_of(live: Live, view: CatalogView) -> Places:
    """Return the catalogue's row of each of a model's items, (n_items,), -1 for none."""
    known = _held.rows.get(live.name)
    if known is not None and known[0] is live and known[1] is view.index:
        return known[2]
    found = map(view.index.get, live.keys, [-1] * len(live.keys))
    rows = np.fromiter(found, np.int32, len(live.keys))
    _held.rows[live.name] = (live, view.index, rows)
    return rows


def model_mask(live: Live, view: CatalogView, mask: Mask) -> Mask:
    """Return a mask of the catalogue as one of the model's items, (n_items,); not to be written."""
    rows = rows_of(live, view)
    key = (live.name, id(mask))
    known = _held.models.get(key)
    if known is not None and known[0] is mask and known[1] is rows:
        return known[2]
    # one False beyond the catalogue, which is where -1 points
    gathered: Mask = np.append(mask, np.False_)[rows]
    _put(_held.models, key, (mask, rows, gathered))
    return gathered


def _kept(key: tuple[Any, ...], view: CatalogView, minute: int, build: Build) -> Mask:
    """Return the mask of a key for a view: as it was, with changed rows judged again, or new."""
    known = _held.masks.get(key)
    if known is not None and known.is_of(view, minute):
        return known.mask
    mask = None
    if known is not None and known.minute == minute and known.lineage is view.lineage:
        mask = _renewed(known, view, build)
    if mask is None:
        mask = build(None)
    _put(_held.masks, key, _Entry(view.lineage, view.change, minute, mask))
    return mask


def _renewed(known: _Entry, view: CatalogView, build: Build) -> Mask | None:
    """Return a mask with what changed since judged again; None where most did."""
    changed = np.flatnonzero(view.changes > known.change)
    if 2 * len(changed) > len(view.keys):
        return None
    mask = np.zeros(len(view.keys), np.bool_)
    mask[: len(known.mask)] = known.mask
    mask[changed] = build(changed)
    return mask


def _put(held: OrderedDict[Any, Any], key: Any, entry: Any) -> None:
    """Keep an entry as the newest; drop the oldest until the rest fits."""
    with _held.lock:
        held[key] = entry
        held.move_to_end(key)
        total = sum(map(_bytes, held.values()))
        while total > _MOST_BYTES and len(held) > 1:
            total -= _bytes(held.popitem(last=False)[1])


def _bytes(entry: Any) -> int:
    mask: Mask = entry.mask if isinstance(entry, _Entry) else entry[-1]
    return mask.nbytes


@lru_cache(maxsize=4)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _size(view: CatalogView, rows: Rows | None) -> int:
    return len(view.keys) if rows is None else len(rows)


def _taken(values: Sequence[Any], rows: Rows | None) -> Sequence[Any]:
    return values if rows is None else [values[row] for row in rows.tolist()]


def _column(
    view: CatalogView, key: str, rows: Rows | None
) -> tuple[Sequence[Any], Callable[[Any], Any]]:
    """Return a field of each product and what its values mean to an operator."""
    if key.startswith(OWN):
        steps = key.removeprefix(OWN).split(".")
        return _taken(view.attributes, rows), lambda text: _walked(text, steps)
    values, meaning = _COLUMNS[key](view)
    return (_taken(values, rows) if isinstance(values, list) else _listed(values, rows)), meaning


def _listed(values: NDArray[Any], rows: Rows | None) -> list[Any]:
    found: list[Any] = (values if rows is None else values[rows]).tolist()
    return found


def _same(value: Any) -> Any:
    return value


def _text(value: str) -> str | None:
    return value or None


_COLUMNS: Mapping[str, Callable[[CatalogView], tuple[Any, Callable[[Any], Any]]]] = {
    "key": lambda view: (view.keys, _same),
    "title": lambda view: (view.titles, _text),
    "category": lambda view: (view.categories, _text),
    "categories": lambda view: (view.shelves, list),
    "brand": lambda view: (view.brands, _text),
    "price_minor": lambda view: (view.price_minor, lambda price: None if price < 0 else price),
    "available": lambda view: (view.available, _same),
    "created_at": lambda view: (view.created_s, _same),
}


def _walked(text: str, steps: Sequence[str]) -> Any:
    value: Any = orjson.loads(text) if text else None
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _sold(text: str, region: str) -> bool:
    # most products say nothing of it: a look at the text is a tenth of reading it
    if f'"{REGIONS}"' not in text and f'"{PRICES}"' not in text:
        return True
    told = orjson.loads(text)
    regions, prices = told.get(REGIONS), told.get(PRICES)
    sold = not isinstance(regions, list) or region in regions
    return sold and (not isinstance(prices, dict) or prices.get(region) is not None)
