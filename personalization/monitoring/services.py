"""Moves what this process counted into PostgreSQL, minute by minute."""

import os
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

from personalization.lib import clock, metrics
from personalization.monitoring import metricfiles
from personalization.monitoring.models import MinuteStat

BUCKET_PREFIX = "decision_seconds_le:"

# stat name -> (metric, labels that its samples must carry)
_COUNTS: dict[str, tuple[MetricWrapperBase, Mapping[str, str]]] = {
    "events_accepted": (metrics.EVENTS_ACCEPTED, {}),
    "events_duplicate": (metrics.EVENTS_DUPLICATE, {}),
    "events_rejected": (metrics.EVENTS_REJECTED, {}),
    "events_withheld": (metrics.EVENTS_WITHHELD, {}),
    "events_processed": (metrics.PROCESSED_EVENTS, {}),
    "decisions": (metrics.DECISIONS, {}),
    "decisions_degraded": (metrics.DECISIONS, {"degraded": "yes"}),
    "decision_log_lost": (metrics.DECISION_LOG_LOST, {}),
}

_lock = threading.Lock()
_flushed: dict[str, float] = {}


def start_from_here() -> None:
    """Count from now on: what the metrics show at this moment belongs to no minute.

    Called at start: with shared metric files a process finds the counts of one that had its id.
    """
    with _lock:
        _flushed.clear()
        _flushed.update(_totals())


def flush() -> None:
    """Add what was counted since the last call to this minute; a failed write is made up for."""
    now = clock.now()
    with _lock:
        totals = _totals()
        deltas = {name: _delta(name, total) for name, total in totals.items()}
        _add({name: delta for name, delta in deltas.items() if delta}, now)
        _flushed.update(totals)


def flush_lag() -> None:
    """Write the processing lag that this process measured last."""
    value = _samples(metrics.PROCESS_LAG_S)[0].value
    _upsert({"process_lag_s": value}, clock.now(), add=False)


def tidy_metric_files() -> None:
    """Fold the files of processes that have ended, so that restarts do not slow /metrics down."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is not None:
        metricfiles.tidy(Path(folder))


def drop_old_minutes(*, now: datetime) -> int:
    """Delete minutes past MINUTE_STATS_RETENTION_DAYS; return how many rows went."""
    limit = now - timedelta(days=settings.MINUTE_STATS_RETENTION_DAYS)
    return MinuteStat.objects.filter(minute__lt=limit).delete()[0]


def _totals() -> dict[str, float]:
    """Return what this process has counted since it started, by stat name."""
    found = {name: _sum(metric, labels) for name, (metric, labels) in _COUNTS.items()}
    for sample in _samples(metrics.DECISION_SECONDS):
        if sample.name.endswith("_bucket") and sample.labels.get("stage") == "total":
            found[BUCKET_PREFIX + sample.labels["le"]] = sample.value
    return found


def _sum(metric: MetricWrapperBase, labels: Mapping[str, str]) -> float:
    return sum(
        sample.value
        for sample in _samples(metric)
        if sample.name.endswith("_total") and labels.items() <= sample.labels.items()
    )


def _samples(metric: MetricWrapperBase) -> list[Sample]:
    """Return what this process alone has measured, with shared metric files too."""
    (family,) = metric.collect()
    return family.samples


def _delta(name: str, total: float) -> float:
    before = _flushed.get(name, 0.0)
    # A fork starts from nothing again: then everything it has is new.
    return total - before if total >= before else total


def _add(deltas: Mapping[str, float], now: datetime) -> None:
    if deltas:
        _upsert(deltas, now, add=True)


def _upsert(values: Mapping[str, float], now: datetime, *, add: bool) -> None:
    """Write one row a name, in the order of names so that two processes never deadlock."""
    names = sorted(values)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_minutestat (minute, name, value, updated_at)"
            " SELECT %s, name, value, %s"
            " FROM unnest(%s::text[], %s::float8[]) AS given (name, value) ORDER BY name"
            " ON CONFLICT (minute, name) DO UPDATE"
            " SET value = excluded.value"
            " + CASE WHEN %s THEN monitoring_minutestat.value ELSE 0 END,"
            " updated_at = excluded.updated_at",
            [
                now.replace(second=0, microsecond=0),
                now,
                names,
                [values[name] for name in names],
                add,
            ],
        )
