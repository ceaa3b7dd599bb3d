"""What the pages of products and results show, put together from tables and models."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from django.conf import settings

from personalization.catalog import serve as catalogue
from personalization.catalog.selectors import category_titles
from personalization.lib import money
from personalization.lib.charts import Scale, Series, line_chart, square_chart
from recommender import live, names, performance, reasons
from recommender.live import Live
from recommender.performance import Coverage, Performance, Rates, Share

_NEAR = 10
NOTHING = "—"


def cell(metrics: Mapping[str, Any], name: str) -> str:
    """Return a figure of a version's metrics, with its interval where it has one."""
    value = metrics.get(name)
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    held = metrics.get("intervals", {}).get(name)
    return f"{value:.4f}" + (f" ({held[0]:.4f} to {held[1]:.4f})" if held else "")


def item_page(key: str, *, days: int, now: datetime) -> dict[str, Any]:
    """Return the context of a product's page: what each live model puts near it, where it shows."""
    view = catalogue.view()
    at = view.index.get(key)
    lists = performance.shown_at(key, days, now=now)
    return {
        "key": key,
        "known": at is not None,
        "product": reasons.title_of(key, view),
        "brand": view.brands[at] if at is not None else "",
        "available": view.is_available(key),
        "near": [_near(one, key) for one in sorted(live.models().values(), key=lambda m: m.name)],
        "lists": [(name, placement, rated(rates)) for name, placement, rates in lists],
        "total": rated(sum((rates for *_, rates in lists), Rates())),
        "window": performance.window(days, now=now),
        "windows": performance.WINDOWS,
    }


def _near(model: Live, key: str) -> dict[str, Any]:
    """Return what a model says of a product alone: its neighbours with scores, or why none."""
    view = catalogue.view()
    told: dict[str, Any] = {"name": model.name, "number": model.number, "rows": [], "why_none": ""}
    row = model.index.get(key)
    if row is None:
        return told | {"why_none": "it was not met in the log when this model was trained"}
    query = model.model.fold_in(np.array([row]), np.ones(1, np.float32))
    found = model.model.recommend(query, _NEAR)
    causes = model.model.reasons(query, found.rows)
    if not len(found.rows) or not (causes == row).any():
        return told | {"why_none": "this model does not go by products on the page"}
    top = float(found.scores[0])
    told["rows"] = [
        {
            "key": model.keys[near],
            "title": reasons.title_of(model.keys[near], view),
            "share": f"{score / top:.0%}",
            "why": reasons.reason(model.name, reasons.title_of(key, view)),
            "available": view.is_available(model.keys[near]),
        }
        for near, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True)
    ]
    return told


def performance_page(found: Performance) -> dict[str, Any]:
    """Return the context of the results page."""
    rate = [None if one.ctr is None else 100 * one.ctr for _, one in found.days]
    first, last = str(found.window.first), str(found.window.last)
    highest = max((one for one in rate if one is not None), default=0.0)
    return {
        "window": found.window,
        "windows": performance.WINDOWS,
        "attribution_days": settings.OUTCOME_WINDOW_DAYS,
        "total": rated(found.total),
        "strategies": [(name, rated(rates)) for name, rates in found.strategies],
        "sources": [
            (name, names.named(source), rated(rates)) for name, source, rates in found.sources
        ],
        "positions": [(place + 1, rated(rates)) for place, rates in found.positions],
        "chart": line_chart(
            [Series("click rate", rate)],
            across=(first, last),
            summary=f"Click rate by day from {first} to {last}, highest {highest:.2f} %",
            scale=Scale(unit=" %"),
        ),
        "days": [(day, rated(rates)) for day, rates in found.days][::-1],
    }


def coverage_page(found: Coverage) -> dict[str, Any]:
    """Return the context of the coverage page."""
    tail = NOTHING if found.tail_share is None else f"{100 * found.tail_share:.1f} %"
    titles = category_titles()

    def category(key: str) -> str:
        return titles.get(key) or _named(key)

    return {
        "window": found.window,
        "windows": performance.WINDOWS,
        "products": found.products,
        "shown_products": found.shown_products,
        "share": _percent(found.shown_products, found.products),
        "shown": found.shown,
        "gini": NOTHING if found.gini is None else f"{found.gini:.3f}",
        "tail": tail,
        "chart": square_chart(
            "share of showings",
            [(part, 100 * share) for part, share in enumerate(found.curve)],
            summary=f"The nine tenths of products that are shown least have {tail} of all showings",
            scale=Scale(unit=" %"),
        ),
        "tables": [
            ("Brands", _table(found.brands, found), len(found.brands)),
            ("Categories", _table(found.categories, found, name=category), len(found.categories)),
            ("Price bands", _table(found.bands, found, name=_band), len(found.bands)),
        ],
    }


def _table(shares: Sequence[Share], found: Coverage, name: Any = None) -> list[dict[str, str]]:
    return [
        {
            "name": (name or _named)(one.name),
            "products": f"{one.products:,}",
            "covered": _percent(one.shown_products, one.products),
            "of_catalogue": _percent(one.products, found.products),
            "of_shown": _percent(one.shown, found.shown),
            "ctr": _rate(one.clicked / one.shown if one.shown else None),
        }
        for one in shares[: performance.TOP]
    ]


def _named(name: str) -> str:
    return name or "(none)"


def _band(name: str) -> str:
    if not name:
        return "no price"
    low, high = (int(one) for one in name.split("-"))
    currency = settings.SHOP_CURRENCY
    return f"{money.text(low, currency)} to {money.text(high, currency)}"


def rated(rates: Rates) -> dict[str, str]:
    """Return sums and rates for reading; an em dash where there is nothing to divide by."""
    held = rates.ctr_interval
    thousand = rates.revenue_per_thousand
    currency = settings.SHOP_CURRENCY
    return {
        "shown": f"{rates.shown:,}",
        "clicked": f"{rates.clicked:,}",
        "ctr": _rate(rates.ctr),
        "interval": "" if held is None else f"{100 * held[0]:.2f} to {100 * held[1]:.2f} %",
        "bought": f"{rates.bought:,}",
        "conversion": _rate(rates.conversion),
        "revenue": money.text(rates.revenue_minor, currency),
        "per_thousand": NOTHING if thousand is None else money.text(round(thousand), currency),
    }


def _rate(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.2f} %"


def _percent(part: int, of: int) -> str:
    return f"{100 * part / of:.1f} %" if of else NOTHING
