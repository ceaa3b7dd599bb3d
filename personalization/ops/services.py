"""Writes of the ops room: configuration is published and rolled back."""

from hashlib import sha256
from typing import Any

import orjson
from django.db import connection, transaction

from personalization.lib import clock
from personalization.lib.errors import AppError, Problem
from personalization.lib.registries import config_parts
from personalization.ops import errors, serve
from personalization.ops.models import ConfigVersion

# Any constant: the advisory lock that makes versions gapless. ASCII "conf".
_LOCK = 0x636F6E66


@transaction.atomic
def publish(*, actor: str, note: str = "") -> ConfigVersion:
    """Publish what the tables say now, in the caller's transaction; return the newest version.

    Idempotent: when nothing changed, no version is made. Publishers wait for each other until
    commit, so that each exports what the one before it wrote.

    Raises
    ------
    ConfigInvalid
        Names every fault of every part, with its path; the caller's transaction must roll back.
    """
    _lock()
    data = {name: entry.export() for name, entry in config_parts.items()}
    _validate(data)
    return _append(data, actor=actor, note=note)


@transaction.atomic
def rollback(*, version: int, actor: str) -> ConfigVersion:
    """Publish the content of an old version as a new one; return it.

    The tables stay as they are: the next `publish` publishes them again. A part that says
    `never_rolls_back` (API keys: a revoked key must stay revoked) keeps its present state.

    Raises
    ------
    VersionUnknown
        There is no such version.
    ConfigInvalid
        Today's code cannot serve that version.
    """
    _lock()
    old = ConfigVersion.objects.filter(version=version).first()
    if old is None:
        msg = f"there is no configuration version {version}"
        raise errors.VersionUnknown(msg)
    data = orjson.loads(old.body)
    for name, entry in config_parts.items():
        if name not in data or getattr(entry, "never_rolls_back", False):
            data[name] = entry.export()
    _validate(data)
    return _append(data, actor=actor, note=f"rollback to {version}")


def _append(data: dict[str, Any], *, actor: str, note: str) -> ConfigVersion:
    body = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    hashed = sha256(body).hexdigest()
    newest = ConfigVersion.objects.order_by("-version").first()
    if newest is not None and newest.sha256 == hashed:
        return newest
    row = ConfigVersion.objects.create(
        version=newest.version + 1 if newest else 1,
        sha256=hashed,
        body=body.decode(),
        note=note[:200],
        actor=actor[:150],
        created_at=clock.now(),
    )
    # This process need not wait for its watcher; an uncommitted version is seen by nobody else.
    serve.look_again()
    transaction.on_commit(serve.reload)
    return row


def _validate(data: dict[str, Any]) -> None:
    problems: list[Problem] = []
    for name, entry in config_parts.items():
        try:
            entry.validate(data[name])
        except AppError as error:
            faults = error.details or (Problem("", error.message),)
            problems += [Problem(_path(name, fault.path), fault.problem) for fault in faults]
    if problems:
        msg = "this configuration could not be served; nothing was published"
        raise errors.ConfigInvalid(msg, details=problems)


def _path(part: str, path: str) -> str:
    return f"{part}.{path}" if path and not path.startswith("[") else f"{part}{path}"


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
