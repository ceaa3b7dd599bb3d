"""Recommendations for one placement, and what shows when they fail or come too late."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from personalization.decisions.engine.recent import Action
from recommender import serve as recommender

log = structlog.get_logger("decisions")

# The fallback list covers the largest count with as many excluded; older than this it is renewed.
_FALLBACK_ITEMS = 200
_FALLBACK_AGE_S = 60.0
_FALLBACK_STRATEGY = "popular"
# Explanations show this many that came too late in the ranking.
RUNNERS_UP = 20


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a placement shows: items best first, the models that spoke, what was missing."""

    strategy: str
    items: tuple[recommender.Item, ...]
    runners_up: tuple[recommender.Item, ...]
    models: Mapping[str, int]
    degraded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What one shelf is asked for."""

    strategy: str
    count: int
    item: str | None
    exclude: Collection[str]
    recent: Sequence[Action]
    cart: Sequence[str]
    bought: Mapping[str, float]
    personal: bool
    explain: bool


class _Fallback:
    """The last list that popularity gave in this process."""

    def __init__(self) -> None:
        self.items: tuple[recommender.Item, ...] = ()
        self.at = -_FALLBACK_AGE_S


_fallback = _Fallback()


def filled(request: Request, *, now_s: float) -> Shelf:
    """Return the shelf; any fault gives the fallback list and names itself."""
    more = RUNNERS_UP if request.explain else 0
    try:
        answer = recommender.recommend(
            request.strategy,
            recent=request.recent,
            item=request.item,
            cart=request.cart,
            bought=request.bought,
            count=request.count + more,
            exclude=request.exclude,
            personal=request.personal,
            now_s=now_s,
        )
    except Exception:
        # fallback edge: a broken model must not empty the page
        log.exception("recommend.failed", strategy=request.strategy)
        return fallback(request, why="recommend:failed", now_s=now_s)
    return Shelf(
        strategy=answer.strategy,
        items=answer.items[: request.count],
        runners_up=answer.items[request.count :],
        models=answer.model_versions,
        degraded=answer.degraded,
    )


def fallback(request: Request, *, why: str, now_s: float) -> Shelf:
    """Return the popular list that this process remembers, and `why` it had to."""
    gone = {*request.exclude, *request.cart, request.item}
    items = [item for item in _popular(now_s) if item.id not in gone]
    return Shelf(request.strategy, tuple(items[: request.count]), (), {}, (why,))


def reset() -> None:
    """Forget the fallback list. For tests."""
    _fallback.__init__()  # type: ignore[misc]  # one object that other threads hold


def _popular(now_s: float) -> tuple[recommender.Item, ...]:
    if time.monotonic() - _fallback.at >= _FALLBACK_AGE_S:
        # stamped first: one request renews, the others use what is there
        _fallback.at = time.monotonic()
        try:
            answer = recommender.recommend(
                _FALLBACK_STRATEGY, count=_FALLBACK_ITEMS, personal=False, now_s=now_s
            )
            _fallback.items = answer.items
        except Exception:
            log.exception("recommend.fallback_failed")
    return _fallback.items
