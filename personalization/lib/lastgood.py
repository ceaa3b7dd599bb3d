"""What a node last served, kept on its disk, so that a process can start while PostgreSQL is away.

One file a name, readable by the server's user alone; bytes that do not verify are as good as none.
Knows nothing of what is in them.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import structlog
from django.conf import settings

from personalization.lib import clock

log = structlog.get_logger("lib")

_HASH_LENGTH = 64
# How often `confirm` writes to the disk.
_CONFIRM_EVERY_S = 60


def keep(name: str, label: str, body: bytes) -> None:
    """Keep `body` under `name`; a disk that refuses is logged, and what was kept stays.

    Several processes of a node keep the same: whoever finds `label` (one line) there writes
    nothing. The file is replaced as a whole or not at all.
    """
    path = _path(name)
    try:
        if _label(path) == label:
            confirm(name)
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(path, _head(label, body) + body)
    except OSError as error:
        log.warning("lastgood.not_kept", name=name, error=error.strerror or str(error))


def confirm(name: str) -> None:
    """Say that what is kept under `name`, if anything, still holds: its age begins anew."""
    path, now_s = _path(name), clock.now().timestamp()
    try:
        if now_s - path.stat().st_mtime >= _CONFIRM_EVERY_S:
            os.utime(path, (now_s, now_s))
    except OSError:
        return


def recall(name: str, *, max_age_s: float = float("inf")) -> tuple[str, bytes] | None:
    """Return (label, body) as last kept.

    None when there is nothing, nothing that verifies, or nothing that was kept or confirmed in the
    last `max_age_s`.
    """
    path = _path(name)
    try:
        head, newline, body = path.read_bytes().partition(b"\n")
        age_s = clock.now().timestamp() - path.stat().st_mtime
    except OSError:
        return None
    if age_s > max_age_s:
        log.warning("lastgood.too_old", name=name, age_s=round(age_s))
        return None
    label = head[_HASH_LENGTH + 1 :].decode(errors="replace")
    if not newline or head + newline != _head(label, body):
        log.warning("lastgood.refused", name=name)
        return None
    return label, body


def _path(name: str) -> Path:
    return Path(settings.LAST_GOOD_DIR) / name


def _head(label: str, body: bytes) -> bytes:
    line = label.encode() + b"\n"
    hashed = hashlib.sha256(line)
    hashed.update(body)
    return hashed.hexdigest().encode() + b" " + line


def _label(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.readline()[_HASH_LENGTH + 1 : -1].decode(errors="replace")
    except FileNotFoundError:
        return None


def _replace(path: Path, content: bytes) -> None:
    """Write beside and rename, safe against a kill and a power cut. mkstemp makes the file 0600."""
    descriptor, made = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        now_s = clock.now().timestamp()
        os.utime(made, (now_s, now_s))
        os.replace(made, path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
