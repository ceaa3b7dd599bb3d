"""How much events count: the usual weights, ageing, caps and decay under the shop's settings.

Training and the fold-in of a visitor's latest actions read the same table.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings

from recommender.engine.algorithms import RECIPES
from recommender.engine.queries import KIND_WEIGHTS

# Far beyond any use; what is larger is a slip of the pen.
MOST_WEIGHT, MOST_DAYS, MOST_ITEMS, MOST_GAP_MINUTES = 1_000.0, 36_500.0, 1_000_000.0, 1_440.0
# So is what is smaller: nothing would weigh anything.
LEAST = 0.001


class _ByModel(NamedTuple):
    """A setting of MODEL=NUMBER entries: the field of a config that it fixes, and what it takes."""

    setting: str
    field: str
    check: str
    most: float
    may_be_0: bool = False
    whole: bool = False


_BY_MODEL = (
    _ByModel("RECOMMENDER_HALF_LIFE_DAYS", "half_life_days", "E002", MOST_DAYS),
    _ByModel("RECOMMENDER_CUSTOMER_ITEMS", "cap", "E005", MOST_ITEMS, whole=True),
    _ByModel("RECOMMENDER_PAIR_CAP", "pair_cap", "E006", MOST_WEIGHT),
    _ByModel("RECOMMENDER_USER_POWER", "user_power", "E007", 1.0, may_be_0=True),
)


def kind_weights() -> Mapping[str, float]:
    """Return the weight of one interaction by fact kind."""
    return _weights(tuple(settings.RECOMMENDER_KIND_WEIGHTS))


def fixed() -> Mapping[str, dict[str, float]]:
    """Return recipe name -> what of its config the shop fixes; most keep all of their own."""
    found: dict[str, dict[str, float]] = {}
    for rule in _BY_MODEL:
        for name, value in _pairs(tuple(getattr(settings, rule.setting))).items():
            found.setdefault(name, {})[rule.field] = int(value) if rule.whole else value
    return found


def visit_gap_s() -> float:
    """Return the pause (s) that ends a visit in what models learn from."""
    minutes: float = settings.RECOMMENDER_VISIT_GAP_MINUTES
    return 60.0 * minutes


def recent_decay() -> float:
    """Return what the action before a visitor's action counts, against 1 of that."""
    decay: float = settings.RECOMMENDER_RECENT_DECAY
    return decay


def faults() -> list[tuple[str, str, str]]:
    """Return (id, what is wrong, what to do) of each setting that cannot be used."""
    kinds = _ByModel("RECOMMENDER_KIND_WEIGHTS", "", "E001", MOST_WEIGHT)
    found = _entry_faults(kinds, list(KIND_WEIGHTS))
    for rule in _BY_MODEL:
        known = [name for name, recipe in RECIPES.items() if hasattr(recipe.config, rule.field)]
        found += _entry_faults(rule, known)
    if not LEAST <= settings.RECOMMENDER_VISIT_GAP_MINUTES <= MOST_GAP_MINUTES:
        words = f"RECOMMENDER_VISIT_GAP_MINUTES cannot be {settings.RECOMMENDER_VISIT_GAP_MINUTES}"
        hint = f"set it between {LEAST:g} and {MOST_GAP_MINUTES:,.0f}, a day"
        found.append(("recommender.E008", words, hint))
    if not 0 < recent_decay() <= 1:
        hint = "set it above 0 and at most 1"
        found.append(("recommender.E003", "RECOMMENDER_RECENT_DECAY is no such share", hint))
    return found


def _entry_faults(rule: _ByModel, known: list[str]) -> list[tuple[str, str, str]]:
    found, code = [], f"recommender.{rule.check}"
    least = "0, or " if rule.may_be_0 else ""
    number = f"{least}a number from {LEAST:g} to {rule.most:,.0f}"
    if rule.whole:
        number = f"a whole number from 1 to {rule.most:,.0f}"
    for entry in getattr(settings, rule.setting):
        name, _, value = (part.strip() for part in entry.partition("="))
        if name not in known:
            hint = f"use NAME=NUMBER with {', '.join(known)}"
            found.append((code, f"{rule.setting} does not know {name!r}", hint))
        elif not _takes(rule, value):
            words = f"{rule.setting} cannot use {entry!r}"
            found.append((code, words, f"write {name}=NUMBER, {number}"))
    return found


def _takes(rule: _ByModel, text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    in_range = LEAST <= value <= rule.most or (rule.may_be_0 and value == 0)
    return in_range and (not rule.whole or value.is_integer())


@lru_cache(maxsize=8)
def _weights(entries: tuple[str, ...]) -> Mapping[str, float]:
    return {**KIND_WEIGHTS, **_pairs(entries)}


@lru_cache(maxsize=8)
def _pairs(entries: tuple[str, ...]) -> Mapping[str, float]:
    parted = (entry.partition("=") for entry in entries)
    return {name.strip(): float(value) for name, _, value in parted}
