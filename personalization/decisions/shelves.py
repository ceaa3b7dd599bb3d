"""Recommendations for one placement, and what shows when they fail or come too late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from recommender import ready
from recommender import serve as recommender
from recommender.reasons import reason

log = structlog.get_logger("decisions")


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a placement shows: items best first, the models that spoke, what was missing.

    `lost`: what was looked at and is not shown, where that was asked for. `reranked`: blends whose
    re-ranker put it in order, with their versions. `kept`: items that chance could have replaced
    and did not, with the probability of that.
    """

    strategy: str
    items: tuple[recommender.Item, ...]
    lost: tuple[recommender.Lost, ...]
    models: Mapping[str, int]
    degraded: tuple[str, ...]
    reranked: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, float] = field(default_factory=dict)


def filled(strategy: str, visit: recommender.Visit, *, explain: bool) -> Shelf:
    """Return the shelf; any fault gives the fallback list and names itself."""
    try:
        answer = recommender.recommend(strategy, visit, explain=explain)
    except Exception:
        # fallback edge: a broken model must not empty the page
        log.exception("recommend.failed", strategy=strategy)
        return fallback(strategy, visit, why="recommend:failed")
    return Shelf(
        strategy=answer.strategy,
        items=answer.items,
        lost=answer.lost,
        models=answer.model_versions,
        degraded=answer.degraded,
        reranked=answer.reranked,
        kept=answer.kept,
    )


def fallback(strategy: str, visit: recommender.Visit, *, why: str) -> Shelf:
    """Return the list that was made ahead for the strategy, else the popular one, and `why`.

    What the request gives to be put in order stays in its own. What may not be shown is left out as
    far as that can be told; where it cannot and somebody asked for a filter, nothing is shown.
    """
    if visit.given is not None:
        return Shelf(strategy, _shown(strategy, visit, _as_given(visit.given)), (), {}, (why,))
    for made in ready.ready(strategy):
        shown = _shown(strategy, visit, made.items)
        if shown:
            spoke = {item.source for item in shown}
            models = {name: one for name, one in made.model_versions.items() if name in spoke}
            return Shelf(strategy, shown, (), models, (why,))
    return Shelf(strategy, (), (), {}, (why,))


def _as_given(keys: Sequence[str]) -> list[recommender.Item]:
    words = reason("search", None)
    return [recommender.Item(key, 0.0, words, "search") for key in dict.fromkeys(keys)]


def _shown(
    strategy: str, visit: recommender.Visit, listed: Sequence[recommender.Item]
) -> tuple[recommender.Item, ...]:
    """Return what of a list may be shown now, in its order."""
    gone = {*visit.exclude, *visit.cart, visit.item}
    items = [item for item in listed if item.id not in gone]
    if visit.given is None:
        above = frozenset(visit.shown_above)
        items.sort(key=lambda item: item.id in above)
    try:
        may = recommender.permitted(strategy, visit, [item.id for item in items])
        items = [item for item in items if item.id in may]
    except Exception:
        # fallback edge: the second fault of this request
        log.exception("recommend.filter_failed", strategy=strategy)
        items = [] if recommender.filters(strategy, visit) else items
    return tuple(items[: visit.count])
