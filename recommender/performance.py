"""How recommendations did, from the daily figures: rates, revenue, and what of the catalogue shows.

Reads sums alone (`recommender.outcomes` writes them); the same window for all numbers of a page.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from django.db import connection
from django.db.models import Max, Sum
from numpy.typing import NDArray

from personalization.catalog import serve as catalogue
from personalization.catalog.serve import CatalogView
from personalization.events.models import Watermark
from recommender.engine import measures
from recommender.models import ItemDay, ShelfDay
from recommender.outcomes import GROUP, live_generation

WINDOWS = (7, 28, 90)
# Products, brands and categories that a page lists.
TOP = 20
# 97.5th percentile of the normal distribution: two-sided 95 %.
_Z = 1.959964
Counts = NDArray[np.int64]
_SUMS = {name: Sum(name) for name in ("shown", "clicked", "bought", "revenue_minor")}


@dataclass(frozen=True, slots=True)
class Rates:
    """Sums of a window; rates are None where there is nothing to divide by."""

    shown: int = 0
    clicked: int = 0
    bought: int = 0
    revenue_minor: int = 0

    def __add__(self, other: "Rates") -> "Rates":
        return Rates(
            self.shown + other.shown,
            self.clicked + other.clicked,
            self.bought + other.bought,
            self.revenue_minor + other.revenue_minor,
        )

    @property
    def ctr(self) -> float | None:
        """Clicks an item shown."""
        return self.clicked / self.shown if self.shown else None

    @property
    def ctr_interval(self) -> tuple[float, float] | None:
        """95 % interval of the click rate (`wilson`)."""
        return wilson(self.clicked, self.shown)

    @property
    def conversion(self) -> float | None:
        """Order lines a click; above 1 where one click led to several orders."""
        return self.bought / self.clicked if self.clicked else None

    @property
    def revenue_per_thousand(self) -> float | None:
        """Revenue in minor units of a thousand items shown."""
        return 1000 * self.revenue_minor / self.shown if self.shown else None


def wilson(hits: int, of: int) -> tuple[float, float] | None:
    """Return the 95 % score interval of a share; None of nothing.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    Lists of one visitor are no independent draws, so that the true interval is somewhat wider.
    """
    if not of:
        return None
    share = hits / of
    middle = share + _Z * _Z / (2 * of)
    spread = _Z * math.sqrt(share * (1 - share) / of + _Z * _Z / (4 * of * of))
    scale = 1 + _Z * _Z / of
    return max((middle - spread) / scale, 0.0), min((middle + spread) / scale, 1.0)


class Window(NamedTuple):
    """Days of the decision, both included; `as_of` when the newest event was folded."""

    days: int
    first: date
    last: date
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Performance:
    """What lists led to in a window: in all, by strategy, by source, by place, and by the day."""

    window: Window
    total: Rates
    strategies: tuple[tuple[str, Rates], ...]
    sources: tuple[tuple[str, str, Rates], ...]
    positions: tuple[tuple[int, Rates], ...]
    days: tuple[tuple[date, Rates], ...]


def window(days: int, *, now: datetime) -> Window:
    """Return the last `days` days, today included."""
    today = now.astimezone(UTC).date()
    as_of = Watermark.objects.filter(group=GROUP).aggregate(at=Max("updated_at"))["at"]
    return Window(days, today - timedelta(days=days - 1), today, as_of)


def performance(days: int, *, now: datetime, strategy: str = "") -> Performance:
    """Return how lists did, of one strategy or of all ("")."""
    span = window(days, now=now)
    rows = _rows(ShelfDay, span, strategy=strategy)
    cells = [
        (day, name, source, position, Rates(*sums))
        for day, name, source, position, *sums in rows.values_list(
            "day", "strategy", "source", "position"
        )
        .annotate(**_SUMS)
        .values_list("day", "strategy", "source", "position", *_SUMS)
    ]
    days_of = _summed((day, rates) for day, *_, rates in cells)
    return Performance(
        window=span,
        total=sum((rates for *_, rates in cells), Rates()),
        strategies=_loudest(_summed((name, rates) for _, name, _, _, rates in cells)),
        sources=tuple(
            (name, source, rates)
            for (name, source), rates in _loudest(
                _summed(((name, source), rates) for _, name, source, _, rates in cells)
            )
        ),
        positions=tuple(sorted(_summed((p, rates) for _, _, _, p, rates in cells).items())),
        days=tuple(
            (day, days_of.get(day, Rates()))
            for day in (span.first + timedelta(days=n) for n in range(days))
        ),
    )


def shown_at(item: str, days: int, *, now: datetime) -> list[tuple[str, str, Rates]]:
    """Return (strategy, placement, sums) of one product, most shown first."""
    rows = (
        _rows(ItemDay, window(days, now=now))
        .filter(item=item)
        .values_list("strategy", "placement")
        .annotate(**_SUMS)
        .values_list("strategy", "placement", *_SUMS)
    )
    found = [(name, placement, Rates(*sums)) for name, placement, *sums in rows]
    return sorted(found, key=lambda one: (-one[2].shown, one[0], one[1]))


def _rows(table: Any, span: Window, *, strategy: str = "") -> Any:
    mine = {"strategy": strategy} if strategy else {}
    return table.objects.filter(
        generation=live_generation(), day__gte=span.first, day__lte=span.last, **mine
    ).order_by()


def _summed(pairs: Iterable[tuple[Any, Rates]]) -> dict[Any, Rates]:
    found: dict[Any, Rates] = defaultdict(Rates)
    for key, rates in pairs:
        found[key] = found[key] + rates
    return found


def _loudest(sums: dict[Any, Rates]) -> tuple[tuple[Any, Rates], ...]:
    return tuple(sorted(sums.items(), key=lambda pair: (-pair[1].shown, pair[0])))


class Share(NamedTuple):
    """One brand, category or price band: its products, how many were shown, and how often."""

    name: str
    products: int
    shown_products: int
    shown: int
    clicked: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of the catalogue was shown in a window.

    `curve` (101 points): share of all showings that the least shown n % of products had. `gini`: 0
    all alike, near 1 one product alone. `tail_share`: what the nine tenths shown least had.
    `bands` from the cheapest fifth to the dearest, then those without a price.
    """

    window: Window
    products: int
    shown_products: int
    shown: int
    gini: float | None
    tail_share: float | None
    curve: tuple[float, ...]
    brands: tuple[Share, ...]
    categories: tuple[Share, ...]
    bands: tuple[Share, ...]


