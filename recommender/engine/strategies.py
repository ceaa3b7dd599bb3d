"""What a strategy says, checked: which models, asked about what, by which rules, who fills gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from personalization.lib.errors import Problem
from personalization.lib.storable import shown
from recommender.engine import merchandising
from recommender.engine.algorithms import RECIPES
from recommender.engine.merchandising import Judge, Merchandising
from segments.engine.values import is_number

# Where a strategy is used; it decides what a preview asks for, and search orders what it is given.
USES = ("home", "product", "cart", "category", "search", "post_purchase", "email")
SEARCH = "search"
# What a model can be asked about. `item` is the page's; the others are the visitor's own.
SEEDS = ("item", "recent", "cart")
# What a model is asked about where a strategy does not say; others: ("recent",).
_DEFAULT_SEEDS: Mapping[str, tuple[str, ...]] = {
    "bought_together": ("cart", "item"),
    "also_viewed": ("item", "recent"),
    "content": ("item", "recent"),
    "popular_in_category": ("item", "recent"),
}
# Popularity with the visitor's segment or country.
IN_GROUP = "popular_in_group"
# What is due to be bought again: asked about purchases alone, whatever a strategy says.
AGAIN = "buy_again"
MOST_SOURCES = 8
# What a form and the API take; what was stored before the bound serves all the same.
LEAST_WEIGHT, MOST_WEIGHT = 0.01, 100.0
# Scores are float32: of a source that weighs less nothing is left but nan.
_LEAST_SERVED = 1e-6
LEARNED = "learned"
# Use -> the blend that training learns on such questions (engine.training.BLENDS).
BLEND_OF: Mapping[str, str] = {
    "home": "blend_home",
    "email": "blend_home",
    "product": "blend_product",
    "cart": "blend_cart",
    "post_purchase": "blend_cart",
    "category": "blend_session",
    "search": "blend_session",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One model asked about `seeds`; its scores, at most 1, count `weight` times."""

    algorithm: str
    weight: float
    seeds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """One strategy as serving reads it. `learned`: weights come from training where it has any."""

    key: str
    sources: tuple[Source, ...]
    fallback: str
    exclude_bought_days: int
    active: bool
    use: str = "home"
    learned: bool = False
    rules: Merchandising = field(default_factory=Merchandising)


def is_popular(algorithm: str) -> bool:
    """Whether a model says the same to everybody, so that it is asked about nothing."""
    return algorithm in ("popularity", "trending", IN_GROUP)


def default_seeds(algorithm: str) -> tuple[str, ...]:
    """Return what a model is asked about where nobody says."""
    return () if is_popular(algorithm) else _DEFAULT_SEEDS.get(algorithm, ("recent",))


def spec_of(data: Mapping[str, Any]) -> StrategySpec:
    """Return the spec of exported data; `problems` says whether it may serve.

    Data of versions before strategies had several sources names one `algorithm` alone.
    """
    given = data.get("sources") or [{"algorithm": data["algorithm"], **data["params"]}]
    return StrategySpec(
        key=data["key"],
        sources=tuple(
            Source(
                one["algorithm"],
                max(float(one.get("weight", 1.0)), _LEAST_SERVED),
                tuple(one.get("seeds", default_seeds(one["algorithm"]))),
            )
            for one in given
        ),
        fallback=data["fallback"],
        exclude_bought_days=data["exclude_bought_days"],
        active=data["active"],
        use=data.get("use", "home"),
        learned=data.get("weights") == LEARNED,
        rules=merchandising.parse(data.get("rules", {})),
    )


def problems(rows: Sequence[Mapping[str, Any]], judge: Judge) -> list[Problem]:
    """Return every fault of a set of strategies: unknown names, wrong parameters, circles."""
    fallbacks = {row["key"]: row["fallback"] for row in rows}
    found: list[Problem] = []
    for row in rows:
        found += _row_problems(row, fallbacks, judge)
    return found


def _row_problems(
    row: Mapping[str, Any], fallbacks: Mapping[str, str], judge: Judge
) -> list[Problem]:
    path = f"[{row['key']}]"
    found: list[Problem] = []
    if not _is_model(row["algorithm"]):
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
    if row.get("use", "home") not in USES:
        found.append(Problem(f"{path}.use", f"must be one of {', '.join(USES)}"))
    if row.get("weights", "") not in ("", LEARNED):
        found.append(Problem(f"{path}.weights", f'is "" or "{LEARNED}"'))
    found += source_problems(row.get("sources") or [], f"{path}.sources", least=0)
    for one in merchandising.faults(row.get("rules", {}), judge):
        found.append(Problem(f"{path}.rules.{one.path}".rstrip("."), one.problem))
    return found


def source_problems(
    sources: Any, path: str = "sources", *, least: float = LEAST_WEIGHT
) -> list[Problem]:
    """Return every fault of the models of a strategy; weights are above 0 and at least `least`."""
    if not isinstance(sources, list | tuple) or len(sources) > MOST_SOURCES:
        return [Problem(path, f"is a list of at most {MOST_SOURCES}")]
    found: list[Problem] = []
    for place, one in enumerate(sources):
        here = f"{path}[{place}]"
        if not isinstance(one, Mapping):
            found.append(Problem(here, "is an object with algorithm, weight and seeds"))
            continue
        found += [
            Problem(f"{here}.{shown(name)}", "is not known; use algorithm, weight, seeds")
            for name in sorted(set(one) - {"algorithm", "weight", "seeds"})
        ]
        if not _is_model(one.get("algorithm")):
            found.append(Problem(f"{here}.algorithm", f"must be one of {', '.join(RECIPES)}"))
        weight = one.get("weight", 1)
        if not is_number(weight) or weight <= 0 or not least <= weight <= MOST_WEIGHT:
            words = f"is a number from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}"
            found.append(Problem(f"{here}.weight", words))
        if not _are_seeds(one.get("seeds", [])):
            found.append(Problem(f"{here}.seeds", f"lists some of {', '.join(SEEDS)}"))
    return found


def _is_model(name: object) -> bool:
    return isinstance(name, str) and name in RECIPES


def _are_seeds(seeds: object) -> bool:
    return isinstance(seeds, list | tuple) and all(seed in SEEDS for seed in seeds)


def _circles(key: str, fallbacks: Mapping[str, str]) -> bool:
    seen = {key}
    while key := fallbacks.get(key, ""):
        if key in seen:
            return True
        seen.add(key)
    return False
