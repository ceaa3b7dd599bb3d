"""What a strategy says, checked: which model, asked about what, and who fills the gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personalization.lib.errors import Problem
from recommender.engine.algorithms import RECIPES

# What a model can be asked about. `item` is the page's; the others are the visitor's own.
SEEDS = ("item", "recent", "cart")
_DEFAULT_SEEDS = {"popularity": (), "item_knn": ("recent",), "bought_together": ("cart", "item")}


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """One strategy as serving reads it. `seeds`: what the model is asked about."""

    key: str
    algorithm: str
    seeds: tuple[str, ...]
    fallback: str
    exclude_bought_days: int
    active: bool


def spec_of(data: Mapping[str, Any]) -> StrategySpec:
    """Return the spec of exported data; `problems` says whether it may serve."""
    seeds = data["params"].get("seeds", _DEFAULT_SEEDS.get(data["algorithm"], ()))
    return StrategySpec(
        key=data["key"],
        algorithm=data["algorithm"],
        seeds=tuple(seeds),
        fallback=data["fallback"],
        exclude_bought_days=data["exclude_bought_days"],
        active=data["active"],
    )


def problems(rows: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Return every fault of a set of strategies: unknown names, wrong parameters, circles."""
    fallbacks = {row["key"]: row["fallback"] for row in rows}
    found: list[Problem] = []
    for row in rows:
        found += _row_problems(row, fallbacks)
    return found


def _row_problems(row: Mapping[str, Any], fallbacks: Mapping[str, str]) -> list[Problem]:
    path = f"[{row['key']}]"
    found: list[Problem] = []
    if row["algorithm"] not in RECIPES:
        found.append(Problem(f"{path}.algorithm", f"must be one of {', '.join(RECIPES)}"))
    params = row["params"]
    if not isinstance(params, Mapping) or set(params) - {"seeds"}:
        found.append(Problem(f"{path}.params", 'takes {"seeds": [...]} alone'))
    elif not _are_seeds(params.get("seeds", [])):
        found.append(Problem(f"{path}.params.seeds", f"lists some of {', '.join(SEEDS)}"))
    if row["fallback"] and row["fallback"] not in fallbacks:
        found.append(Problem(f"{path}.fallback", f"no strategy is called {row['fallback']!r}"))
    elif _circles(row["key"], fallbacks):
        found.append(Problem(f"{path}.fallback", "leads back to itself"))
    return found


def _are_seeds(seeds: object) -> bool:
    return isinstance(seeds, list | tuple) and all(seed in SEEDS for seed in seeds)


def _circles(key: str, fallbacks: Mapping[str, str]) -> bool:
    seen = {key}
    while key := fallbacks.get(key, ""):
        if key in seen:
            return True
        seen.add(key)
    return False
