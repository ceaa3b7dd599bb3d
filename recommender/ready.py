"""What each strategy shows to nobody in particular, made ahead: it answers where a request cannot.

A list for every published strategy in each process, made in the background when models or
strategies change, and once a minute while the catalogue does. Whoever shows one leaves out what may
not be shown at that moment (`serve.permitted`); of the visitor and the page a list knows nothing.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from personalization.catalog import serve as catalogue
from personalization.lib import clock
from recommender import live
from recommender.engine.strategies import StrategySpec
from recommender.serve import Answer, Visit, recommend, strategies

log = structlog.get_logger("recommender")

# Follows every list: what is popular may be shown anywhere.
POPULAR = "popular"
# The largest count of a placement, and as many that may not be shown.
_ITEMS = 200
# A list names products: that one is sold out or dearer now is seen when it is shown.
_AGE_S = 60.0


@dataclass(frozen=True, slots=True)
class _Made:
    """A list, None where making it failed, and when that was."""

    answer: Answer | None
    at: float


class _Held:
    """What this process holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self.lists: dict[str, _Made] = {}
        # strategies, models and blends that the lists were made of, by identity
        self.of: tuple[object, ...] = ()
        self.change = -1
        self.at = -_AGE_S
        self.watched = False


_held = _Held()


def forget() -> None:
    """Drop what this process holds. For tests, whose tables change under it."""
    with _held.lock:
        _held.forget()


def watch() -> None:
    """Make the lists anew where what they were made of has changed; `ready` relies on it then."""
    with _held.lock:
        _held.watched = True
        known = strategies()
        of, change = (known, live.models(), live.blends()), catalogue.view().change
        same = len(of) == len(_held.of) and all(
            one is held for one, held in zip(of, _held.of, strict=True)
        )
        if same and (_whole(known, change) or time.monotonic() - _held.at < _AGE_S):
            return
        _held.of, _held.change, _held.at = of, change, time.monotonic()
        wanted = {POPULAR, *(key for key, spec in known.items() if spec.active)}
        for key in _held.lists.keys() - wanted:
            del _held.lists[key]
        for key in sorted(wanted):
            _make(key, known)


def _whole(known: Mapping[str, StrategySpec], change: int) -> bool:
    made = (_held.lists.get(key) for key, spec in known.items() if spec.active)
    return change == _held.change and all(one is not None and one.answer for one in made)


def ready(strategy: str) -> tuple[Answer, ...]:
    """Return the strategy's own list and the popular one, as far as there are any; never raises.

    Only a process whose watcher has not come to a strategy yet makes its list here.
    """
    found = (_of(key) for key in dict.fromkeys((strategy, POPULAR)))
    return tuple(answer for answer in found if answer is not None)


def _of(key: str) -> Answer | None:
    made = _held.lists.get(key)
    if made is None or (not _held.watched and time.monotonic() - made.at >= _AGE_S):
        # stamped first: one request makes it, the others use what is there
        _held.lists[key] = _Made(made.answer if made else None, time.monotonic())
        _make(key, strategies())
        made = _held.lists.get(key)
    return made.answer if made else None


def _make(key: str, known: Mapping[str, Any]) -> None:
    """Make one list; where that fails the one before stays."""
    before = _held.lists.get(key)
    answer = before.answer if before else None
    visit = Visit(count=_ITEMS, personal=False, now_s=clock.now().timestamp())
    spec = known.get(key)
    try:
        answer = recommend(key if spec is None else _plain(spec), visit)
    except Exception:
        # fallback edge: one broken strategy must not cost the others their lists
        log.exception("ready.failed", strategy=key)
    _held.lists[key] = _Made(answer, time.monotonic())


def _plain(spec: StrategySpec) -> StrategySpec:
    """Return the strategy without chance: one draw for everybody would be none."""
    return replace(spec, rules=replace(spec.rules, exploration=None))
