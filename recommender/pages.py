"""What the pages of models, products and results show, put together from tables and models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from django.conf import settings

from personalization.catalog import serve as catalogue
from personalization.lib import money
from recommender import live, performance, reasons
from recommender.engine import rerank, secondlook
from recommender.engine.algorithms import RECIPES
from recommender.engine.gate import LEAST_QUALITY_OF_LIVE
from recommender.engine.training import BLENDS
from recommender.live import Live
from recommender.models import FoundSettings, ModelVersion
from recommender.performance import Coverage, Performance, Rates, Share
from segments.learning.engine import pictures

# Versions that the course of a model shows.
_LATEST = 40
_FIGURES = ("Recall@20", "NDCG@20", "HR@20", "MRR@20", "MAP@20", "coverage@20", "Gini@20", "users")
_NEAR = 10
_QUALITY = "NDCG@20"
NOTHING = "—"


@dataclass(frozen=True, slots=True)
class Column:
    """One version's figures beside the others': its title and a cell for each of the rows."""

    title: str
    cells: tuple[str, ...]


def model_page(version: ModelVersion) -> dict[str, Any]:
    """Return the context of a model's page: figures side by side, its course, its origin."""
    facts = version.manifest["facts"]
    others = list(
        ModelVersion.objects.filter(algorithm=version.algorithm).order_by("-number")[:_LATEST]
    )[::-1]
    serving = next((one for one in others if one.status == ModelVersion.Status.LIVE), None)
    return {
        "columns": _columns(version, serving),
        "names": _FIGURES,
        "protocol": version.metrics.get("protocol", ""),
        "course": _course(others),
        "data": _data(facts),
        "config": sorted(_plain(facts.get("config", {})).items()),
        "settings": _settings(version),
        "libraries": sorted(facts.get("libraries", {}).items()),
        "arrays": [
            (name, one["dtype"], one["shape"], one["bytes"], one["sha256"])
            for name, one in sorted(version.manifest["arrays"].items())
        ],
        "sources": _sources(version),
        "reranker": _reranker(version),
        "base": facts.get("base"),
        "can_roll_back": version.status == ModelVersion.Status.LIVE,
    }


def _columns(version: ModelVersion, serving: ModelVersion | None) -> list[Column]:
    found = [
        ("this version", version.metrics),
        ("popularity, same questions", version.metrics.get("popularity", {})),
    ]
    if version.metrics.get("without_reranker"):
        alone = version.metrics["without_reranker"]
        found.append(("the blend alone, without its re-ranker", alone))
    if version.metrics.get("discovery"):
        found.append(("this, new products alone", version.metrics["discovery"]))
    if serving is not None and serving.pk != version.pk:
        found.append((f"live: v{serving.number}, its own days", serving.metrics))
    return [Column(title, tuple(_cell(told, name) for name in _FIGURES)) for title, told in found]


def _cell(metrics: Mapping[str, Any], name: str) -> str:
    value = metrics.get(name)
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    held = metrics.get("intervals", {}).get(name)
    return f"{value:.4f}" + (f" ({held[0]:.4f} to {held[1]:.4f})" if held else "")


def _course(versions: Sequence[ModelVersion]) -> dict[str, Any] | None:
    """Return the course of quality over versions, beside popularity's; None for fewer than two."""
    measured = [one for one in versions if one.metrics.get(_QUALITY) is not None]
    if len(measured) < 2:  # noqa: PLR2004 -- a line has two ends
        return None
    mine = [float(one.metrics[_QUALITY]) for one in measured]
    floor = [float(one.metrics.get("popularity", {}).get(_QUALITY) or 0.0) for one in measured]
    lines = {"model": mine, "popularity": floor} if any(floor) else {"model": mine}
    size = [float(one.manifest["facts"]["interactions"]) for one in measured]
    return {
        "lines": pictures.trends(lines, {"popularity": "c1"}),
        "sizes": pictures.trends({"interactions": size}, {"interactions": "c2"}),
        "width": pictures.TREND_WIDTH,
        "height": pictures.TREND_HEIGHT,
        "fell": mine[-1] < LEAST_QUALITY_OF_LIVE * max(mine),
        "rows": [
            (one, f"{quality:.4f}", f"{low:.4f}" if low else NOTHING, f"{int(count):,}")
            for one, quality, low, count in zip(measured, mine, floor, size, strict=True)
        ][::-1],
        "summary": f"{_QUALITY} from {mine[0]:.4f} (v{measured[0].number})"
        f" to {mine[-1]:.4f} (v{measured[-1].number})"
        + (f"; popularity {floor[-1]:.4f}" if any(floor) else ""),
    }


