"""The models that this process serves: verified files behind one reference, swapped by pointer.

A watcher looks once a second which version is live. What does not verify is refused, logged, tried
again later, and the one before it goes on serving.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import orjson
import structlog
from django.db import Error
from numpy.typing import NDArray

from personalization.lib import artifacts, lastgood
from personalization.lib.artifacts import Artifact, ArtifactError
from personalization.lib.looks import Looks
from recommender.engine import keys
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Algorithm
from recommender.engine.blend import Blend
from recommender.engine.secondlook import Second
from recommender.engine.training import BLENDS
from recommender.models import ModelVersion

log = structlog.get_logger("recommender")

# A version that was refused is fetched and hashed again no more often than this.
_RETRY_S = 30.0
# `facts["algorithm"]` of learned weights.
BLEND = "blend"
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


@dataclass(frozen=True, slots=True)
class LiveBlend:
    """Learned weights in use: of which models, by name.

    `second`: what looks again at its first candidates, where training found such; `keys` of its
    items.
    """

    name: str
    number: int
    sha256: str
    blend: Blend
    second: Second | None = None
    keys: list[str] = field(default_factory=list)


class _Held:
    """What this process holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.looks = Looks()
        self.forget()

    def forget(self) -> None:
        """Start anew; one object for good, so that no reader keeps an old one."""
        self.models: Mapping[str, Live] = MappingProxyType({})
        self.blends: Mapping[str, LiveBlend] = MappingProxyType({})
        self.refused: dict[str, float] = {}
        self.looks.forget()
        # what is on the disk: (models, blends)
        self.kept: tuple[object, object] = (self.models, self.blends)

    def all(self) -> dict[str, "Live | LiveBlend"]:
        """Return models and blends by name."""
        return {**self.models, **self.blends}


_held = _Held()


def models() -> Mapping[str, Live]:
    """Return the models in use by name; never raises, empty before anything was trained."""
    _look()
    return _held.models


def blends() -> Mapping[str, LiveBlend]:
    """Return the learned blends in use by name (`blend_home`); never raises."""
    _look()
    return _held.blends


def _look() -> None:
    try:
        _held.looks.by_reader(refresh)
    except Error:
        log.warning("model.look_failed", exc_info=True)


def watch() -> None:
    """Look for newer versions, and have `models` rely on being called again (web's watcher)."""
    _held.looks.by_watcher(refresh)
    _keep()


def refresh() -> Mapping[str, Live]:
    """Look which versions are live, load what is new, and swap the reference."""
    with _held.lock, _held.looks.one():
        try:
            wanted = _pointers()
        except Error:
            if not _held.all():
                _swap(_recalled())
            raise
        held = {name: (one.number, one.sha256) for name, one in _held.all().items()}
        if wanted != held:
            _swap(wanted)
        return _held.models


def _pointers() -> dict[str, tuple[int, str]]:
    rows = ModelVersion.objects.filter(status=ModelVersion.Status.LIVE).values_list(
        "algorithm", "number", "manifest_sha256"
    )
    return {name: (number, sha256) for name, number, sha256 in rows if _is_known(name)}


def _is_known(name: str) -> bool:
    """Whether this code has such a model: a newer release may have trained others."""
    return name in RECIPES or name in BLENDS


def _keep() -> None:
    """Write which versions serve to this node's disk; their files are there already."""
    held = (_held.models, _held.blends)
    if held[0] is _held.kept[0] and held[1] is _held.kept[1]:
        return
    told = {name: (one.number, one.sha256) for name, one in sorted(_held.all().items())}
    lastgood.keep(_KEPT, _state(told.values()), orjson.dumps(told))
    _held.kept = held


def _state(told: Iterable[tuple[int, str]]) -> str:
    return blake2b("".join(sha256 for _, sha256 in told).encode(), digest_size=16).hexdigest()


def _recalled() -> dict[str, tuple[int, str]]:
    """Return the versions that this node last served; none where that cannot be read."""
    kept = lastgood.recall(_KEPT)
    if kept is None:
        return {}
    try:
        told = orjson.loads(kept[1])
        return {name: (number, sha) for name, (number, sha) in told.items() if _is_known(name)}
    except (AttributeError, TypeError, ValueError):
        # other code wrote it
        log.exception("model.recall_failed")
        return {}


def forget() -> None:
    """Drop what this process holds. For tests, whose tables change under it."""
    with _held.lock:
        _held.forget()


def _swap(wanted: Mapping[str, tuple[int, str]]) -> None:
    now = time.monotonic()
    taken: dict[str, Live | LiveBlend] = {}
    held = _held.all()
    for name, (number, sha256) in wanted.items():
        old = held.get(name)
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
    _held.models = MappingProxyType({n: one for n, one in taken.items() if isinstance(one, Live)})
    lists = [one.keys for one in _held.models.values()]
    _held.blends = MappingProxyType(
        {n: _sharing(one, lists) for n, one in taken.items() if isinstance(one, LiveBlend)}
    )


def _sharing(blend: LiveBlend, lists: list[list[str]]) -> LiveBlend:
    """Return the blend with the very list of keys that a model of the same night has.

    Names of a hundred thousand products weigh 6 MB in each worker.
    """
    if not blend.keys or any(keys is blend.keys for keys in lists):
        return blend
    same = next((keys for keys in lists if keys == blend.keys), blend.keys)
    return replace(blend, keys=same)


def _try(name: str, number: int, sha256: str) -> Live | LiveBlend | None:
    try:
        found = load(name, number, sha256)
    except Exception as error:  # fallback edge: whatever is wrong with one, the others serve
        log.exception("model.refused", model=name, number=number, error=type(error).__name__)
        return None
    log.info("model.loaded", model=name, number=number)
    return found


def load(name: str, number: int, sha256: str) -> Live | LiveBlend:
    """Return one version, verified.

    Raises
    ------
    ArtifactError, ValueError, TypeError, KeyError
        Its files are damaged, or made for other code.
    """
    artifact = artifacts.load(sha256)
    made_by = BLEND if name in BLENDS else RECIPES[name].algorithm.key
    if artifact.facts["algorithm"] != made_by:
        msg = f"{name} is fitted by {made_by}, not {artifact.facts['algorithm']}"
        raise ArtifactError(msg)
    if name in BLENDS:
        return _blend(name, number, artifact)
    algorithm = RECIPES[name].algorithm
    config = algorithm.config_type.from_json(artifact.facts["config"])
    model = algorithm.from_arrays(artifact.arrays, config)
    item_keys = _keys_of(name, artifact.arrays, model.n_items)
    index = {key: row for row, key in enumerate(item_keys)}
    return Live(name, number, sha256, model, item_keys, index)


def _blend(name: str, number: int, artifact: Artifact) -> LiveBlend:
    """Return a blend; without its re-ranker where this code reads another layout of that."""
    blend = Blend.from_json(artifact.facts["config"])
    told = artifact.facts.get("reranker", {})
    second = Second.unpack(artifact.arrays, told)
    if second is None:
        if "features" in told:
            log.warning("model.reranker_passed_over", model=name, number=number)
        return LiveBlend(name, number, artifact.sha256, blend)
    item_keys = _keys_of(name, artifact.arrays, len(second.about.popularity))
    return LiveBlend(name, number, artifact.sha256, blend, second, item_keys)


def _keys_of(name: str, arrays: Mapping[str, NDArray[Any]], n_items: int) -> list[str]:
    found = keys.unpack(arrays)
    if len(found) != n_items:
        msg = f"{name} has {n_items} items and {len(found)} keys"
        raise ArtifactError(msg)
    return found
