"""The published configuration, in memory: one immutable snapshot, swapped as a whole.

In web workers and processors a watcher looks for a newer version once a second, so that reading
costs no query. Other processes (commands, tests) look for themselves, at most once a second.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic
from types import MappingProxyType
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError

from personalization.lib import lastgood
from personalization.lib.errors import Unavailable
from personalization.lib.metrics import CONFIG_VERSION
from personalization.lib.registries import DiscreetPart, config_parts
from personalization.ops.models import ConfigVersion

log = structlog.get_logger("ops")

# Revocation of a key must hold within a second (docs/api.md, Keys).
_CHECK_EVERY_S = 1.0
# A process that starts after a version that does not build looks this far back for one that does.
_LOOK_BACK = 10
# Name of the file on the node's disk.
_KEPT = "config"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One configuration: its version (0: nothing was published yet), hash, and loaded parts."""

    version: int
    sha256: str
    parts: Mapping[str, Any]
    # Read from this node's disk, since PostgreSQL was away when the process started.
    remembered: bool = False


# Version and hash. A number alone does not say which: a process may have read its own, uncommitted,
# and another may have taken the number after its rollback.
_Mark = tuple[int, str]
_NONE: _Mark = (-1, "")


class _State:
    """What this process serves, and when it has to look again."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        # canonical JSON of the snapshot, until it is on the node's disk
        self.unkept = b""
        self.failed = _NONE
        self.watched = False
        self.look_at = 0.0


_state = _State()
_lock = threading.RLock()


def current() -> Snapshot:
    """Return the snapshot in force here.

    Raises
    ------
    Unavailable
        This process has none yet, the store is away, and nothing is on this node's disk.
    """
    snapshot = _state.snapshot
    if snapshot is not None and (_state.watched or monotonic() < _state.look_at):
        return snapshot
    if snapshot is None:
        with _lock:
            return _state.snapshot or _first()
    if _lock.acquire(blocking=False):
        try:
            _look()
        finally:
            _lock.release()
    return _state.snapshot or snapshot


def part(name: str) -> Any:
    """Return one part of the snapshot in force, as its app's `load` made it."""
    return current().parts[name]


def reload() -> Snapshot:
    """Read the newest version now, even if its number did not change, and return what is served."""
    with _lock:
        _state.failed = _NONE
        _state.look_at = monotonic() + _CHECK_EVERY_S
        newest = _newest()
        _take(*_built(newest)) if newest is not None else _take(*_from_tables())
        return current()


def watch() -> None:
    """Swap in a newer version, if any, and keep it on this node's disk, or confirm what is there.

    Once it runs, `current` asks the store no more.
    """
    _state.watched = True
    with _lock:
        known = _look() if _state.snapshot is not None else not _first().remembered
        _keep(known=known)


def look_again() -> None:
    """Have the next `current` of an unwatched process look at the version at once."""
    _state.look_at = 0.0


def forget() -> None:
    """Drop what this process knows. For tests, whose tables change under it."""
    with _lock:
        _state.__init__()  # type: ignore[misc]  # one state object, other modules may hold it


def build(row: ConfigVersion) -> Snapshot:
    """Return the snapshot that `row` stands for.

    A part that is younger than the row (an app added since) is built from its tables. Whatever
    a part raises on bytes that it cannot serve goes through.
    """
    return _built(row)[0]


def _built(row: ConfigVersion) -> tuple[Snapshot, bytes]:
    """Return the snapshot and its whole data as canonical JSON."""
    told = orjson.loads(row.body)
    data = {
        name: told[name] if name in told else entry.export() for name, entry in config_parts.items()
    }
    return Snapshot(row.version, row.sha256, _loaded(data)), _canonical(data)


