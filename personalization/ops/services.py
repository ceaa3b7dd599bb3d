"""Writes of the ops room: configuration is published and rolled back; jobs run and are stopped."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
from django.db import transaction
from django.db.models import F, Model, Q, QuerySet

from personalization.lib import clock
from personalization.lib.errors import AppError, Problem
from personalization.lib.locks import hold
from personalization.lib.registries import (
    CheckedPart,
    ConfigPart,
    FittedPart,
    RestorablePart,
    config_parts,
    job_tasks,
    log_fillers,
    trails,
)
from personalization.lib.tasks import enqueue
from personalization.ops import errors, serve
from personalization.ops.models import ConfigVersion, JobRun


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
    hold(ConfigVersion._meta.db_table)
    data = {name: entry.export() for name, entry in config_parts.items()}
    _validate(data)
    return _append(data, actor=actor, note=note)


@transaction.atomic
def rollback(*, version: int, actor: str) -> ConfigVersion:
    """Publish the content of an old version as a new one; return it.

    The tables follow, so that the next `publish` does not undo it. A part that says
    `never_rolls_back` (API keys: a revoked key must stay revoked) keeps its present state.

    Raises
    ------
    VersionUnknown
        There is no such version.
    ConfigInvalid
        Today's code cannot serve that version.
    RollbackRefused
        A part differs whose tables cannot follow; nothing was changed.
    """
    hold(ConfigVersion._meta.db_table)
    old = ConfigVersion.objects.filter(version=version).first()
    if old is None:
        msg = f"there is no configuration version {version}"
        raise errors.VersionUnknown(msg)
    newest = ConfigVersion.objects.order_by("-version").values_list("version", flat=True)[0]
    told = orjson.loads(old.body)
    _restore(told)
    data = {name: entry.export() for name, entry in config_parts.items()}
    _validate(data)
    row = _append(data, actor=actor, note=f"rollback to {version}")
    if row.version != newest:
        _note(
            actor=actor,
            action="rollback",
            obj=row,
            before={"version": newest},
            after={"version": row.version, "restored": version},
        )
    return row


def _restore(told: dict[str, Any]) -> None:
    """Bring the tables of every part that differs to what `told` says, or refuse as a whole."""
    present = _plain({name: entry.export() for name, entry in config_parts.items()})
    due = {
        name: entry
        for name, entry in config_parts.items()
        if name in told
        and told[name] != present[name]
        and not getattr(entry, "never_rolls_back", False)
    }
    stuck = sorted(name for name, entry in due.items() if not isinstance(entry, RestorablePart))
    if stuck:
        msg = f"the tables of {', '.join(stuck)} cannot be brought back; change them by hand"
        raise errors.RollbackRefused(msg)
    _validate(present | {name: told[name] for name in due})
    for name, entry in due.items():
        if isinstance(entry, RestorablePart):
            entry.restore(told[name])


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = orjson.loads(orjson.dumps(data))
    return plain


def _note(*, actor: str, action: str, obj: Model, before: Any = None, after: Any = None) -> None:
    """Write one row of the audit trail, which a floor above keeps."""
    for _, write in trails.items():  # noqa: PERF102 -- a Registry, not a dict
        write(actor=actor, action=action, obj=obj, before=before, after=after)


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
    # What else waits for the commit must not suffer when this fails: the watcher looks again.
    transaction.on_commit(serve.reload, robust=True)
    return row


def _validate(data: dict[str, Any]) -> None:
    problems = [
        Problem(_path(name, fault.path), fault.problem)
        for name, entry in config_parts.items()
        for fault in _faults(name, entry, data)
    ]
    if problems:
        msg = "this configuration could not be served; nothing was published"
        raise errors.ConfigInvalid(msg, details=problems)


def _faults(name: str, entry: ConfigPart, data: dict[str, Any]) -> Sequence[Problem]:
    """Return every fault of a part: what it says is checked, then it is built as readers will."""
    try:
        if isinstance(entry, CheckedPart):
            entry.validate(data[name])
        if isinstance(entry, FittedPart):
            entry.check(data[name], data)
    except AppError as error:
        return error.details or (Problem("", error.message),)
    try:
        plain = _plain({"": data[name]})[""]
    except TypeError as error:
        return (Problem("", f"cannot be kept as JSON: {error}"),)
    try:
        serve.build_part(name, entry, plain)
    except errors.NotBuilt as error:
        return error.details
    return ()


def _path(part: str, path: str) -> str:
    return f"{part}.{path}" if path and not path.startswith("[") else f"{part}{path}"


# A running job says so at least this often; a longer silence means that its process died.
STALE_AFTER = timedelta(minutes=5)
_Status = JobRun.Status
# A run that fails or dies by itself begins this often; after that somebody must look (`resume`).
MAX_ATTEMPTS = 3
_RESUMABLE = (_Status.FAILED, _Status.CANCELLED)
_STARTABLE = Q(status=_Status.PENDING) | Q(status=_Status.FAILED, attempts__lt=MAX_ATTEMPTS)


@transaction.atomic
def request_run(
    *, kind: str, slot: str, params: Mapping[str, Any], total: int | None = None
) -> JobRun:
    """Make a run that somebody asks for and wake its task; a wake-up that is lost is swept.

    Sweepers go through `open_slots`.
    """
    run = JobRun.objects.create(
        kind=kind, slot=slot, params=dict(params), total=total, created_at=clock.now()
    )
    enqueue(job_tasks[kind], slot)
    return run


def open_slots(kind: str) -> list[str]:
    """Return the slots of a kind whose runs are not over, oldest first; some may be at work."""
    runs = JobRun.objects.filter(_STARTABLE | Q(status=_Status.RUNNING), kind=kind)
    return list(runs.order_by("pk").values_list("slot", flat=True))


def night_of(now: datetime) -> str:
    """Return the slot of the night of a day, by which all that learns by itself goes."""
    return f"nightly {now:%Y-%m-%d}"


def slot_at(now: datetime, *, is_first: bool) -> str:
    """Return the slot that is due: one a night; one an hour while nothing was learned yet."""
    return f"first {now:%Y-%m-%d %H}h" if is_first else night_of(now)


def start_run(*, kind: str, slot: str, params: Mapping[str, Any] | None = None) -> JobRun | None:
    """Return the run of (kind, slot), now running; None when that slot is done, or being done.

    One that was resumed, that failed, or whose process died in silence goes on from its
    checkpoint; the latter two until they began MAX_ATTEMPTS times. Two callers at once: one
    gets it.
    """
    now = clock.now()
    made = JobRun(
        kind=kind,
        slot=slot,
        params=dict(params or {}),
        status=_Status.PENDING,
        created_at=now,
    )
    JobRun.objects.bulk_create([made], ignore_conflicts=True)
    mine = JobRun.objects.filter(kind=kind, slot=slot)
    _bury(mine.filter(heartbeat_at__lt=now - STALE_AFTER), now)
    taken = mine.filter(_STARTABLE).update(
        status=_Status.RUNNING,
        attempts=F("attempts") + 1,
        started_at=now,
        heartbeat_at=now,
        finished_at=None,
        error="",
    )
    return mine.get() if taken else None


def is_at_work(kind: str) -> bool:
    """Whether a run of a kind is at work; of those that died in silence it says how they ended.

    Whatever their slots: nobody starts that of a night which has passed again.
    """
    now = clock.now()
    runs = JobRun.objects.filter(kind=kind, status=_Status.RUNNING)
    _bury(runs.filter(heartbeat_at__lt=now - STALE_AFTER), now)
    return runs.exists()


def is_log_filling() -> bool:
    """Whether a run that fills the log with a history is at work."""
    kinds = [kind for kind, _ in log_fillers.items()]
    alive = Q(status=_Status.RUNNING, heartbeat_at__gte=clock.now() - STALE_AFTER)
    return JobRun.objects.filter(alive, kind__in=kinds).exists()


def bury(*, kind: str, slot: str) -> None:
    """Say of a run that nobody works on (`claims.alone`) how it ended, where it says it runs."""
    _bury(JobRun.objects.filter(kind=kind, slot=slot), clock.now())


def _bury(runs: QuerySet[JobRun], now: datetime) -> None:
    """Say of runs whose process died in silence how they ended: what is asked of the dead holds."""
    dead = runs.filter(status=_Status.RUNNING)
    dead.filter(cancel_requested=True).update(status=_Status.CANCELLED, finished_at=now)
    dead.update(status=_Status.FAILED, error="the process ended without a word", finished_at=now)


def advance(
    run_id: int,
    *,
    done: int | None = None,
    total: int | None = None,
    checkpoint: Mapping[str, Any] | None = None,
) -> None:
    """Note that a run lives, and how far it is; what is None stays.

    Raises
    ------
    Cancelled
        Somebody asked it to stop (the run is marked so), or it is not running any more.
    """
    values: dict[str, Any] = {"heartbeat_at": clock.now()}
    told = {"done": done, "total": total, "checkpoint": checkpoint}
    values |= {name: value for name, value in told.items() if value is not None}
    running = JobRun.objects.filter(pk=run_id, status=_Status.RUNNING)
    if running.filter(cancel_requested=False).update(**values):
        return
    running.update(status=_Status.CANCELLED, finished_at=clock.now(), **values)
    msg = f"run {run_id} was asked to stop"
    raise errors.Cancelled(msg)


def succeed(run_id: int, *, result: Mapping[str, Any] | None = None) -> None:
    """Mark a running run as done. A run in another state stays as it is."""
    now = clock.now()
    JobRun.objects.filter(pk=run_id, status=_Status.RUNNING).update(
        status=_Status.SUCCEEDED, result=dict(result or {}), finished_at=now, heartbeat_at=now
    )


def fail(run_id: int, *, error: str) -> None:
    """Mark a running run as failed, with what people need to know."""
    now = clock.now()
    JobRun.objects.filter(pk=run_id, status=_Status.RUNNING).update(
        status=_Status.FAILED, error=error[:4000], finished_at=now, heartbeat_at=now
    )


@transaction.atomic
def request_cancel(run_id: int, *, actor: str) -> bool:
    """Ask a run to stop at its next `advance`; one that did not begin is cancelled at once.

    Return whether there was something to stop.
    """
    pending = JobRun.objects.filter(pk=run_id, status=_Status.PENDING)
    running = JobRun.objects.filter(pk=run_id, status=_Status.RUNNING, cancel_requested=False)
    stopped = pending.update(status=_Status.CANCELLED, finished_at=clock.now())
    if not stopped and not running.update(cancel_requested=True):
        return JobRun.objects.filter(pk=run_id, status=_Status.RUNNING).exists()
    run = JobRun.objects.get(pk=run_id)
    _note(actor=actor, action="cancel", obj=run, after={"status": run.status, "done": run.done})
    return True


@transaction.atomic
def resume(run_id: int, *, actor: str) -> JobRun:
    """Let a failed, cancelled or silent run go on from its checkpoint; wake its task, if any.

    Raises
    ------
    JobStateWrong
        The run is pending, succeeded, or still alive.
    """
    silent = Q(status=_Status.RUNNING, heartbeat_at__lt=clock.now() - STALE_AFTER)
    revived = JobRun.objects.filter(Q(status__in=_RESUMABLE) | silent, pk=run_id).update(
        status=_Status.PENDING, cancel_requested=False, finished_at=None, attempts=0
    )
    if not revived:
        msg = f"run {run_id} is not failed, cancelled or silent for {STALE_AFTER}"
        raise errors.JobStateWrong(msg)
    run = JobRun.objects.get(pk=run_id)
    _note(actor=actor, action="resume", obj=run, after={"done": run.done})
    if run.kind in job_tasks:
        enqueue(job_tasks[run.kind], run.slot)
    return run
