"""Recommendations from memory: candidates of several models, the shop's rules, a reason for each.

Reads the published strategies, the live models and the catalogue; no query, no write, no exception
for what is missing. Knows nothing of consent: the caller says whether it may be personal.
Order of steps: exclusions and filters, candidates and their blend, boosts, caps and quotas and
diversity, pins, chance (docs/decisions/0020).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from personalization.catalog import serve as catalogue
from personalization.ops import serve as config
from recommender import masks
from recommender.candidates import POPULAR, Gathering
from recommender.engine.rulemasks import Mask, ProductRule
from recommender.engine.strategies import StrategySpec
from recommender.pool import Asked
from recommender.productrules import rule_faults
from recommender.reasons import reasons, title_of
from recommender.shelves import Filled, fill, losers
from recommender.visits import Visit, country_of, known_fields, shown_lately

__all__ = [
    "Answer",
    "Explored",
    "Item",
    "Lost",
    "ProductRule",
    "Visit",
    "country_of",
    "filters",
    "known_fields",
    "permitted",
    "recommend",
    "rule_faults",
    "shown_lately",
    "strategies",
]

# The end of every ladder, whatever a strategy names.
_LAST = StrategySpec("popular", (POPULAR,), "", 0, active=True)
# With caps, quotas or diversity a shelf wants to choose among so many times its places.
_CHOICE = 4
# Explanations show so many that came too late in the ranking, and that rules took away.
RUNNERS_UP = 20
_FILTERED = 50


@dataclass(frozen=True, slots=True)
class Item:
    """One recommended product, why, and which source said so ("catalog": no model did)."""

    id: str
    score: float
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Explored(Item):
    """A product that chance put there, and how probable that was."""

    propensity: float


@dataclass(frozen=True, slots=True)
class Lost:
    """A product that was looked at and is not shown, and why (docs/api.md lists the reasons)."""

    id: str
    score: float | None
    source: str
    lost: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Items best first; `degraded` names what should have answered and could not.

    `lost` is empty unless an explanation was asked for. `reranked`: name and version of the blends
    whose re-ranker ordered any tier that is shown. `kept`: shown items that chance could have
    replaced and did not, with the probability of that.
    """

    strategy: str
    items: tuple[Item, ...]
    model_versions: dict[str, int]
    degraded: tuple[str, ...]
    lost: tuple[Lost, ...] = ()
    reranked: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, float] = field(default_factory=dict)


def strategies() -> Mapping[str, StrategySpec]:
    """Return the published strategies by key."""
    part: Mapping[str, StrategySpec] = config.part("strategies")
    return part


def recommend(strategy: str | StrategySpec, visit: Visit, *, explain: bool = False) -> Answer:
    """Return up to `visit.count` products that can be bought now, best first, each once.

    Nothing that is excluded, filtered, sold out or not sold in the visitor's country is shown, not
    even as a pin. Where the visit may not be personal only its page counts.

    Parameters
    ----------
    strategy
        The key of a published strategy, or one that is not published (for previews).
    """
    view = catalogue.view()
    degraded: list[str] = []
    chain = _chain(strategy, degraded)
    spec = chain[0]
    visit = visit if visit.personal else visit.impersonal()
    if visit.count <= 0:
        return Answer(_key(strategy), (), {}, tuple(degraded))
    found = Gathering(visit, spec, view)
    choosy = spec.rules.caps or spec.rules.diversity or spec.rules.quotas or spec.rules.bury
    # without a choice among more the order is that of the tiers: more candidates change no place
    need = visit.count * _CHOICE if choosy else visit.count + (RUNNERS_UP if explain else 0)
    need += len(found.above)
    found.gather(found.rungs(chain), need=need)
    filled = fill(found)
    items = _items(found, filled)
    tier_of = found.pool.tiers.tolist()
    tiers = {tier_of[one] for one in filled.order if one < len(tier_of)}
    reranked = {one.name: one.number for at, one in found.pool.reranked.items() if at in tiers}
    return Answer(
        strategy=_key(strategy),
        items=items,
        model_versions=_versions(found, tier_of, tiers) | reranked,
        degraded=(*degraded, *found.degraded),
        lost=_lost(found, filled) if explain else (),
        reranked=reranked,
        kept={view.keys[filled.rows[one]]: round(p, 6) for one, p in filled.kept.items()},
    )


def filters(strategy: str, visit: Visit) -> bool:
    """Whether anybody asked that some products are not shown."""
    spec = strategies().get(strategy)
    return visit.rule is not None or (spec is not None and spec.rules.filter is not None)


def permitted(strategy: str, visit: Visit, keys: Sequence[str]) -> set[str]:
    """Return which products this strategy may show for the visit."""
    view = catalogue.view()
    spec = strategies().get(strategy, _LAST)
    visit = visit if visit.personal else visit.impersonal()
    found = Gathering(visit, spec, view)
    given = keys if visit.given is None else set(visit.given) & set(keys)
    return {view.keys[row] for row in found.may(sorted(given))}


def _key(strategy: str | StrategySpec) -> str:
    return strategy if isinstance(strategy, str) else strategy.key


