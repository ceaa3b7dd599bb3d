"""Where the embedded servers live and listen. Pure path arithmetic: settings import it."""

import hashlib
import tempfile
from pathlib import Path

# A Unix socket path holds 107 bytes on Linux; PostgreSQL adds "/.s.PGSQL.5432".
_MAX_SOCKET_DIR = 80


def socket_dir(local_dir: Path) -> Path:
    """Directory of all sockets: LOCAL_DIR/run, or a short one under the temporary directory."""
    wanted = local_dir.resolve() / "run"
    if len(str(wanted)) <= _MAX_SOCKET_DIR:
        return wanted
    digest = hashlib.sha256(str(wanted).encode()).hexdigest()[:12]
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
