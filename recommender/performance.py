"""How recommendations did, from the daily figures: rates, revenue, and what of the catalogue shows.

Reads sums alone (`recommender.outcomes` writes them); the same window for all numbers of a page.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Max, Sum

from personalization.events.models import Watermark
from recommender.models import ItemDay, ShelfDay
from recommender.outcomes import GROUP, live_generation

WINDOWS = (7, 28, 90)
# Products, brands and categories that a page lists.
TOP = 20
# 97.5th percentile of the normal distribution: two-sided 95 %.
_Z = 1.959964
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


_SHOWN = """
WITH shown AS MATERIALIZED (
    SELECT item, sum(shown)::bigint AS shown, sum(clicked)::bigint AS clicked
    FROM recommender_itemday
    WHERE generation = %(generation)s AND day BETWEEN %(first)s AND %(last)s GROUP BY item
), listed AS MATERIALIZED (
    SELECT p.brand, coalesce(p.categories ->> 0, '') AS category, p.price_minor,
           coalesce(s.shown, 0) AS shown, coalesce(s.clicked, 0) AS clicked
    FROM catalog_product p LEFT JOIN shown s ON s.item = p.key WHERE p.deleted_at IS NULL
)
"""
# The least shown first: a product's place among all, so that a share of them is a range of places.
_CURVE = f"""
{_SHOWN}
, placed AS (
    SELECT shown, row_number() OVER (ORDER BY shown) AS place, count(*) OVER () AS n FROM listed
)
SELECT ceil(100.0 * place / n)::int AS part, sum(shown), max(n), count(*) FILTER (WHERE shown > 0),
       sum((place::numeric) * shown)
FROM placed GROUP BY 1 ORDER BY 1
"""  # noqa: S608 -- constants of this module alone
_SHARES = f"""
{_SHOWN}
, edges AS (
    SELECT percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]::float8[])
           WITHIN GROUP (ORDER BY price_minor) AS cuts FROM listed
), banded AS (
    SELECT brand, category, CASE WHEN price_minor IS NULL THEN -1
           ELSE width_bucket(price_minor, cuts) END AS band, price_minor, shown, clicked
    FROM listed CROSS JOIN edges
)
SELECT grouping(brand, category, band) AS which, brand, category, band, min(price_minor),
       max(price_minor), count(*), count(*) FILTER (WHERE shown > 0), sum(shown), sum(clicked)
FROM banded GROUP BY GROUPING SETS ((brand), (category), (band))
"""  # noqa: S608 -- the same
# `grouping` sets a bit for each column that a row is not grouped by.
_BRAND, _CATEGORY, _BAND = 0b011, 0b101, 0b110
_TAIL = 90


def coverage(days: int, *, now: datetime) -> Coverage:
    """Return what of the catalogue was shown in the last days, by brand, category and price."""
    span = window(days, now=now)
    params: dict[str, Any] = {"generation": live_generation()}
    params |= {"first": span.first, "last": span.last}
    with connection.cursor() as cursor:
        cursor.execute(_CURVE, params)
        parts = cursor.fetchall()
        cursor.execute(_SHARES, params)
        rows = cursor.fetchall()
    total = int(sum(shown for _, shown, *_ in parts))
    products = int(max((n for _, _, n, *_ in parts), default=0))
    seen = int(sum(count for *_, count, _ in parts))
    weighted = float(sum(product for *_, product in parts))
    curve = _cumulated({part: int(shown) for part, shown, *_ in parts}, total)
    return Coverage(
        window=span,
        products=products,
        shown_products=seen,
        shown=total,
        gini=2 * weighted / (products * total) - (products + 1) / products if total else None,
        tail_share=curve[_TAIL] if total else None,
        curve=curve,
        brands=_shares(rows, _BRAND),
        categories=_shares(rows, _CATEGORY),
        bands=_shares(rows, _BAND),
    )


def _cumulated(parts: dict[int, int], total: int) -> tuple[float, ...]:
    if not total:
        return ()
    found, so_far = [0.0], 0
    for part in range(1, 101):
        so_far += parts.get(part, 0)
        found.append(so_far / total)
    return tuple(found)


def _shares(rows: Sequence[Any], which: int) -> tuple[Share, ...]:
    mine = [row[1:] for row in rows if row[0] == which]
    if which == _BAND:
        mine.sort(key=lambda row: (row[2] < 0, row[2]))
    found = [
        Share(_name(row, which), int(row[5]), int(row[6]), int(row[7]), int(row[8])) for row in mine
    ]
    if which == _BAND:
        return tuple(found)
    return tuple(sorted(found, key=lambda one: (-one.shown, -one.products, one.name)))


def _name(row: Sequence[Any], which: int) -> str:
    brand, category, band, cheapest, dearest = row[:5]
    if which == _BAND:
        return "" if band < 0 else f"{cheapest}-{dearest}"
    return str(brand if which == _BRAND else category)