def _first() -> Snapshot:
    """Load the newest version that builds; where the store is away, what this node last served."""
    try:
        rows = list(ConfigVersion.objects.order_by("-version")[:_LOOK_BACK])
        if not rows:
            return _take(*_from_tables())
    except (OperationalError, InterfaceError) as error:
        remembered = _recalled()
        if remembered is not None:
            return _take(remembered)
        msg = "the configuration cannot be read yet; send it again"
        raise Unavailable(msg) from error
    for row in rows:
        built = _try(row)
        if built is not None:
            return _take(*built)
    msg = "no published configuration can be built; publish one"
    raise Unavailable(msg)


def _look() -> bool:
    """Swap in the newest version when it is another than the one in force.

    Return whether the store could be asked.
    """
    _state.look_at = monotonic() + _CHECK_EVERY_S
    try:
        if _newest_mark() in {_held_mark(), _state.failed}:
            return True
        row = _newest()
        if row is None:
            _take(*_from_tables())
            return True
    except (OperationalError, InterfaceError) as error:
        log.warning("config.look_failed", error=type(error).__name__)
        return False
    built = _try(row)
    if built is not None:
        _take(*built)
    return True


def _try(row: ConfigVersion) -> tuple[Snapshot, bytes] | None:
    try:
        return _built(row)
    except Exception:
        # fallback edge: a bad version must not take the server down
        _state.failed = (row.version, row.sha256)
        log.exception("config.build_failed", version=row.version)
        return None


def _take(snapshot: Snapshot, unkept: bytes = b"") -> Snapshot:
    _state.snapshot, _state.unkept = snapshot, unkept
    _state.look_at = monotonic() + _CHECK_EVERY_S
    CONFIG_VERSION.set(snapshot.version)
    log.info("config.loaded", version=snapshot.version)
    return snapshot


def _from_tables() -> tuple[Snapshot, bytes]:
    """Version 0: nothing was published, so what the tables say counts."""
    data = {name: entry.export() for name, entry in config_parts.items()}
    body = _canonical(data)
    return Snapshot(0, sha256(body).hexdigest(), _loaded(data)), body


def _keep(*, known: bool) -> None:
    """Write what is served to this node's disk, once for each swap; `known` to hold, confirm it."""
    snapshot, body = _state.snapshot, _state.unkept
    if snapshot is not None and body:
        discreet = _canonical(_discreet(orjson.loads(body)))
        lastgood.keep(_KEPT, f"{snapshot.version} {snapshot.sha256}", discreet)
        _state.unkept = b""
    elif known:
        lastgood.confirm(_KEPT)


def _recalled() -> Snapshot | None:
    """Return what this node last served, if it is there, verifies, builds and is not too old."""
    kept = lastgood.recall(_KEPT, max_age_s=settings.LAST_GOOD_MAX_AGE_H * 3600)
    if kept is None:
        return None
    label, body = kept
    version, _, hashed = label.partition(" ")
    try:
        # a part that is younger than the file would need its tables: then there is no start
        parts = _loaded(_discreet(orjson.loads(body)))
    except Exception:
        # fallback edge: other code wrote it
        log.exception("config.recall_failed", version=version)
        return None
    log.warning("config.recalled", version=version)
    return Snapshot(int(version), hashed, parts, remembered=True)


def _loaded(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType({name: entry.load(data[name]) for name, entry in config_parts.items()})


def _discreet(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the share of `data` that may lie on a node's disk."""
    shown = dict(data)
    for name, entry in config_parts.items():
        if name in shown and isinstance(entry, DiscreetPart):
            shown[name] = entry.discreet(shown[name])
    return shown


def _canonical(data: Mapping[str, Any]) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)


def _newest_mark() -> _Mark:
    newest = ConfigVersion.objects.order_by("-version").values_list("version", "sha256").first()
    return newest or (0, "")


def _held_mark() -> _Mark:
    """Return what is in force; of what came from disk nobody knows whose version it is."""
    held = _state.snapshot
    if held is None or held.remembered:
        return _NONE
    return held.version, held.sha256 if held.version else ""


def _newest() -> ConfigVersion | None:
    return ConfigVersion.objects.order_by("-version").first()