def _chain(strategy: str | StrategySpec, degraded: list[str]) -> list[StrategySpec]:
    """Return the strategy and its fallbacks, each once; inactive ones are passed over."""
    known = strategies()
    spec = known.get(strategy) if isinstance(strategy, str) else strategy
    if spec is None:
        degraded.append(f"strategy_unknown:{strategy}")
        return [known.get(_LAST.key, _LAST)]
    chain, seen = [], set[str]()
    while spec is not None and spec.key not in seen:
        seen.add(spec.key)
        if spec.active:
            chain.append(spec)
        following = spec.fallback
        spec = known.get(following)
        if spec is None and following:
            degraded.append(f"strategy_unknown:{following}")
    return chain or [_LAST]


def _items(found: Gathering, filled: Filled) -> tuple[Item, ...]:
    pool, view = found.pool, found.view
    origins, rows, scores = pool.origins.tolist(), filled.rows.tolist(), filled.scores.tolist()
    causes = _causes(found, filled)
    told: list[tuple[str, str | None]] = []
    for one in filled.order:
        if one in filled.explored:
            told.append(("exploration", None))
        elif one in filled.pinned:
            told.append(("pin", None))
        else:
            asked = pool.asked[origins[one]]
            told.append((asked.source, asked.title or causes.get(one)))
    items: list[Item] = []
    for one, (source, _), words in zip(filled.order, told, reasons(told), strict=True):
        key, drawn = view.keys[rows[one]], filled.explored.get(one)
        if drawn is None:
            items.append(Item(key, round(scores[one], 6), words, source))
        else:
            items.append(Explored(key, 0.0, words, source, round(drawn.propensity, 6)))
    return tuple(items)


def _causes(found: Gathering, filled: Filled) -> dict[int, str]:
    """Return the title of what spoke most for each shown candidate, where a model can say so."""
    pool, view = found.pool, found.view
    shown: dict[int, list[int]] = {}
    for one in filled.order:
        if one < len(pool.rows):
            shown.setdefault(int(pool.origins[one]), []).append(one)
    causes = {}
    for origin, places in shown.items():
        asked = pool.asked[origin]
        if asked.model is None or asked.query is None or not len(asked.query.rows):
            continue
        keys = [view.keys[row] for row in pool.rows[places].tolist()]
        rows = np.array([asked.model.index[key] for key in keys], np.int32)
        for place, cause in zip(places, asked.model.model.reasons(asked.query, rows), strict=True):
            if cause >= 0:
                causes[place] = title_of(asked.model.keys[cause], view)
    return causes


def _versions(found: Gathering, tier_of: Sequence[int], tiers: set[int]) -> dict[str, int]:
    """Return the versions of the models that were asked for any of these tiers."""
    pool = found.pool
    pairs = zip(tier_of, pool.origins.tolist(), strict=True)
    spoke = {origin for tier, origin in pairs if tier in tiers}
    return {
        asked.model.name: asked.model.number
        for place, asked in enumerate(pool.asked)
        if place in spoke and asked.model is not None
    }


def _lost(found: Gathering, filled: Filled) -> tuple[Lost, ...]:
    """Return what was looked at and is not shown: by the ranking, by rules, by the request."""
    lost, told = [], {found.view.keys[filled.rows[one]] for one in filled.order}
    for one, why in losers(found, filled, RUNNERS_UP):
        key, asked = found.view.keys[filled.rows[one]], found.pool.asked[found.pool.origins[one]]
        told.add(key)
        lost.append(Lost(key, round(float(filled.scores[one]), 6), asked.source, why))
    for key, asked, score in _taken_away(found):
        if key not in told:
            told.add(key)
            lost.append(Lost(key, score, asked.source, _why_not(found, key)))
    named = [*found.dropped, *(pin.item for pin in found.spec.rules.pins)]
    lost += [Lost(key, None, "", _why_not(found, key)) for key in named if key not in told]
    return tuple(lost)


def _taken_away(found: Gathering) -> list[tuple[str, Asked, float]]:
    """Return the best that the strategy's own sources would say without rules and exclusions."""
    if found.visit.given is not None:
        plain = Asked("search")
        return [(key, plain, 0.0) for key in found.visit.given][: 10 * _FILTERED]
    away = []
    for source in found.spec.sources:
        said = found.ask(source, found.visit.count + _FILTERED, bare=True)
        if said is None:
            continue
        asked, ranked = said
        away += [
            (found.view.keys[row], asked, round(float(score), 6))
            for row, score in zip(ranked.rows.tolist(), ranked.scores.tolist(), strict=True)
            if row >= 0 and not (found.allowed[row] and found.holds(np.array([row]))[0])
        ]
    return away[:_FILTERED]


def _why_not(found: Gathering, key: str) -> str:
    """Return the first thing that keeps a product from this shelf."""
    row = found.view.index.get(key)
    if key in found.dropped:
        return found.dropped[key]
    if row is None:
        return "unknown"
    own, view = found.spec.rules.filter, found.view
    checks: Sequence[tuple[str, Mask | None]] = (
        ("out_of_stock", view.available),
        ("not_in_region", masks.region_mask(view, found.request.region)),
        ("filtered", None if own is None else found.where(own)),
    )
    held = (why for why, mask in checks if mask is not None and not mask[row])
    asked = bool(found.holds(np.array([row]))[0])
    return next(held, "no_room" if asked else "not_asked")
