"""Doctor names each fault and its fix."""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from pytest_django import Settings

from personalization.consent.models import Purpose
from personalization.events.models import Watermark
from personalization.lib import clock
from personalization.lib.supervisor import child
from personalization.monitoring import doctor
from personalization.monitoring.selectors import system_figures
from personalization.ops import heartbeats
from personalization.ops import serve as config
from personalization.ops.checks import database_faults
from personalization.ops.models import ConfigVersion, Heartbeat
from personalization.ops.services import publish
from tests.ops.old_redis import old_redis

pytestmark = pytest.mark.django_db
GIB = 1024**3
needs_proc = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for processes in /proc"
)


def by_check() -> dict[str, doctor.Finding]:
    return {finding.check: finding for finding in doctor.findings()}


def test_doctor__sound_deployment__no_fault(durable: None) -> None:
    for kind in heartbeats.KINDS:
        told = {"queues": ["celery", "learning"]} if kind == "worker" else {}
        Heartbeat.objects.create(name=kind, kind=kind, at=clock.now(), facts=told)

    found = by_check()

    assert [finding for finding in found.values() if finding.is_fault] == []
    assert {"postgres", "redis", "broker", "migrations", "lag", "processes"} <= set(found)


def test_doctor__one_kind_silent__named() -> None:
    Heartbeat.objects.create(name="w", kind="web", at=clock.now())

    assert "processor" in by_check()["processes"].fix


def test_doctor__nobody_takes_from_a_queue__named_with_the_command() -> None:
    Heartbeat.objects.create(name="w", kind="worker", at=clock.now(), facts={"queues": ["celery"]})
    found = by_check()["queues"]

    assert found.is_fault
    assert "learning" in found.state
    assert "worker --queues learning" in found.fix


def test_doctor__consent__says_what_holds_before_an_answer() -> None:
    before = by_check()["consent"]
    Purpose.objects.update(default_granted=False)

    told = "by default, before an answer: "
    assert (before.fix, before.state) == (
        "",
        f"{told}analytics, personalization granted; marketing not granted",
    )
    assert by_check()["consent"].state == f"{told}analytics, personalization, marketing not granted"


def test_doctor__no_redis__named(settings: Settings, tmp_path: Path) -> None:
    settings.CACHE_REDIS_URL = f"unix://{tmp_path}/none.sock"

    assert by_check()["redis"].is_fault


def test_doctor__table_missing__check_says_so_and_others_go_on() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_watermark RENAME TO gone")
        cursor.execute("SAVEPOINT s")

    found = list(doctor.findings())

    assert any(finding.fix == "manage.py migrate" for finding in found)


def test_doctor__weak_secret__exit_code_and_json(settings: Settings) -> None:
    settings.SECRET_KEY = "short"
    out = StringIO()

    with pytest.raises(SystemExit, match="1"):
        call_command("doctor", "--json", stdout=out)

    rows = json.loads(out.getvalue())
    assert any(row["check"] == "settings" and "SECRET_KEY" in row["state"] for row in rows)


def test_doctor__libgomp_missing__named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        msg = "cannot open shared object file"
        raise OSError(msg)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(sys, "platform", "linux")

    assert "libgomp1" in by_check()["libgomp"].fix


@pytest.mark.parametrize(("free", "is_fault"), [(1 * GIB, True), (50 * GIB, False)])
def test_doctor__disk__named_when_nearly_full(
    monkeypatch: pytest.MonkeyPatch, free: int, is_fault: bool
) -> None:
    usage = shutil._ntuple_diskusage(100 * GIB, 100 * GIB - free, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)

    assert by_check()["disk"].is_fault is is_fault


