"""Recommendations from memory: models answer for the last clicks, gaps are filled.

Reads the published strategies, the live models and the catalogue; no query, no write, no exception
for what is missing. Knows nothing of consent: the caller says whether it may be personal.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from personalization.catalog import serve as catalogue
from personalization.catalog.serve import CatalogView
from personalization.ops import serve as config
from recommender import live
from recommender.engine.base import Query
from recommender.engine.queries import DECAY, KIND_WEIGHTS, MAX_RECENT
from recommender.engine.strategies import Source, StrategySpec
from recommender.live import Live

# A page or a cart names an item as strongly as an added one does.
_SEED_WEIGHT = KIND_WEIGHTS["add"]
_WORDS = {"item_knn": "Often viewed with {}", "bought_together": "Often bought with {}"}
_POPULAR = "Popular right now"
_RANGE = "From our range"
# The end of every ladder, whatever a strategy names.
_LAST = StrategySpec("popular", (Source("popularity", 1.0, ()),), "", 0, active=True)


@dataclass(frozen=True, slots=True)
class Item:
    """One recommended product, why, and which model said so ("catalog": none did)."""

    id: str
    score: float
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Items best first; `degraded` names what should have answered and could not."""

    strategy: str
    items: tuple[Item, ...]
    model_versions: dict[str, int]
    degraded: tuple[str, ...]


@dataclass(slots=True)
class _Ask:
    """One request while it is answered."""

    seeds: Mapping[str, list[tuple[str, float]]]
    bought: Mapping[str, float]
    dropped: set[str]
    count: int
    now_s: float
    catalogue: CatalogView
    items: list[Item] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    degraded: list[str] = field(default_factory=list)


def strategies() -> Mapping[str, StrategySpec]:
    """Return the published strategies by key."""
    part: Mapping[str, StrategySpec] = config.part("strategies")
    return part


def recommend(  # noqa: PLR0913 -- a visitor has this many sides
    strategy: str,
    *,
    recent: Sequence[tuple[str, str, float]] = (),
    item: str | None = None,
    cart: Sequence[str] = (),
    bought: Mapping[str, float] | None = None,
    count: int = 12,
    exclude: Collection[str] = (),
    personal: bool = True,
    now_s: float,
) -> Answer:
    """Return up to `count` products that can be bought now, best first, each once.

    Parameters
    ----------
    recent
        The visitor's latest actions, newest first: (fact kind, item, seconds since the epoch).
    item
        The item of the page. It, the cart, and what a model was asked about are never recommended.
    bought
        Item -> when last bought; not shown for as many days as the strategy says.
    personal
        False: only the page counts; `recent`, `cart` and `bought` are not looked at for scoring.
    """
    view = catalogue.view()
    ask = _Ask(
        seeds=_seeds(recent, item, cart, personal=personal),
        bought=(bought or {}) if personal else {},
        dropped={*exclude, *cart, *([item] if item else [])},
        count=max(count, 0),
        now_s=now_s,
        catalogue=view,
    )
    models = live.models()
    for spec in _ladder(strategy, ask):
        if len(ask.items) >= ask.count:
            break
        _fill(spec, models.get(spec.sources[0].algorithm), ask)
    _fill_from_catalogue(ask)
    return Answer(strategy, tuple(ask.items), ask.versions, tuple(ask.degraded))


def _seeds(
    recent: Sequence[tuple[str, str, float]],
    item: str | None,
    cart: Sequence[str],
    *,
    personal: bool,
) -> dict[str, list[tuple[str, float]]]:
    """Return seed name -> (item, weight); recent actions decay by their place in the list."""
    seeds: dict[str, list[tuple[str, float]]] = {"item": [(item, _SEED_WEIGHT)] if item else []}
    if personal:
        seeds["cart"] = [(key, _SEED_WEIGHT) for key in cart[:MAX_RECENT]]
        seeds["recent"] = [
            (key, KIND_WEIGHTS[kind] * DECAY**place)
            for place, (kind, key, _at_s) in enumerate(recent[:MAX_RECENT])
            if kind in KIND_WEIGHTS
        ]
    return seeds


def _ladder(strategy: str, ask: _Ask) -> Iterator[StrategySpec]:
    """Yield the strategy, its fallbacks, and popularity at last, each once."""
    known = strategies()
    key, seen = strategy, set()
    while key and key not in seen:
        seen.add(key)
        spec = known.get(key)
        if spec is None:
            ask.degraded.append(f"strategy_unknown:{key}")
            break
        if spec.active:
            yield spec
        key = spec.fallback
    if _LAST.key not in seen:
        yield _LAST


def _fill(spec: StrategySpec, model: Live | None, ask: _Ask) -> None:
    """Add what one rung of the ladder has to say."""
    if model is None:
        ask.degraded.append(f"model_missing:{spec.sources[0].algorithm}")
        return
    query = _query(spec, model, ask)
    if spec.sources[0].seeds and not len(query.rows):
        return
    allowed = _allowed(spec, model, ask)
    ranked = model.model.recommend(query, ask.count - len(ask.items), allowed=allowed)
    if not len(ranked.rows):
        return
    ask.versions[model.name] = model.number
    causes = model.model.reasons(query, ranked.rows)
    shown = zip(ranked.rows.tolist(), ranked.scores.tolist(), causes.tolist(), strict=True)
    for row, score, cause in shown:
        reason = _reason(spec, model, cause, ask.catalogue)
        ask.items.append(Item(model.keys[row], score, reason, spec.sources[0].algorithm))


def _query(spec: StrategySpec, model: Live, ask: _Ask) -> Query:
    pairs = [pair for seed in spec.sources[0].seeds for pair in ask.seeds.get(seed, ())]
    rows = np.array([model.index.get(key, -1) for key, _ in pairs], np.int64)
    return model.model.fold_in(rows, np.array([weight for _, weight in pairs], np.float32))


def _allowed(spec: StrategySpec, model: Live, ask: _Ask) -> NDArray[np.bool_]:
    allowed = live.sellable(model, ask.catalogue).copy()
    since_s = ask.now_s - spec.exclude_bought_days * 86_400
    dropped = [model.index.get(key, -1) for key in ask.dropped]
    dropped += [model.index.get(one.id, -1) for one in ask.items]
    dropped += [model.index.get(key, -1) for key, at_s in ask.bought.items() if at_s > since_s]
    rows = [row for row in dropped if row >= 0]
    allowed[rows] = False
    return allowed


def _reason(spec: StrategySpec, model: Live, cause: int, view: CatalogView) -> str:
    words = _WORDS.get(spec.sources[0].algorithm)
    if words is None or cause < 0:
        return _POPULAR
    key = model.keys[cause]
    at = view.index.get(key)
    return words.format(view.titles[at] if at is not None else key)


def _fill_from_catalogue(ask: _Ask) -> None:
    """Add the newest products on sale where models left gaps: a shop on its first day."""
    missing = ask.count - len(ask.items)
    if missing <= 0:
        return
    taken = ask.dropped | {one.id for one in ask.items} | ask.bought.keys()
    on_sale = np.flatnonzero(ask.catalogue.available)[::-1][: missing + len(taken)]
    keys = (ask.catalogue.keys[row] for row in on_sale.tolist())
    fresh = [key for key in keys if key not in taken][:missing]
    ask.items += [Item(key, 0.0, _RANGE, "catalog") for key in fresh]
