"""Reads of strategies as the tables have them, for those who are about to write or to publish."""

from collections.abc import Mapping
from typing import Any

from personalization.access.audit import state
from personalization.catalog.selectors import products
from recommender.models import Strategy
from segments.engine.language import digest

# What a strategy says, beside its key and title: all of it is published.
SETTINGS = (
    "use",
    "sources",
    "weights",
    "algorithm",
    "params",
    "rules",
    "fallback",
    "exclude_bought_days",
    "active",
)


def strategy_rows() -> list[dict[str, Any]]:
    """Return key and settings of all strategies, by key."""
    return list(Strategy.objects.order_by("key").values("key", *SETTINGS))


def strategy_keys() -> frozenset[str]:
    """Return the keys of all strategies, inactive ones included."""
    return frozenset(Strategy.objects.values_list("key", flat=True))


def strategy_titles() -> list[tuple[str, str]]:
    """Return (key, title) of all strategies by title, inactive ones last and marked."""
    rows = Strategy.objects.order_by("-active", "title").values_list("key", "title", "active")
    return [(key, title if active else f"{title} (not active)") for key, title, active in rows]


def mark_of(row: Strategy | None) -> str:
    """Return what tells one state of a strategy from another; `none` where there is none."""
    return "none" if row is None or row.pk is None else digest(state(row), 16)


def unknown_products(rules: Mapping[str, Any]) -> list[str]:
    """Return what is pinned or picked by hand and not in the catalogue (yet), each once."""
    pinned = (one["item"] for one in rules.get("pins") or ())
    named = list(dict.fromkeys([*pinned, *(rules.get("editorial") or ())]))
    known = set(products().filter(key__in=named).values_list("key", flat=True)) if named else set()
    return [key for key in named if key not in known]
