"""The processor's life: lease shards, fold what is new, rebuild what is due, write documents."""

import os
import secrets
import socket
import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from personalization.customers import documents, parking
from personalization.events import epoch
from personalization.events.processor import folding, positions, rebuilding
from personalization.lib import clock, collector
from personalization.lib.metrics import PROCESS_LAG_S, PROCESSED_EVENTS
from personalization.lib.registries import projections
from personalization.lib.stop import Stop
from personalization.ops.models import Heartbeat

log = structlog.get_logger("events")

KIND = "processor"
# What one micro-batch may take: it holds back the horizon of all processors, and freshness waits
# for it.
_BATCH_S = 0.2
_LEAST, _MOST = 1, 256
_IDLE_S = 0.05
_LEASE_EVERY_S = 2.0
_LEASE_FIRST_S = 0.2
# Documents of customers that change again at once are written together while there is a backlog.
_DOCUMENTS_EVERY_S = 0.5
_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_REBUILDS = 50
# Batches of profiles to one of the other groups, while there is a backlog.
_INSIGHT_EVERY = 4
# A failing group of projections is left alone for a while; the others go on.
_GROUP_PAUSE_S = 5.0
_ALIVE = positions.LEASE
_PULSE = """
SELECT last_value, pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM events_event_seq
"""
_LAG = """
SELECT extract(epoch FROM %s - min(e.received_at)) FROM events_watermark w
CROSS JOIN LATERAL (
    SELECT received_at FROM events_event e
    WHERE e.shard = w.shard AND (e.epoch, e.xid, e.seq) > (w.epoch, w.xid::text::xid8, w.seq)
    ORDER BY e.epoch, e.xid, e.seq LIMIT 1) e
WHERE w."group" = 'profile'
"""


