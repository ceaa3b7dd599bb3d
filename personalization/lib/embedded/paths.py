"""Where the embedded servers live, listen and as whom. It only looks; settings import it."""

import hashlib
import os
import tempfile
from pathlib import Path

# A Unix socket path holds 107 bytes on Linux; PostgreSQL adds "/.s.PGSQL.5432.lock".
_MAX_SOCKET_DIR = 80
# PostgreSQL refuses to run as root, so root hands the servers to this user: nobody.
_UNPRIVILEGED_UID = 65534
_SEARCH_OWNER, _SEARCH_GROUP, _SEARCH_OTHERS = 0o100, 0o010, 0o001


def runner(local_dir: Path) -> int | None:
    """User id that root starts the servers as; None for everybody else, who starts them as himself.

    A data directory that an ordinary user made goes on belonging to that user.
    """
    if os.geteuid() != 0:
        return None
    try:
        owner = (data_dir(local_dir) / "postgres").stat().st_uid
    except OSError:
        return _UNPRIVILEGED_UID
    return owner or _UNPRIVILEGED_UID


def data_dir(local_dir: Path) -> Path:
    """Directory that holds the servers' data: LOCAL_DIR, or where `LOCAL_DIR/servers-at` points."""
    try:
        return Path((local_dir / "servers-at").read_text(encoding="utf-8").strip())
    except OSError:
        return local_dir.resolve()


def passable(path: Path, uid: int | None) -> bool:
    """Tell whether user `uid` may walk down to `path`; missing directories are made passable."""
    if uid is None:
        return True
    return all(_may_search(parent, uid) for parent in path.resolve().parents)


def socket_dir(local_dir: Path) -> Path:
    """Directory of all sockets: LOCAL_DIR/run, or a short one under the temporary directory."""
    wanted = local_dir.resolve() / "run"
    if len(os.fsencode(wanted)) <= _MAX_SOCKET_DIR and passable(
        local_dir.resolve(), runner(local_dir)
    ):
        return wanted
    digest = hashlib.sha256(f"{os.geteuid()}:{wanted}".encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"p13n-{digest}"


def database(local_dir: Path) -> dict[str, str]:
    """Django's settings of the embedded PostgreSQL."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "personalization",
        "USER": "postgres",
        "HOST": str(socket_dir(local_dir)),
    }


def redis_socket(local_dir: Path, name: str) -> Path:
    """Socket of the embedded Redis `name` (`cache` or `broker`)."""
    return socket_dir(local_dir) / f"{name}.sock"


def redis_url(local_dir: Path, name: str) -> str:
    """URL of the embedded Redis `name`, for redis-py."""
    return f"unix://{redis_socket(local_dir, name)}"


def broker_url(local_dir: Path) -> str:
    """URL of the embedded broker, for Celery."""
    return f"redis+socket://{redis_socket(local_dir, 'broker')}"


def _may_search(directory: Path, uid: int) -> bool:
    try:
        found = directory.stat()
    except OSError:
        return True
    if found.st_uid == uid:
        return bool(found.st_mode & _SEARCH_OWNER)
    # Supplementary groups are not looked up: the servers run without them.
    bit = _SEARCH_GROUP if found.st_gid == uid else _SEARCH_OTHERS
    return bool(found.st_mode & bit)
