"""Which products may be shown, as one mask of the catalogue, kept until something changes.

The hot path reads masks in place; what one visitor must not be shown is struck out of the answer.
Where products changed, only they are judged again; rules by the clock are judged anew each minute.
A rule that a request brings costs what its candidates cost: anybody may send one, so the catalogue
is not judged by it, and nothing is kept.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from personalization.catalog import serve as catalogue
from personalization.catalog.serve import CatalogView
from personalization.lib import clock
from personalization.ops import serve as config
from recommender import columns, regions
from recommender.columns import CODED, COLUMNS, Places, Rows, coded, codes, column
from recommender.engine import rulemasks
from recommender.engine.rulemasks import Mask, ProductRule
from recommender.engine.strategies import StrategySpec
from recommender.live import Live, LiveBlend

# Judges the given rows of the catalogue, all of them for None.
Build = Callable[[Rows | None], Mask]

# Masks of one process together, of all kinds; 640 of 100,000 products, 64 of a million.
_MOST_BYTES = 64 * 2**20
_MINUTE_US = 60_000_000
# Rules on prices are judged ahead for so many countries that products name most; elsewhere when a
# visitor comes from there.
_MOST_COUNTRIES = 20


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
class _Made:
    """A mask made of other arrays, which it does not keep alive."""

    of: tuple["weakref.ref[NDArray[Any]]", ...]
    mask: Mask

    def is_of(self, parts: Sequence[NDArray[Any]]) -> bool:
        same = (held() is part for held, part in zip(self.of, parts, strict=False))
        return len(self.of) == len(parts) and all(same)


class _Held:
    """Masks of this process by what they mean, the latest used last."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.masks: OrderedDict[tuple[Any, ...], _Entry | _Made] = OrderedDict()
        self.rows: dict[str, tuple[Live | LiveBlend, dict[str, int], Places]] = {}

    def get(self, key: tuple[Any, ...]) -> _Entry | _Made | None:
        """Return an entry, which is now the latest used."""
        with self.lock:
            found = self.masks.get(key)
            if found is not None:
                self.masks.move_to_end(key)
            return found

    def put(self, key: tuple[Any, ...], entry: _Entry | _Made) -> None:
        """Keep an entry; drop what was not used for longest until the rest fits."""
        with self.lock:
            self.masks[key] = entry
            self.masks.move_to_end(key)
            total = sum(one.mask.nbytes for one in self.masks.values())
            while total > _MOST_BYTES and len(self.masks) > 1:
                total -= self.masks.popitem(last=False)[1].mask.nbytes

    def forget(self) -> None:
        """Drop everything."""
        with self.lock:
            for kept in (self.masks, self.rows):
                kept.clear()
        columns.forget()
        regions.forget()


_held = _Held()


def forget() -> None:
    """Drop what this process holds. For tests, whose tables change under it."""
    _held.forget()


def watch() -> None:
    """Judge what the published strategies ask of products before a request needs it."""
    view = catalogue.view()
    now_us = clock.to_us(clock.now())
    countries = ("", *regions.priced(view)[:_MOST_COUNTRIES])
    strategies: Mapping[str, StrategySpec] = config.part("strategies")
    for spec in strategies.values():
        for rule in spec.rules.rules():
            for country in countries if rule.priced else ("",):
                rule_mask(rule, view, Request({}, country, now_us))
    for name in CODED:
        codes(name, view)


def rule_mask(rule: ProductRule, view: CatalogView, request: Request) -> Mask:
    """Return for which products a rule holds, (n,) by row of the view; not to be written.

    Prices are those of the request's country.
    """
    truths, country, build = _judge(rule, view, request)
    minute = request.now_us // _MINUTE_US if rule.timed else 0
    return _kept(("rule", rule.name, truths, country), view, minute, build)


def judged(rule: ProductRule, view: CatalogView, request: Request, rows: Rows) -> Mask:
    """Return whether a rule holds for each of these rows, (len(rows),); nothing is kept."""
    return _judge(rule, view, request)[2](rows)


def possible_mask(rule: ProductRule, view: CatalogView, request: Request) -> Mask:
    """Return for which products a rule may hold, (n,): by brand and categories alone.

    One test a name, not a product: cheap enough for any rule that a request brings.
    """
    zone = ZoneInfo(settings.SHOP_TIME_ZONE)
    truths = rule.truths(request.fields, request.now_us, zone)

    def verdicts(key: str, test: Callable[[Any], bool]) -> Mask | None:
        return _of_names(key, view, test) if key in CODED else None

    return rulemasks.possible_mask(
        rule, len(view.keys), verdicts, truths=truths, now_us=request.now_us, zone=zone
    )


