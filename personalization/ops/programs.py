"""The programs of one machine: what `manage.py up` runs, and with which flags."""

import sys

from django.conf import settings

from personalization.lib.embedded import servers
from personalization.lib.supervisor.plan import Program


def manage(name: str, *arguments: str, once: bool = False) -> Program:
    """Return a program that runs one command of manage.py."""
    script = str(settings.BASE_DIR / "manage.py")
    return Program(name, [sys.executable, script, *arguments], _process(name), once=once)


def prepare() -> Program:
    """Return what runs before all else: migrations and static files."""
    return manage("prepare", "prepare", once=True)


def programs() -> list[Program]:
    """Return all programs in the order of their start."""
    watcher = [manage("servers", "servers", "watch")] if servers.wanted() else []
    return [*watcher, _web(), manage("processor", "process"), _worker(), manage("beat", "beat")]


def _web() -> Program:
    granian = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"]
    flags = {
        "--host": settings.HOST,
        "--port": settings.PORT,
        "--workers": settings.WEB_WORKERS,
        "--blocking-threads": settings.WEB_THREADS,
        "--backlog": 2048,
        # A killed worker is replaced at once; one that does not stop is killed.
        "--respawn-interval": 0.5,
        "--workers-kill-timeout": 10,
        "--log-level": "warning",
    }
    values = [str(part) for pair in flags.items() for part in pair]
    command = [*granian, *values, "--respawn-failed-workers", "personalization.wsgi:application"]
    return Program("web", command, _process("web"))


def _worker() -> Program:
    """Return the Celery worker. Its pool forks; training starts a process of its own."""
    celery = [sys.executable, "-m", "celery", "--app", "personalization.celery", "--quiet"]
    flags = ["worker", "--pool", "prefork", "--concurrency", str(settings.WORKER_CONCURRENCY)]
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", settings.LOG_LEVEL]
    return Program("worker", [*celery, *flags, *quiet], _process("worker"), stop_timeout_s=30.0)


def _process(name: str) -> dict[str, str]:
    return {"P13N_PROCESS": name, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
