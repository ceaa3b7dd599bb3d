"""Model files: one `.npy` an array and a `manifest.json` that names the SHA-256 of each.

Kept through Django's storage `models` in a folder named by the manifest's own hash, materialised on
each node by hash, and loaded without pickle. A file that is cut short or changed is never served.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import Storage, storages
from numpy.typing import NDArray

from personalization.lib.errors import AppError

# Raised with a change of layout that older readers would misread; they refuse what is newer.
FORMAT = 1
_MANIFEST = "manifest.json"
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_BLOCK = 1 << 20


class ArtifactError(AppError):
    """Files are missing, cut short, changed, or of a layout that this code does not read."""

    code = "artifact_refused"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Verified arrays, memory-mapped copy-on-write, and the facts of their manifest."""

    sha256: str
    facts: Mapping[str, Any]
    arrays: dict[str, NDArray[Any]]


def save(
    arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Store arrays with their facts; return (hash that names them, manifest).

    Idempotent: equal arrays and facts have one name. The manifest is written last, so a kill in
    between leaves nothing that loads.

    Parameters
    ----------
    arrays
        Names are identifiers; no dtype may hold objects.
    facts
        Plain JSON: algorithm, config, data window, metrics.

    Raises
    ------
    ArtifactError
        The storage cannot be written: it is full, say, or renames files.
    """
    store = storages["models"]
    bodies: dict[str, bytes] = {}
    listed: dict[str, Any] = {}
    for name, array in sorted(arrays.items()):
        if not _NAME.fullmatch(name) or array.dtype.hasobject:
            msg = f"array {name!r} needs a plain name and a plain dtype, not {array.dtype}"
            raise ValueError(msg)
        bodies[name] = _npy(array)
        listed[name] = {
            "sha256": hashlib.sha256(bodies[name]).hexdigest(),
            "bytes": len(bodies[name]),
            "dtype": array.dtype.str,
            "shape": list(array.shape),
        }
    manifest = {"format": FORMAT, "arrays": listed, "facts": dict(facts)}
    body = orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        for name, data in bodies.items():
            _put(store, f"{sha256}/{name}.npy", data)
        _put(store, f"{sha256}/{_MANIFEST}", body)
    except OSError as error:
        msg = f"the models storage (MODEL_DIR) cannot be written: {error.strerror or error}"
        raise ArtifactError(msg) from error
    return sha256, manifest


def load(sha256: str) -> Artifact:
    """Return the artifact of that hash, fetched to this node if need be, every byte verified.

    A node's copy that does not verify is thrown away and fetched again once.

    Raises
    ------
    ArtifactError
        What the storage holds does not verify either.
    """
    if not _HASH.fullmatch(sha256):
        msg = "an artifact is named by 64 hex digits"
        raise ArtifactError(msg)
    folder = Path(settings.MODEL_CACHE_DIR) / sha256
    if os.path.lexists(folder):
        try:
            return _open(folder, sha256)
        except ArtifactError:
            _remove(folder)
    _materialise(folder, sha256)
    return _open(folder, sha256)


def prune_cache(keep: Collection[str]) -> int:
    """Remove this node's copies other than `keep`; return how many. Mapped files stay readable."""
    root = Path(settings.MODEL_CACHE_DIR)
    gone = [path for path in root.glob("*") if _HASH.fullmatch(path.name) and path.name not in keep]
    for path in gone:
        _remove(path)
    return len(gone)


def drop(keep: Collection[str], *, before: datetime) -> int:
    """Delete stored artifacts other than `keep` written before `before`; return how many.

    The manifest goes first: what is half deleted after a kill does not load, and goes next time.
    """
    store = storages["models"]
    try:
        found, _ = store.listdir("")
    except FileNotFoundError:
        return 0
    gone = 0
    for sha256 in found:
        if not _HASH.fullmatch(sha256) or sha256 in keep:
            continue
        names = [f"{sha256}/{name}" for name in store.listdir(sha256)[1]]
        if any(store.get_modified_time(name) >= before for name in names):
            continue
        for name in sorted(names, key=lambda name: not name.endswith(_MANIFEST)):
            store.delete(name)
        store.delete(sha256)
        gone += 1
    return gone


def _npy(array: NDArray[Any]) -> bytes:
    body = BytesIO()
    np.save(body, np.ascontiguousarray(array), allow_pickle=False)
    return body.getvalue()


def _put(store: Storage, name: str, body: bytes) -> None:
    """Write a file under exactly this name; one that a kill left behind is replaced."""
    if store.exists(name):
        with store.open(name, "rb") as file:
            if hashlib.sha256(file.read()).digest() == hashlib.sha256(body).digest():
                return
        store.delete(name)
    stored = store.save(name, File(BytesIO(body)))
    if stored != name:
        store.delete(stored)
        msg = f"the models storage renamed {name}; it must keep names and not transform files"
        raise ArtifactError(msg)


def _materialise(folder: Path, sha256: str) -> None:
    """Copy an artifact from the storage into `folder`, all or nothing, safe against a power cut."""
    store = storages["models"]
    made = _made_beside(folder, sha256)
    try:
        with store.open(f"{sha256}/{_MANIFEST}", "rb") as file:
            manifest = _manifest(file.read(), sha256)
        _write(made / _MANIFEST, BytesIO(orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)))
        for name in manifest["arrays"]:
            with store.open(f"{sha256}/{name}.npy", "rb") as file:
                _write(made / f"{name}.npy", file)
        _sync(made)
        # another process of this node may have been faster; its copy is as good
        if not folder.exists():
            made.rename(folder)
            _sync(folder.parent)
    except FileNotFoundError as error:
        msg = f"the models storage lacks a file of {sha256[:12]}"
        raise ArtifactError(msg) from error
    except OSError as error:
        if folder.exists():
            return
        msg = f"the files of {sha256[:12]} cannot be copied: {error.strerror or error}"
        raise ArtifactError(msg) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _made_beside(folder: Path, sha256: str) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{sha256[:12]}-", dir=folder.parent))
    except OSError as error:
        msg = f"{folder.parent} (MODEL_CACHE_DIR) cannot be written: {error.strerror or error}"
        raise ArtifactError(msg) from error


