"""What is wrong with a running deployment, and what mends it: one finding for each check."""

import ctypes
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import redis
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from personalization.lib import clock, ports
from personalization.lib.supervisor import supervisor
from personalization.ops import heartbeats, serve
from personalization.ops.checks import database_is_durable, redis_faults, redis_version
from segments.learning.drifted import drifted_models

# Every open write transaction holds back all processors (docs/architecture.md).
_OLD_TRANSACTION_S = 60.0
_LAG_S = 30.0
_CLOCK_SKEW_S = 5.0
_MIN_FREE_BYTES = 2 * 1024**3
# Months that were not made ahead land there; attaching one must then move its rows.
_LARGE_DEFAULT_ROWS = 1_000_000
# Lines of a table: the worst models are told, the fix names all.
_DRIFTED_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table. `fix` is empty where nothing is wrong; a warning does not fail."""

    check: str
    state: str
    fix: str = ""
    warning: bool = False

    @property
    def is_fault(self) -> bool:
        """Whether doctor's exit code tells of it."""
        return bool(self.fix) and not self.warning


def findings() -> Iterator[Finding]:
    """Run every check; those that need PostgreSQL are left out when it is down."""
    yield from _settings()
    yield _libgomp()
    yield _disk()
    yield _port()
    yield _redis("redis", settings.CACHE_REDIS_URL, "REDIS_URL")
    yield _redis("broker", settings.CELERY_BROKER_URL, "BROKER_URL")
    try:
        yield _postgres()
    except DatabaseError as error:
        fix = "look at DATABASE_URL" if settings.DATABASE_URL else _own_servers_fix()
        yield Finding("postgres", f"down: {str(error).strip().splitlines()[0]}", fix)
        return
    for look in _WITH_DATABASE:
        try:
            yield look()
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            yield Finding(look.__name__.strip("_"), reason, "manage.py migrate")


def _settings() -> Iterator[Finding]:
    wrong = checks.run_checks(include_deployment_checks=settings.HTTPS)
    own = [message for message in wrong if str(message.id).startswith("ops.")]
    for message in own:
        serious = message.level >= checks.ERROR
        yield Finding("settings", message.msg, message.hint or "see docs", warning=not serious)
    if not own:
        yield Finding("settings", "sound")
    off = settings.IDENTITY_PROOF == "off"
    proof = "make user tokens on the shop's server and set IDENTITY_PROOF=required"
    yield Finding("identity", settings.IDENTITY_PROOF, proof if off else "", warning=True)
    debug = "set DEBUG=false" if settings.DEBUG else ""
    yield Finding("debug", "on" if settings.DEBUG else "off", debug, warning=True)


def _libgomp() -> Finding:
    if not sys.platform.startswith("linux"):
        return Finding("libgomp", "not needed here")
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return Finding("libgomp", "missing: models cannot be trained", "apt-get install libgomp1")
    return Finding("libgomp", "present")


def _disk() -> Finding:
    settings.LOCAL_DIR.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.LOCAL_DIR).free
    fix = "" if free > _MIN_FREE_BYTES else "free some space, or set LOCAL_DIR to a larger disk"
    return Finding("disk", f"{free / 1024**3:.1f} GiB free", fix)


def _port() -> Finding:
    """Tell of somebody else on the port, where `up` does not run but might be started.

    A warning: a web server of ours that was started without `up` looks the same from here.
    """
    where = f"{settings.HOST}:{settings.PORT}"
    if not sys.platform.startswith("linux"):
        return Finding("port", "not looked at here")
    if supervisor.runs_in(settings.LOCAL_DIR):
        return Finding("port", f"{where} is for `manage.py up`, which runs")
    fault = ports.fault_of(settings.HOST, settings.PORT)
    if fault is None:
        return Finding("port", f"{where} is free")
    state = f"{fault.state}, and `manage.py up` does not run here"
    return Finding("port", state, fault.fix, warning=True)


def _redis(name: str, url: str, setting: str) -> Finding:
    own = not getattr(settings, setting)
    try:
        version = redis_version(url)
    except (redis.RedisError, OSError) as error:
        fix = _own_servers_fix() if own else f"look at {setting}"
        return Finding(name, f"down: {type(error).__name__}", fix)
    faults = redis_faults(setting, version)
    return Finding(name, f"version {version}", str(faults[0].hint) if faults else "")


def _own_servers_fix() -> str:
    """Start everything; an `up` that runs starts them itself, and this tells why it cannot."""
    runs = supervisor.runs_in(settings.LOCAL_DIR)
    return "manage.py servers start" if runs else "manage.py up"


def _postgres() -> Finding:
    connection.ensure_connection()
    faults = database_is_durable(None, ["default"])
    if faults:
        return Finding("postgres", faults[0].msg, str(faults[0].hint))
    version = _one("SELECT current_setting('server_version_num')::int")
    return Finding("postgres", f"version {int(version) // 10_000}, durable")


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        return Finding("migrations", f"{len(waiting)} not applied", "manage.py migrate")
    return Finding("migrations", "applied")