# Not grouped by the column itself: PostgreSQL would walk its index, row by row through the table.
_SHOWN = """
SELECT item || '', sum(shown)::bigint, sum(clicked)::bigint FROM recommender_itemday
WHERE generation = %s AND day BETWEEN %s AND %s GROUP BY 1
"""
_TAIL = 90
# A fifth of the priced products each.
_CUTS = (0.2, 0.4, 0.6, 0.8)


def coverage(days: int, *, now: datetime) -> Coverage:
    """Return what of the catalogue was shown in the last days, by brand, category and price.

    The catalogue: products that can be bought now, and those that were shown.
    """
    span, view = window(days, now=now), catalogue.view()
    shown, clicked = _of_products(view, span)
    listed = np.flatnonzero(view.available | (shown > 0))
    shown, clicked = shown[listed], clicked[listed]
    total = int(shown.sum())
    ordered = np.sort(shown)
    curve = _curve(ordered)
    brands, categories = (
        [names[row] for row in listed] for names in (view.brands, view.categories)
    )
    return Coverage(
        window=span,
        products=len(listed),
        shown_products=int(np.count_nonzero(shown)),
        shown=total,
        gini=measures.gini(shown) if total else None,
        tail_share=curve[_TAIL] if total else None,
        curve=curve,
        brands=_loudest_shares(_shares(*_named(brands), shown, clicked)),
        categories=_loudest_shares(_shares(*_named(categories), shown, clicked)),
        bands=_shares(*_bands(view.price_minor[listed]), shown, clicked),
    )


def _of_products(view: CatalogView, span: Window) -> tuple[Counts, Counts]:
    """Return how often each product of the view was shown and clicked."""
    shown, clicked = (np.zeros(len(view.keys), np.int64) for _ in range(2))
    with connection.cursor() as cursor:
        cursor.execute(_SHOWN, [live_generation(), span.first, span.last])
        for item, seen, hits in cursor.fetchall():
            row = view.index.get(item)
            if row is not None:
                shown[row], clicked[row] = seen, hits
    return shown, clicked


def _curve(ordered: Counts) -> tuple[float, ...]:
    """Return the share of the least shown n % of products, for n of 0 to 100; () of nothing."""
    total = ordered.sum()
    if not total:
        return ()
    so_far = np.concatenate([[0], np.cumsum(ordered)]) / total
    ends = np.arange(101) * len(ordered) // 100
    return tuple(so_far[ends].tolist())


def _named(names: Sequence[str]) -> tuple[list[str], Counts]:
    """Return the distinct names, and the place of each product's."""
    place: dict[str, int] = {}
    places = np.array([place.setdefault(name, len(place)) for name in names], np.int64)
    return list(place), places


def _bands(prices: Counts) -> tuple[list[str], Counts]:
    """Return price bands ("low-high" in minor units, "" without a price), cheapest first."""
    priced = prices[prices >= 0]
    cuts = np.unique(np.quantile(priced, _CUTS, method="lower")) if len(priced) else priced
    places = np.where(prices >= 0, np.searchsorted(cuts, prices, side="left"), len(cuts) + 1)
    used, places = np.unique(places, return_inverse=True)
    names = []
    for place, code in enumerate(used.tolist()):
        mine = prices[places == place]
        names.append("" if code > len(cuts) else f"{mine.min()}-{mine.max()}")
    return names, places


def _shares(
    names: Sequence[str], places: Counts, shown: Counts, clicked: Counts
) -> tuple[Share, ...]:
    sums = [
        np.bincount(places, weights, minlength=len(names)).astype(np.int64).tolist()
        for weights in (np.ones(len(places)), shown > 0, shown, clicked)
    ]
    return tuple(Share(*row) for row in zip(names, *sums, strict=True))


def _loudest_shares(shares: Sequence[Share]) -> tuple[Share, ...]:
    return tuple(sorted(shares, key=lambda one: (-one.shown, -one.products, one.name)))
