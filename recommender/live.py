"""The models that this process serves: verified files behind one reference, swapped by pointer.

A watcher looks once a second which version is live. What does not verify is refused, logged, tried
again later, and the one before it goes on serving.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import orjson
import structlog
from django.db import Error
from numpy.typing import NDArray

from personalization.catalog.serve import CatalogView
from personalization.lib import artifacts, lastgood
from personalization.lib.artifacts import ArtifactError
from recommender.engine import keys
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Algorithm
from recommender.models import ModelVersion

log = structlog.get_logger("recommender")

# A version that was refused is fetched and hashed again no more often than this.
_RETRY_S = 30.0
# How stale a process without the background watcher may be (commands, tests).
_UNWATCHED_S = 1.0
# Name of the file on the node's disk that says which versions it last served.
_KEPT = "models"


@dataclass(frozen=True, slots=True)
class Live:
    """One model in use. `index`: item key -> row of the model."""

    name: str
    number: int
    sha256: str
    model: Algorithm
    keys: list[str]
    index: dict[str, int]


class _Held:
    """What this process holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Start anew; one object for good, so that no reader keeps an old one."""
        self.models: Mapping[str, Live] = MappingProxyType({})
        self.sellable: dict[
            str, tuple[Live, CatalogView, NDArray[np.int64], NDArray[np.bool_]]
        ] = {}
        self.refused: dict[str, float] = {}
        self.checked_at = -_UNWATCHED_S
        self.watched = False
        self.kept: Mapping[str, Live] = self.models


_held = _Held()


def models() -> Mapping[str, Live]:
    """Return the models in use by name; never raises, empty before anything was trained."""
    if not _held.watched and time.monotonic() - _held.checked_at >= _UNWATCHED_S:
        try:
            refresh()
        except Error:
            log.warning("model.look_failed", exc_info=True)
    return _held.models


def watch() -> None:
    """Look for newer versions, and have `models` rely on being called again (web's watcher)."""
    _held.watched = True
    refresh()
    _keep()


def refresh() -> Mapping[str, Live]:
    """Look which versions are live, load what is new, and swap the reference."""
    with _held.lock:
        _held.checked_at = time.monotonic()
        try:
            wanted = _pointers()
        except Error:
            if not _held.models:
                _swap(_recalled())
            raise
        held = {name: (one.number, one.sha256) for name, one in _held.models.items()}
        if wanted != held:
            _swap(wanted)
        return _held.models


def _pointers() -> dict[str, tuple[int, str]]:
    rows = ModelVersion.objects.filter(status=ModelVersion.Status.LIVE).values_list(
        "algorithm", "number", "manifest_sha256"
    )
    return {name: (number, sha256) for name, number, sha256 in rows if name in RECIPES}


def _keep() -> None:
    """Write which versions serve to this node's disk; their files are there already."""
    if _held.models is _held.kept:
        return
    told = {name: (one.number, one.sha256) for name, one in sorted(_held.models.items())}
    lastgood.keep(_KEPT, "-".join(sha256[:12] for _, sha256 in told.values()), orjson.dumps(told))
    _held.kept = _held.models


def _recalled() -> dict[str, tuple[int, str]]:
    """Return the versions that this node last served; none where that cannot be read."""
    kept = lastgood.recall(_KEPT)
    if kept is None:
        return {}
    try:
        told = orjson.loads(kept[1])
        return {name: (number, sha) for name, (number, sha) in told.items() if name in RECIPES}
    except (AttributeError, TypeError, ValueError):
        # other code wrote it
        log.exception("model.recall_failed")
        return {}


def forget() -> None:
    """Drop what this process holds. For tests, whose tables change under it."""
    with _held.lock:
        _held.forget()


def sellable(live: Live, catalogue: CatalogView) -> NDArray[np.bool_]:
    """Return which of the model's items can be bought now, (n_items,) bool; not to be written.

    Kept until the catalogue or the model changes; a change of stock costs one gather.
    """
    known = _held.sellable.get(live.name)
    if known is not None and known[0] is live and known[1] is catalogue:
        return known[3]
    if known is not None and known[0] is live and known[1].index is catalogue.index:
        rows = known[2]
    else:
        found = map(catalogue.index.get, live.keys, [-1] * len(live.keys))
        rows = np.fromiter(found, np.int64, len(live.keys))
    # one False beyond the catalogue, which is where -1 points
    mask = np.append(catalogue.available, np.False_)[rows]
    _held.sellable[live.name] = (live, catalogue, rows, mask)
    return mask


def _swap(wanted: Mapping[str, tuple[int, str]]) -> None:
    now = time.monotonic()
    taken: dict[str, Live] = {}
    for name, (number, sha256) in wanted.items():
        old = _held.models.get(name)
        if old is not None and (old.number, old.sha256) == (number, sha256):
            taken[name] = old
            continue
        if now < _held.refused.get(sha256, -1.0):
            found = None
        else:
            found = _try(name, number, sha256)
            if found is None:
                _held.refused[sha256] = now + _RETRY_S
        if (kept := found or old) is not None:
            taken[name] = kept
    _held.models = MappingProxyType(taken)


def _try(name: str, number: int, sha256: str) -> Live | None:
    try:
        live = load(name, number, sha256)
    except (ArtifactError, ValueError, TypeError, KeyError) as error:
        log.exception("model.refused", model=name, number=number, error=type(error).__name__)
        return None
    log.info("model.loaded", model=name, number=number, items=len(live.keys))
    return live


def load(name: str, number: int, sha256: str) -> Live:
    """Return one version, verified.

    Raises
    ------
    ArtifactError, ValueError, TypeError, KeyError
        Its files are damaged, or made for other code.
    """
    artifact = artifacts.load(sha256)
    recipe = RECIPES[name]
    if artifact.facts["algorithm"] != recipe.algorithm.key:
        msg = f"{name} is fitted by {recipe.algorithm.key}, not {artifact.facts['algorithm']}"
        raise ArtifactError(msg)
    config = recipe.algorithm.config_type.from_json(artifact.facts["config"])
    model = recipe.algorithm.from_arrays(artifact.arrays, config)
    item_keys = keys.unpack(artifact.arrays)
    if len(item_keys) != model.n_items:
        msg = f"{name} has {model.n_items} items and {len(item_keys)} keys"
        raise ArtifactError(msg)
    index = {key: row for row, key in enumerate(item_keys)}
    return Live(name, number, sha256, model, item_keys, index)