def _configuration() -> Finding:
    """Build the newest version: where that fails, all go on by an older one, keys apart."""
    found = serve.newest_fault()
    if found is None:
        return Finding("configuration", "the newest version builds")
    version, fault = found
    state = f"version {version} cannot be built: {str(fault)[:300]}"
    fix = (
        f"mend what {fault.part} names and save it, or roll back to an older version in the admin "
        "(Jobs and configuration, Config versions)"
    )
    return Finding("configuration", state, fix)


def _consent() -> Finding:
    """Name what holds for somebody who has said nothing: a choice, no fault (decision 0002)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, default_granted FROM consent_purpose ORDER BY bit")
        rows = cursor.fetchall()
    told = [
        f"{', '.join(keys)} {word}"
        for word, granted in (("granted", True), ("not granted", False))
        if (keys := [key for key, default in rows if default is granted])
    ]
    return Finding("consent", f"by default, before an answer: {'; '.join(told)}")


def _transactions() -> Finding:
    oldest = _one(
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) "
        "FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
    )
    if float(oldest) <= _OLD_TRANSACTION_S:
        return Finding("transactions", f"oldest open write {float(oldest):.0f} s")
    pid = _one(
        "SELECT pid FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start LIMIT 1"
    )
    state = f"one is open for {float(oldest):.0f} s: events wait to be processed"
    return Finding("transactions", state, f"SELECT pg_terminate_backend({pid})")


def _lag() -> Finding:
    lag_s = float(
        _one(
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(e.received_at)), 0) "
            "FROM events_watermark w CROSS JOIN LATERAL (SELECT received_at FROM events_event e "
            "WHERE e.shard = w.shard AND (e.epoch, e.xid, e.seq) > (w.epoch, w.xid::text::xid8, "
            "w.seq) ORDER BY e.epoch, e.xid, e.seq LIMIT 1) e WHERE w.\"group\" = 'profile'"
        )
    )
    fix = "" if lag_s <= _LAG_S else "start another `manage.py process`"
    return Finding("lag", f"oldest unprocessed event {lag_s:.0f} s", fix)


def _parked() -> Finding:
    """Tell of customers whose events cannot be folded; everybody else's are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(max(error), '') FROM customers_rebuild_due WHERE error <> ''"
        )
        count, error = cursor.fetchone()
    if not count:
        return Finding("parked", "no customer set aside")
    state = f"{count} customer{'s' if count > 1 else ''} set aside, as by: {error}"
    fix = "look at customers that wait in the admin; the processor's log has the traceback"
    return Finding("parked", state, fix, warning=True)


def _drift() -> Finding:
    """Name learned models that look at other customers than they learnt from: their nights fail.

    A warning: the models answer, by what held once.
    """
    found = drifted_models()
    if not found:
        return Finding("drift", "learned models see customers like those they learnt from")
    state = f"inputs have shifted: {'; '.join(map(str, found[:_DRIFTED_SHOWN]))}"
    keys = " ".join(one.key for one in found)
    fix = (
        f"manage.py segment_learn {keys}; where the new version is rejected, its page in the admin "
        "(Learned models) says why"
    )
    return Finding("drift", state, fix, warning=True)


def _heartbeats() -> Finding:
    alive = heartbeats.alive()
    state = ", ".join(f"{kind} {count}" for kind, count in alive.items())
    missing = [kind for kind in heartbeats.KINDS if not alive[kind]]
    fix = f"manage.py up ({', '.join(missing)} gave no sign of life)" if missing else ""
    return Finding("processes", state, fix, warning=len(missing) == len(heartbeats.KINDS))


def _queues() -> Finding:
    left = heartbeats.queues_without_worker()
    if not left:
        return Finding("queues", "each has a worker")
    fix = f"celery --app personalization.celery worker --queues {','.join(left)} (or manage.py up)"
    state = f"no worker takes from {', '.join(left)}"
    # where nothing runs at all, the line above says so
    return Finding("queues", state, fix, warning=not any(heartbeats.alive().values()))


def _clock() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        skew_s = abs((cursor.fetchone()[0] - clock.now()).total_seconds())
    fix = "" if skew_s <= _CLOCK_SKEW_S else "synchronise both clocks (chrony, NTP)"
    return Finding("clock", f"{skew_s:.1f} s from PostgreSQL's", fix)


def _default_partition() -> Finding:
    rows = int(
        _one("SELECT count(*) FROM (SELECT 1 FROM events_event_default LIMIT 1000001) AS counted")
    )
    fix = "" if rows <= _LARGE_DEFAULT_ROWS else "manage.py partitions"
    return Finding("partitions", f"{rows} events in the default partition", fix)


_WITH_DATABASE: tuple[Callable[[], Finding], ...] = (
    _migrations,
    _configuration,
    _consent,
    _transactions,
    _lag,
    _parked,
    _drift,
    _heartbeats,
    _queues,
    _clock,
    _default_partition,
)


def _one(sql: str) -> int | float:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        value: int | float = cursor.fetchone()[0]
    return value
