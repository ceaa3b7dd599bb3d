"""Recommendations for one placement, and what shows when they fail or come too late."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from recommender import serve as recommender

log = structlog.get_logger("decisions")

# The fallback list covers the largest count with as many excluded; older than this it is renewed.
_FALLBACK_ITEMS = 200
_FALLBACK_AGE_S = 60.0
_FALLBACK_STRATEGY = "popular"


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a placement shows: items best first, the models that spoke, what was missing.

    `lost`: what was looked at and is not shown, where that was asked for.
    """

    strategy: str
    items: tuple[recommender.Item, ...]
    lost: tuple[recommender.Lost, ...]
    models: Mapping[str, int]
    degraded: tuple[str, ...]


class _Fallback:
    """The last list that popularity gave in this process."""

    def __init__(self) -> None:
        self.items: tuple[recommender.Item, ...] = ()
        self.at = -_FALLBACK_AGE_S


_fallback = _Fallback()


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
    )


def fallback(strategy: str, visit: recommender.Visit, *, why: str) -> Shelf:
    """Return the popular list that this process remembers, and `why` it had to.

    What may not be shown is left out as far as that can be told; where it cannot and somebody asked
    for a filter, nothing is shown.
    """
    gone = {*visit.exclude, *visit.cart, visit.item}
    items = [item for item in _popular(visit.now_s) if item.id not in gone]
    try:
        may = recommender.permitted(strategy, visit, [item.id for item in items])
        items = [item for item in items if item.id in may]
    except Exception:
        # fallback edge: the second fault of this request
        log.exception("recommend.filter_failed", strategy=strategy)
        items = [] if recommender.filters(strategy, visit) else items
    return Shelf(strategy, tuple(items[: visit.count]), (), {}, (why,))


def reset() -> None:
    """Forget the fallback list. For tests."""
    _fallback.__init__()  # type: ignore[misc]  # one object that other threads hold


def _popular(now_s: float) -> tuple[recommender.Item, ...]:
    if time.monotonic() - _fallback.at >= _FALLBACK_AGE_S:
        # stamped first: one request renews, the others use what is there
        _fallback.at = time.monotonic()
        try:
            visit = recommender.Visit(count=_FALLBACK_ITEMS, personal=False, now_s=now_s)
            answer = recommender.recommend(_FALLBACK_STRATEGY, visit)
            _fallback.items = answer.items
        except Exception:
            log.exception("recommend.fallback_failed")
    return _fallback.items