def _remove(path: Path) -> None:
    """Remove what lies there, as far as that can be: a folder, a file, a link to nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def _write(path: Path, source: Any) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(source, file, _BLOCK)
        # it is mapped while it serves: a write in place would reach, or end, every web worker
        os.fchmod(file.fileno(), 0o444)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _manifest(body: bytes, sha256: str) -> dict[str, Any]:
    if hashlib.sha256(body).hexdigest() != sha256:
        msg = f"manifest {sha256[:12]} was changed"
        raise ArtifactError(msg)
    # the hash matched: these bytes are what `save` wrote
    manifest: dict[str, Any] = orjson.loads(body)
    if manifest["format"] != FORMAT:
        msg = f"artifact {sha256[:12]} has layout {manifest['format']}; this code reads {FORMAT}"
        raise ArtifactError(msg)
    return manifest


def _open(folder: Path, sha256: str) -> Artifact:
    try:
        manifest = _manifest((folder / _MANIFEST).read_bytes(), sha256)
        arrays = {
            name: _array(folder / f"{name}.npy", listed)
            for name, listed in manifest["arrays"].items()
        }
    except OSError as error:
        msg = f"this node's copy of {sha256[:12]} cannot be read: {error.strerror or error}"
        raise ArtifactError(msg) from error
    return Artifact(sha256, manifest["facts"], arrays)


def _array(path: Path, listed: Mapping[str, Any]) -> NDArray[Any]:
    with path.open("rb") as file:
        found = _digest(file)
    if path.stat().st_size != listed["bytes"] or found != listed["sha256"]:
        msg = f"{path.name} of {path.parent.name[:12]} is cut short or changed"
        raise ArtifactError(msg)
    # "c": implicit's scorers refuse read-only buffers; pages are shared until written, and none is
    array: NDArray[Any] = np.load(
        path, mmap_mode="c" if _mappable(listed) else None, allow_pickle=False
    )
    # a plain view of the map: each slice of a memmap costs ten times as much
    return array.view(np.ndarray)


def _mappable(listed: Mapping[str, Any]) -> bool:
    """Whether there is anything to map: the system refuses to map no bytes."""
    return all(listed["shape"])


def _digest(file: BufferedReader) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()
