"""Start, stop and look at the project's own servers: those that no URL in the settings replaces."""

from pathlib import Path

from django.conf import settings

from personalization.lib.embedded import paths, place, postgres, redis_server
from personalization.lib.embedded.place import EmbeddedServerError

__all__ = [
    "EmbeddedServerError",
    "answers",
    "ensure",
    "needed_by",
    "remove",
    "start",
    "stop",
    "wanted",
]

# Commands that read or write nothing in a server, or start what they need once they have looked
# around (`up`, `demo`); for all others what is missing is started first.
_OFFLINE = frozenset(
    {
        "check",
        "collectstatic",
        "compilemessages",
        "demo",
        "diffsettings",
        "doctor",
        "evaluate",
        "findstatic",
        "help",
        "makemessages",
        "makemigrations",
        "servers",
        "spectacular",
        "startapp",
        "startproject",
        "test",
        "up",
        "version",
        "--help",
        "--version",
        "-h",
    }
)


def wanted() -> tuple[str, ...]:
    """Names of the servers this deployment runs itself: of postgres, cache, broker."""
    urls = {
        "postgres": settings.DATABASE_URL,
        "cache": settings.REDIS_URL,
        "broker": settings.BROKER_URL,
    }
    return tuple(name for name, url in urls.items() if not url)


def needed_by(arguments: list[str]) -> bool:
    """Tell whether a command line of manage.py needs running servers."""
    command = arguments[1] if len(arguments) > 1 else "help"
    return command not in _OFFLINE and "--help" not in arguments


def ensure() -> list[str]:
    """Have the servers of `wanted` run: a quick look when they do, a start under lock when not.

    Returns those that did not answer.
    """
    return start(settings.LOCAL_DIR, wanted())


def start(local_dir: Path, names: tuple[str, ...] = ("postgres", "cache", "broker")) -> list[str]:
    """Start those of `names` that do not answer, and return them.

    Raises
    ------
    EmbeddedServerError
        With the cause, when one cannot be started.
    """
    missing = [name for name in names if not answers(local_dir, name)]
    if not missing:
        return []
    with place.locked(local_dir):
        where = place.settle(local_dir)
        for name in missing:
            if name == "postgres":
                postgres.start(where)
            else:
                redis_server.start(where, name)
    return missing


def stop(local_dir: Path, names: tuple[str, ...] = ("postgres", "cache", "broker")) -> None:
    """Stop those of `names` that run, PostgreSQL last."""
    if not local_dir.exists():
        return
    with place.locked(local_dir):
        where = place.settle(local_dir)
        for name in sorted(names):
            if name == "postgres":
                postgres.stop(where)
            else:
                redis_server.stop(where, name)


def remove(local_dir: Path) -> None:
    """Stop the servers and delete their data."""
    stop(local_dir)
    place.remove(local_dir)


def answers(local_dir: Path, name: str) -> bool:
    """Tell whether server `name` takes requests."""
    sockets = paths.socket_dir(local_dir)
    if name == "postgres":
        return postgres.answers(sockets)
    return redis_server.answers(sockets, name)