def _sources(version: ModelVersion) -> list[dict[str, str]]:
    """Return what a blend is made of, beside what each source reaches alone."""
    told = version.manifest["facts"].get("blend", {})
    weights: dict[str, float] = dict(told.get("sources", ()))
    alone = version.metrics.get("sources", {})
    names = sorted({*weights, *alone}, key=lambda name: (-weights.get(name, 0.0), name))
    return [
        {
            "name": name,
            "weight": f"{weights[name]:.2f}" if name in weights else NOTHING,
            "quality": _cell(alone.get(name, {}), _QUALITY),
        }
        for name in names
    ]


def _reranker(version: ModelVersion) -> str:
    """Return whether a blend's first candidates are put in order once more, in words."""
    if version.algorithm not in BLENDS:
        return ""
    told = version.manifest["facts"].get("reranker")
    if told is None:
        return "None: this version was trained before blends had one."
    if "left_out" in told:
        return f"None: {told['left_out']}. The blend's own order serves."
    if not secondlook.is_readable(told):
        return "Not in use: another release made it. The blend's own order serves."
    return (
        f"In use: {told['trees']} trees put the first {rerank.DEPTH} candidates in order, by"
        f" {', '.join(told['features'])}."
    )


def _data(facts: Mapping[str, Any]) -> dict[str, str]:
    share = facts.get("top_share")
    return {
        "Interactions": f"{facts['interactions']:,}",
        "Customers": f"{facts.get('users', 0):,}",
        "Products": f"{facts['items']:,}",
        "Window": f"{_moment(facts.get('from_s'))} to {_moment(facts.get('until_s'))}",
        "Newest interaction": _moment(facts.get("newest_s")),
        "Loudest product": NOTHING if share is None else f"{100 * share:.1f} % of all weight",
    }


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if not isinstance(value, dict | list)}


def _settings(version: ModelVersion) -> dict[str, Any] | None:
    """Return which settings differ from the model's own, and what a search found; None: nothing."""
    if version.algorithm not in RECIPES:
        return None
    own = RECIPES[version.algorithm].config.to_json()
    mine = _plain(version.manifest["facts"].get("config", {}))
    found = FoundSettings.objects.filter(algorithm=version.algorithm).first()
    later = found.settings if found else {}
    rows = [
        (name, _short(value), _short(own.get(name)), _short(later.get(name, own.get(name))))
        for name, value in sorted(mine.items())
        if value != own.get(name) or name in later
    ]
    if not rows and found is None:
        return None
    return {"rows": rows, "found": found, "gain": _gain(found.told) if found else ""}


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _gain(told: Mapping[str, Any]) -> str:
    """Return what found settings gained, in words."""
    if "gain" not in told:
        return ""
    low, high = told["interval"]
    return (
        f"{_QUALITY} {told[_QUALITY]:.4f} against {told['default']:.4f} with its own settings:"
        f" {told['gain']:+.4f} ({low:+.4f} to {high:+.4f}) on {told['questions']:,} questions that"
        f" they were not chosen on, the best of {told['trials']:,} tried"
    )


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
    days = [rates for _, rates in found.days]
    rate = [100 * (one.ctr or 0.0) for one in days]
    return {
        "window": found.window,
        "windows": performance.WINDOWS,
        "attribution_days": settings.OUTCOME_WINDOW_DAYS,
        "total": rated(found.total),
        "strategies": [(name, rated(rates)) for name, rates in found.strategies],
        "sources": [(name, source, rated(rates)) for name, source, rates in found.sources],
        "positions": [(place + 1, rated(rates)) for place, rates in found.positions],
        "line": pictures.trends({"click rate": rate}, {}),
        "width": pictures.TREND_WIDTH,
        "height": pictures.TREND_HEIGHT,
        "days": [(day, rated(rates)) for day, rates in found.days][::-1],
        "summary": f"click rate by day, highest {max(rate, default=0.0):.2f} %",
    }


def coverage_page(found: Coverage) -> dict[str, Any]:
    """Return the context of the coverage page."""
    side = pictures.CURVE_SIDE
    points = [
        (round(part * side / 100, 1), round(side * (1 - share), 1))
        for part, share in enumerate(found.curve)
    ]
    return {
        "window": found.window,
        "windows": performance.WINDOWS,
        "products": found.products,
        "shown_products": found.shown_products,
        "share": _percent(found.shown_products, found.products),
        "shown": found.shown,
        "gini": NOTHING if found.gini is None else f"{found.gini:.3f}",
        "tail": NOTHING if found.tail_share is None else f"{100 * found.tail_share:.1f} %",
        "curve": "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else "",
        "side": side,
        "tables": [
            ("Brands", _table(found.brands, found), len(found.brands)),
            ("Categories", _table(found.categories, found), len(found.categories)),
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


def _moment(at_s: float | None) -> str:
    if at_s is None:
        return NOTHING
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
