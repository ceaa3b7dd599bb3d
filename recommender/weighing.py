"""How much events count: the usual weights, half-lives and decay under the shop's settings.

Training and the fold-in of a visitor's latest actions read the same table.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import isfinite

from django.conf import settings

from recommender.engine.algorithms import RECIPES
from recommender.engine.queries import KIND_WEIGHTS

# Far beyond any use; what is larger is a slip of the pen.
MOST_WEIGHT, MOST_DAYS = 1_000.0, 36_500.0


def kind_weights() -> Mapping[str, float]:
    """Return the weight of one interaction by fact kind."""
    return _weights(tuple(settings.RECOMMENDER_KIND_WEIGHTS))


def half_lives() -> Mapping[str, float]:
    """Return recipe name -> the half-life (days) that the shop gives it; most keep their own."""
    return _pairs(tuple(settings.RECOMMENDER_HALF_LIFE_DAYS))


def recent_decay() -> float:
    """Return what the action before a visitor's action counts, against 1 of that."""
    decay: float = settings.RECOMMENDER_RECENT_DECAY
    return decay


def faults() -> list[tuple[str, str, str]]:
    """Return (id, what is wrong, what to do) of each setting that cannot be used."""
    ageing = [name for name, recipe in RECIPES.items() if hasattr(recipe.config, "half_life_days")]
    found = [
        *_entry_faults("E001", "RECOMMENDER_KIND_WEIGHTS", list(KIND_WEIGHTS), MOST_WEIGHT),
        *_entry_faults("E002", "RECOMMENDER_HALF_LIFE_DAYS", ageing, MOST_DAYS),
    ]
    if not 0 < recent_decay() <= 1:
        hint = "set it above 0 and at most 1"
        found.append(("recommender.E003", "RECOMMENDER_RECENT_DECAY is no such share", hint))
    return found


def _entry_faults(
    number: str, setting: str, known: list[str], most: float
) -> list[tuple[str, str, str]]:
    found = []
    for entry in getattr(settings, setting):
        name, _, value = (part.strip() for part in entry.partition("="))
        if name not in known:
            hint = f"use NAME=NUMBER with {', '.join(known)}"
            found.append((f"recommender.{number}", f"{setting} does not know {name!r}", hint))
        elif not 0 < _number(value) <= most:
            hint = f"write {name}=NUMBER, above 0 and at most {most:,.0f}"
            found.append((f"recommender.{number}", f"{setting} cannot use {entry!r}", hint))
    return found


def _number(text: str) -> float:
    """Return the number, 0 where it is none."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if isfinite(value) else 0.0


@lru_cache(maxsize=8)
def _weights(entries: tuple[str, ...]) -> Mapping[str, float]:
    return {**KIND_WEIGHTS, **_pairs(entries)}


@lru_cache(maxsize=8)
def _pairs(entries: tuple[str, ...]) -> Mapping[str, float]:
    parted = (entry.partition("=") for entry in entries)
    return {name.strip(): float(value) for name, _, value in parted}
