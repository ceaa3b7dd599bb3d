"""The published configuration, in memory: one immutable snapshot, swapped as a whole.

In web workers and processors a watcher looks for a newer version once a second, so that reading
costs no query. Other processes (commands, tests) look for themselves, at most once a second.
"""

import threading
from collections.abc import Iterator, Mapping
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
from personalization.lib.metrics import CONFIG_UNBUILT, CONFIG_VERSION
from personalization.lib.registries import ConfigPart, DiscreetPart, config_parts
from personalization.ops.errors import NotBuilt
from personalization.ops.models import ConfigVersion

log = structlog.get_logger("ops")

# Revocation of a key must hold within a second (docs/api.md, Keys).
_CHECK_EVERY_S = 1.0
# Versions read at once by a process that looks back for one that builds.
_CHUNK = 10
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
        # what did not build here, and why: tried and logged once
        self.failed: dict[_Mark, NotBuilt] = {}
        # the newest version of the store, as last seen
        self.newest = _NONE
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
    """Read the newest version now, even if its number did not change, and return what is served.

    Raises
    ------
    NotBuilt
        The newest cannot be built here; what was served still is.
    """
    with _lock:
        built = _best()
        if built is not None:
            _take(*built)
        fault = stuck()
        if fault is not None:
            raise NotBuilt(fault.part, fault)
        return current()


def stuck() -> NotBuilt | None:
    """Return why this process does not serve the newest version; None where it does."""
    return _state.failed.get(_state.newest)


def readiness() -> tuple[bool, str]:
    """Return whether there is a configuration to serve by, and what is wrong; asks nobody."""
    fault = stuck()
    if fault is None:
        return True, ""
    served = _state.snapshot
    version = f"version {_state.newest[0]} cannot be built ({fault.part})"
    if served is None:
        return False, f"{version}, nor any before it"
    return True, f"{version}; version {served.version} serves"


def newest_fault() -> tuple[int, NotBuilt] | None:
    """Return the newest version and why it cannot be built here; None where it can."""
    row = _newest()
    if row is None:
        return None
    try:
        build(row)
    except NotBuilt as error:
        return row.version, error
    return None


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

    A part that is younger than the row (an app added since) is built from its tables.

    Raises
    ------
    NotBuilt
        A part cannot be built of what the row says.
    """
    return _of(row, _data(row))[0]


def build_part(name: str, entry: ConfigPart, data: Any) -> Any:
    """Return what serving reads of one part. Raises NotBuilt, whatever its `load` raises."""
    try:
        return entry.load(data)
    except Exception as error:
        # fallback edge: whichever it is, the version cannot be served
        raise NotBuilt(name, error) from error


def _data(row: ConfigVersion) -> dict[str, Any]:
    told = orjson.loads(row.body)
    return {
        name: told[name] if name in told else entry.export() for name, entry in config_parts.items()
    }


def _of(row: ConfigVersion, data: Mapping[str, Any]) -> tuple[Snapshot, bytes]:
    """Return the snapshot of a version that says `data`, and the data as canonical JSON."""
    return Snapshot(row.version, row.sha256, _loaded(data)), _canonical(data)


def _first() -> Snapshot:
    """Load the newest version that builds; where the store is away, what this node last served."""
    try:
        built = _best()
    except (OperationalError, InterfaceError) as error:
        remembered = _recalled()
        if remembered is not None:
            return _take(remembered)
        msg = "the configuration cannot be read yet; send it again"
        raise Unavailable(msg) from error
    if built is None:
        msg = "no published configuration can be built; publish one"
        raise Unavailable(msg)
    return _take(*built)


def _best() -> tuple[Snapshot, bytes] | None:
    """Return the newest version that builds, before the first what the tables say; None: none does.

    Where that is not the newest of all, the parts of the newest that stand alone take part: keys
    are revoked whatever else is wrong.
    """
    newest = _newest()
    _see(_mark(newest))
    if newest is None:
        return _from_tables()
    for row in _downwards(newest):
        built = _try(row)
        if built is not None:
            return built if row is newest else _mended(row, newest, built)
    return None


def _downwards(newest: ConfigVersion) -> Iterator[ConfigVersion]:
    """Yield all versions, newest first."""
    rows = [newest]
    while rows:
        yield from rows
        older = ConfigVersion.objects.filter(version__lt=rows[-1].version)
        rows = list(older.order_by("-version")[:_CHUNK])


def _mended(
    row: ConfigVersion, newest: ConfigVersion, built: tuple[Snapshot, bytes]
) -> tuple[Snapshot, bytes]:
    """Return a version with those parts of the newest that stand alone, where they build.

    Its hash is that of both together, so that this node's disk tells it from the version itself.
    """
    told = orjson.loads(newest.body)
    alone = {
        name: told[name]
        for name, entry in config_parts.items()
        if name in told and getattr(entry, "stands_alone", False)
    }
    data = orjson.loads(built[1]) | alone
    body = _canonical(data)
    try:
        return Snapshot(row.version, sha256(body).hexdigest(), _loaded(data)), body
    except NotBuilt:
        log.exception("config.part_build_failed", version=newest.version)
        return built


def _look() -> bool:
    """Swap in the newest version when it is another than the one in force.

    Return whether the store could be asked.
    """
    _state.look_at = monotonic() + _CHECK_EVERY_S
    try:
        _see(_newest_mark())
        if _state.newest != _held_mark() and stuck() is None:
            built = _best()
            if built is not None:
                _take(*built)
    except (OperationalError, InterfaceError) as error:
        log.warning("config.look_failed", error=type(error).__name__)
        return False
    return True


def _see(mark: _Mark) -> None:
    """Note what the store says is newest."""
    _state.newest = mark
    CONFIG_UNBUILT.set(mark[0] if stuck() else 0)


def _try(row: ConfigVersion) -> tuple[Snapshot, bytes] | None:
    """Return a version built; None for one that cannot be: tried, and told, once a process."""
    mark = _mark(row)
    if mark in _state.failed:
        return None
    try:
        return _of(row, _data(row))
    except NotBuilt as error:
        # a bad version must not take the server down
        log.exception("config.build_failed", version=row.version, part=error.part)
        # without its traceback, which would keep the whole version in memory
        _state.failed[mark] = NotBuilt(error.part, error)
        _see(_state.newest)
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
    return MappingProxyType(
        {name: build_part(name, entry, data[name]) for name, entry in config_parts.items()}
    )


def _discreet(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the share of `data` that may lie on a node's disk."""
    shown = dict(data)
    for name, entry in config_parts.items():
        if name in shown and isinstance(entry, DiscreetPart):
            shown[name] = entry.discreet(shown[name])
    return shown


def _canonical(data: Mapping[str, Any]) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)


def _mark(row: ConfigVersion | None) -> _Mark:
    return (row.version, row.sha256) if row is not None else (0, "")


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