def _judge(
    rule: ProductRule, view: CatalogView, request: Request
) -> tuple[tuple[bool, ...], str, Build]:
    """Return what the request says to the rule, whose prices count, and what judges rows by it."""
    zone = ZoneInfo(settings.SHOP_TIME_ZONE)
    truths = rule.truths(request.fields, request.now_us, zone)
    # one mask for all countries that no product names a price for
    local = rule.priced and regions.has_prices(view, request.region)
    country = request.region if local else ""

    def build(rows: Rows | None) -> Mask:
        def verdicts(key: str, test: Callable[[Any], bool]) -> Mask:
            if rows is None and key in CODED:
                return _of_names(key, view, test)
            values, meaning = column(view, key, rows, country)
            known = _Known(lambda value: test(meaning(value)))
            return np.fromiter(map(known.__getitem__, values), np.bool_, len(values))

        return rulemasks.rule_mask(
            rule,
            _size(view, rows),
            verdicts,
            truths=truths,
            now_us=request.now_us,
            zone=zone,
        )

    return truths, country, build


class _Known(dict[Any, bool]):
    """Verdicts by value, found out when first asked: a hundred prices cost a hundred tests."""

    def __init__(self, test: Callable[[Any], bool]) -> None:
        super().__init__()
        self._test = test

    def __missing__(self, value: Any) -> bool:
        verdict = self[value] = self._test(value)
        return verdict


def _of_names(key: str, view: CatalogView, test: Callable[[Any], bool]) -> Mask:
    """Return what a test says of each product's brand or categories: one test a name."""
    places, numbers = coded(key, view)
    meaning = COLUMNS[key](view)[1]
    table = np.zeros(len(numbers) + 1, np.bool_)
    for value, number in numbers.items():
        table[number] = test(meaning(value))
    table[-1] = test(meaning(CODED[key]))
    found: Mask = table[places]
    return found


def region_mask(view: CatalogView, region: str) -> Mask:
    """Return which products are sold, and have a price, in a country; "" for anywhere."""
    if not region:
        return _kept(("region", ""), view, 0, lambda rows: np.ones(_size(view, rows), np.bool_))

    def build(rows: Rows | None) -> Mask:
        told = columns.taken(view.attributes, rows)
        return np.fromiter((regions.sold(text, region) for text in told), np.bool_, len(told))

    return _kept(("region", region), view, 0, build)


def shelf_mask(rules: Sequence[ProductRule], view: CatalogView, request: Request) -> Mask:
    """Return which products can be bought in the region and pass every rule; not to be written.

    `rules` of strategies, whose number is bounded: their masks are kept.
    """
    parts = (
        view.available,
        *([region_mask(view, request.region)] if request.region else []),
        *(rule_mask(rule, view, request) for rule in rules),
    )
    if len(parts) == 1:
        return parts[0]
    key = ("shelf", request.region, *(rule.name for rule in rules))
    return _made(key, parts, lambda: np.logical_and.reduce(parts))


def rows_of(live: Live | LiveBlend, view: CatalogView) -> Places:
    """Return the catalogue's row of each of a model's items, (n_items,), -1 for none."""
    known = _held.rows.get(live.name)
    if known is not None and known[0] is live and known[1] is view.index:
        return known[2]
    found = map(view.index.get, live.keys, [-1] * len(live.keys))
    rows = np.fromiter(found, np.int32, len(live.keys))
    _held.rows[live.name] = (live, view.index, rows)
    return rows


def model_mask(live: Live, view: CatalogView, mask: Mask, name: str) -> Mask:
    """Return a mask of the catalogue as one of the model's items, (n_items,); not to be written.

    `name` says which mask it is: of one name only the newest is kept.
    """
    rows = rows_of(live, view)
    return _made(("model", live.name, name), (mask, rows), lambda: taken(mask, rows))


def taken(mask: Mask, rows: Places) -> Mask:
    """Return a mask of the catalogue at some rows of it, False for the row -1."""
    # one False beyond the catalogue, which is where -1 points
    found: Mask = np.append(mask, np.False_)[rows]
    return found


def _made(key: tuple[Any, ...], parts: Sequence[NDArray[Any]], build: Callable[[], Mask]) -> Mask:
    """Return the mask of a key that was made of these very arrays, or make it."""
    known = _held.get(key)
    if isinstance(known, _Made) and known.is_of(parts):
        return known.mask
    mask = build()
    _held.put(key, _Made(tuple(map(weakref.ref, parts)), mask))
    return mask


def _kept(key: tuple[Any, ...], view: CatalogView, minute: int, build: Build) -> Mask:
    """Return the mask of a key for a view: as it was, with changed rows judged again, or new."""
    known = _held.get(key)
    if not isinstance(known, _Entry) or known.lineage is not view.lineage:
        known = None
    if known is not None and known.is_of(view, minute):
        return known.mask
    if known is not None and known.change > view.change:
        # a request that began before the catalogue changed: what is kept is right for the others
        return build(None)
    mask = _renewed(known, view, build) if known is not None and known.minute == minute else None
    if mask is None:
        mask = build(None)
    _held.put(key, _Entry(view.lineage, view.change, minute, mask))
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


def _size(view: CatalogView, rows: Rows | None) -> int:
    return len(view.keys) if rows is None else len(rows)