@needs_proc
def test_doctor__somebody_else_on_the_port__warned_of__nobody__free(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings.PORT = other.getsockname()[1]
        taken = by_check()["port"]
    free = by_check()["port"]

    assert (taken.warning, taken.fix) == (True, "stop what listens there or set PORT")
    assert f"port {settings.PORT} is taken" in taken.state
    assert (free.fix, free.state) == ("", f"127.0.0.1:{settings.PORT} is free")


@needs_proc
def test_doctor__up_runs_and_has_the_port__sound(settings: Settings, tmp_path: Path) -> None:
    settings.LOCAL_DIR = tmp_path
    with socket.create_server(("127.0.0.1", 0)) as own, _program_of_up(tmp_path):
        settings.PORT = own.getsockname()[1]
        found = by_check()["port"]

    assert (found.fix, "which runs" in found.state) == ("", True)


@needs_proc
def test_doctor__own_servers_down__up_starts_all__beside_up_their_own_start_says_why(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down() -> None:
        raise OperationalError("nobody listens\n")

    settings.LOCAL_DIR = tmp_path
    settings.DATABASE_URL = settings.REDIS_URL = settings.BROKER_URL = ""
    settings.CACHE_REDIS_URL = settings.CELERY_BROKER_URL = f"unix://{tmp_path}/none.sock"
    monkeypatch.setattr(connection, "ensure_connection", down)
    stopped = by_check()
    with _program_of_up(tmp_path):
        beside = by_check()

    own = ("postgres", "redis", "broker")
    assert all(stopped[name].is_fault for name in own)
    assert {stopped[name].fix for name in own} == {"manage.py up"}
    assert {beside[name].fix for name in own} == {"manage.py servers start"}


@pytest.mark.parametrize(("skew_s", "is_fault"), [(0, False), (60, True), (-60, True)])
def test_doctor__clock__named_when_askew(skew_s: int, is_fault: bool) -> None:
    now = clock.now()

    with clock.frozen(now + timedelta(seconds=skew_s)):
        assert by_check()["clock"].is_fault is is_fault


@pytest.mark.parametrize("name", ["redis", "broker"])
def test_doctor__redis_too_old__named(settings: Settings, tmp_path: Path, name: str) -> None:
    with old_redis(tmp_path) as url:
        settings.CACHE_REDIS_URL = settings.CELERY_BROKER_URL = url
        found = by_check()[name]

    assert found.state == "version 6.0.16"
    assert "6.2" in found.fix


@pytest.mark.parametrize(
    ("version", "promise", "fix"),
    [(140_005, "on", "upgrade"), (160_001, "off", "ALTER SYSTEM SET fsync")],
)
def test_doctor__postgresql_not_fit__named(
    monkeypatch: pytest.MonkeyPatch, version: int, promise: str, fix: str
) -> None:
    faults = database_faults(version, {"fsync": promise})
    monkeypatch.setattr(doctor, "database_is_durable", lambda *_: faults)

    found = by_check()["postgres"]

    assert found.is_fault
    assert fix in found.fix


def test_doctor__event_waits_unprocessed__lag_named() -> None:
    Watermark.objects.update_or_create(group="profile", shard=3, defaults={"epoch": 0})
    _log(1, day="2026-03-01", age_s=90)

    found = by_check()["lag"]

    assert "process" in found.fix


def test_doctor__large_default_partition__named(monkeypatch: pytest.MonkeyPatch) -> None:
    _log(3, day="1999-01-01")
    monkeypatch.setattr(doctor, "_LARGE_DEFAULT_ROWS", 2)

    found = by_check()["partitions"]

    assert found.fix == "manage.py partitions"


@pytest.mark.django_db(transaction=True)
def test_doctor__write_open_for_long__named_with_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "_OLD_TRANSACTION_S", -1.0)
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT pg_current_xact_id(), pg_backend_pid()")
        pid = cursor.fetchone()[1]
        found = by_check()["transactions"]
        cursor.execute("ROLLBACK")

    assert found.is_fault
    assert found.fix == f"SELECT pg_terminate_backend({pid})"


@contextmanager
def _program_of_up(local_dir: Path) -> Iterator[None]:
    environment = {**os.environ, child.MARK: str(local_dir.resolve())}
    with subprocess.Popen(["sleep", "60"], env=environment) as running:
        try:
            yield
        finally:
            running.kill()


def _log(rows: int, *, day: str, age_s: int = 0) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_event (day, trust, message_id, epoch, shard, type, name, "
            "occurred_at, received_at, purposes, flags, properties, context) SELECT %s, 1, n::text,"
            " 1, 3, 'track', 'x', now(), now() - %s * interval '1 s', 7, 0, '{}', '{}' "
            "FROM generate_series(1, %s) AS n",
            [day, age_s, rows],
        )


def test_configuration__newest_cannot_be_built__doctor_and_overview_name_the_part() -> None:
    publish(actor="t")
    good = by_check()["configuration"]
    row = ConfigVersion.objects.get()
    ConfigVersion.objects.create(
        version=row.version + 1, sha256="x", body='{"access":7}', actor="t", created_at=clock.now()
    )
    config.look_again()
    config.current()

    found = by_check()["configuration"]
    figure = next(one for one in system_figures(clock.now()) if one.title == "Configuration")

    assert (good.fix, found.is_fault) == ("", True)
    assert "version 2 cannot be built: access: " in found.state
    assert "roll back" in found.fix
    assert (figure.value, figure.state) == ("v2", "not in force")