class Processor:
    """One processor process: its leases, its pace, what it still has to write."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.name = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(3)}"
        # Whose shards to work on: this processor's, or with "" all that nobody works on at the
        # moment.
        self._owner = self.name
        self._monotonic = monotonic
        self._limit = 16
        self._turn = 0
        self._lease_at = 0.0
        self._documents_at = 0.0
        # Whether more than one round's work waits. If not, a short rest lets the next batch grow:
        # its fixed cost is that of a hundred events.
        self.behind = False
        self._changed: set[int] = set()
        self._paused: dict[str, float] = {}
        self._quiet_at: int | None = None
        self._seen: tuple[int, int] = (-1, 0)

    def start(self) -> None:
        """Make what the tables need; idempotent."""
        epoch.ensure()
        positions.ensure(self.groups())
        self._lease_at = 0.0
        self._quiet_at = None

    def stop(self) -> None:
        """Write what is left and give the shards back."""
        self._write_documents()
        for group in self.groups():
            positions.release(group, owner=self.name)
        Heartbeat.objects.filter(name=self.name).delete()

    def groups(self) -> list[str]:
        """Return the projection groups, `profile` first."""
        others = {projection.group for _, projection in projections.items()}
        return [positions.PROFILE, *sorted(others - {positions.PROFILE})]

    def turn(self) -> bool:
        """Do one round; return whether there was anything to do."""
        if self._owner and self._monotonic() >= self._lease_at:
            self._lease()
        rebuilt = rebuilding.rebuild_due(limit=_REBUILDS, now=clock.now())
        self._changed |= rebuilt
        self.behind = len(rebuilt) == _REBUILDS
        busy = self._profile() or bool(rebuilt)
        # with a backlog, what may lag is read less often and more of it at once
        if not self.behind or self._turn % _INSIGHT_EVERY == 0:
            for group in self.groups()[1:]:
                if self._insight(group):
                    busy = self.behind = True
        early = self._monotonic() < self._documents_at + _DOCUMENTS_EVERY_S
        if self._changed and not (self.behind and early):
            self._write_documents()
        return busy

    def drain(self) -> None:
        """Work on all shards, leased or not, until nothing is left below the horizon."""
        self.start()
        self._owner = ""
        while self.turn():
            self._quiet_at = None
        self._write_documents()

    def _lease(self) -> None:
        now = clock.now()
        Heartbeat.objects.update_or_create(name=self.name, defaults={"kind": KIND, "at": now})
        alive = Heartbeat.objects.filter(kind=KIND, at__gt=now - _ALIVE).count()
        for group in self.groups():
            positions.lease(group, owner=self.name, processors=alive, now=now)
        Heartbeat.objects.filter(kind=KIND, at__lt=now - timedelta(hours=1)).delete()
        # whoever starts beside this one has a heartbeat soon
        again = _LEASE_EVERY_S if self._lease_at else _LEASE_FIRST_S
        self._lease_at = self._monotonic() + again
        self._quiet_at = None
        self._measure_lag()

    def _profile(self) -> bool:
        if self._is_quiet():
            return False
        began = self._monotonic()
        self._turn += 1
        batch = folding.fold_next(
            owner=self._owner, limit=self._limit, now=clock.now(), turn=self._turn
        )
        if not batch.rows:
            # every transaction that could hold a number below the one seen has ended
            if batch.horizon.xid >= self._seen[1]:
                self._quiet_at = self._seen[0]
            return False
        self._changed |= batch.customers
        self.behind |= batch.full
        PROCESSED_EVENTS.inc(batch.rows)
        self._pace(self._monotonic() - began, full=batch.full)
        return True

    def _pace(self, seconds: float, *, full: bool) -> None:
        """Choose the size of the next batch so that it takes about _BATCH_S."""
        if seconds > _BATCH_S:
            self._limit = max(_LEAST, int(self._limit * _BATCH_S / seconds))
        elif full:
            self._limit = min(_MOST, self._limit * 2 if seconds < _BATCH_S / 2 else self._limit + 4)

    def _is_quiet(self) -> bool:
        """Whether no row can have come since the last empty round.

        The log's counter stands still.
        """
        with connection.cursor() as cursor:
            cursor.execute(_PULSE)
            value, next_xid = cursor.fetchone()
        if value != self._seen[0]:
            self._seen = value, next_xid
        return bool(self._quiet_at == value)

    def _insight(self, group: str) -> bool:
        if self._monotonic() < self._paused.get(group, 0.0):
            return False
        try:
            return bool(
                folding.fold_insight(
                    group,
                    owner=self._owner,
                    limit=min(self._limit * _INSIGHT_EVERY, _MOST),
                    now=clock.now(),
                )
            )
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # worker edge: one projection must not stop the others
            log.exception("processor.group_failed", group=group)
            self._paused[group] = self._monotonic() + _GROUP_PAUSE_S
            return False

    def _write_documents(self) -> None:
        """Write what changed; where Redis is away the dirty rows stay for the sweep."""
        documents.write_now(self._changed)
        self._changed.clear()
        self._documents_at = self._monotonic()

    def _measure_lag(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_LAG, [clock.now()])
            PROCESS_LAG_S.set(float(cursor.fetchone()[0] or 0.0))


def run(stop: Stop) -> None:
    """Process until `stop` is set.

    PostgreSQL may go and come back: nothing is lost and nothing done twice.
    """
    processor = Processor()
    collector.calm()
    log.info("processor.started", processor=processor.name)
    failures = 0
    ready = release = False
    while not stop.is_set():
        try:
            if not ready:
                processor.start()
                ready = True
            if not release:  # a new process may be a new release, which may mend a fold
                parking.retry(now=clock.now())
                release = True
            processor.turn()
            failures = 0
            if not processor.behind:
                stop.wait(_IDLE_S)
        except (OperationalError, InterfaceError) as error:
            ready = False
            _reconnect(error, failures, stop)
            failures += 1
        except Exception:  # worker edge: a batch that fails is tried again, and says so
            log.exception("processor.turn_failed")
            connection.close()
            ready = False
            stop.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            failures += 1
    try:
        processor.stop()
    except (DatabaseError, InterfaceError):
        log.warning("processor.leases_left", processor=processor.name)
    log.info("processor.stopped", processor=processor.name)


def _reconnect(error: Exception, failures: int, stop: Stop) -> None:
    if failures == 0:
        log.warning("processor.store_away", error=type(error).__name__)
    connection.close()
    stop.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
