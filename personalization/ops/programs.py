"""The programs of one machine: what `manage.py up` runs, and with which flags."""

import hashlib
import os
import sys

from django.conf import settings
from django.db.migrations.loader import MigrationLoader

from personalization.lib import lastgood, ports
from personalization.lib.embedded import servers
from personalization.lib.supervisor.plan import Program

# `prepare` ends with it when PostgreSQL cannot be reached (EX_TEMPFAIL of sysexits.h).
STORE_AWAY = 75
_PREPARED = "prepared"
# As `celery --app personalization.celery`, which looks for that in the folder where it was called.
_CELERY = "import sys; from personalization.celery import app; sys.exit(app.start(sys.argv[1:]))"


def manage(name: str, *arguments: str, once: bool = False) -> Program:
    """Return a program that runs one command of manage.py."""
    script = str(settings.BASE_DIR / "manage.py")
    return Program(name, [sys.executable, script, *arguments], _process(name), once=once)


def importable() -> dict[str, str]:
    """Return the environment in which a child finds the project from wherever it starts.

    It starts where its parent did, so that relative paths of settings mean the same to both, and
    imports nothing from there: that folder may hold a `json.py` of somebody's.
    """
    paths = (str(settings.BASE_DIR), os.environ.get("PYTHONPATH", ""))
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}


def prepare() -> Program:
    """Return what runs before all else: migrations and static files."""
    return manage("prepare", "prepare", once=True)


def note_prepared() -> None:
    """Keep on this node's disk that the tables are those of the code."""
    lastgood.keep(_PREPARED, _tables(), b"")


def prepared_before() -> bool:
    """Whether this node has prepared this very code's tables before.

    If so its programs may start while PostgreSQL is away: they serve what the node last served, and
    find no table that they do not know when it returns.
    """
    kept = lastgood.recall(_PREPARED)
    return kept is not None and kept[0] == _tables()


def programs() -> list[Program]:
    """Return all programs in the order of their start."""
    watcher = [manage("servers", "servers", "watch")] if servers.wanted() else []
    workers = [
        _worker("worker", "celery", settings.WORKER_CONCURRENCY, stop_timeout_s=30.0),
        # one at a time, as each fit uses what the machine has; what is killed goes on later
        _worker("learner", "learning", 1, stop_timeout_s=10.0),
    ]
    return [*watcher, _web(), manage("processor", "process"), *workers, manage("beat", "beat")]


def _tables() -> str:
    """Name the state of the tables that the code expects."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    names = sorted(f"{app}.{name}" for app, name in loader.disk_migrations)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _web() -> Program:
    granian = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"]
    flags = {
        "--host": ports.address_of(settings.HOST),
        "--port": settings.PORT,
        "--workers": settings.WEB_WORKERS,
        "--blocking-threads": settings.WEB_THREADS,
        "--backlog": 2048,
        # A killed worker is replaced at once; one that does not stop is killed.
        "--respawn-interval": 0.5,
        "--workers-kill-timeout": 10,
        "--log-level": "warning",
        # where it imports from, not where it stands; else it would be where it was started
        "--working-dir": settings.BASE_DIR,
    }
    values = [str(part) for pair in flags.items() for part in pair]
    # by its file: a dotted name would be looked for in the folder of the start, and in its package
    application = f"{settings.BASE_DIR / 'personalization' / 'wsgi.py'}:application"
    command = [*granian, *values, "--respawn-failed-workers", application]
    return Program("web", command, _process("web"))


def _worker(name: str, queue: str, concurrency: int, *, stop_timeout_s: float) -> Program:
    """Return the Celery worker of a queue. Its pool forks; training starts a process of its own."""
    celery = [sys.executable, "-c", _CELERY, "--quiet"]
    flags = ["worker", "--pool", "prefork", "--concurrency", str(concurrency)]
    whose = ["--queues", queue, "--hostname", f"{name}@%h"]
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", settings.LOG_LEVEL]
    command = [*celery, *flags, *whose, *quiet]
    return Program(name, command, _process(name), stop_timeout_s=stop_timeout_s)


def _process(name: str) -> dict[str, str]:
    own = {"P13N_PROCESS": name, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return own | importable()
