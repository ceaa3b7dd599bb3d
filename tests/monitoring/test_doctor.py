"""Doctor names each fault and its fix."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from personalization.lib import clock
from personalization.monitoring import doctor
from personalization.ops import heartbeats
from personalization.ops.models import Heartbeat

pytestmark = pytest.mark.django_db


def by_check() -> dict[str, doctor.Finding]:
    return {finding.check: finding for finding in doctor.findings()}


def test_doctor__sound_deployment__no_fault() -> None:
    for kind in heartbeats.KINDS:
        Heartbeat.objects.create(name=kind, kind=kind, at=clock.now())

    found = by_check()

    assert [finding for finding in found.values() if finding.is_fault] == []
    assert {"postgres", "redis", "broker", "migrations", "lag", "processes"} <= set(found)


def test_doctor__one_kind_silent__named() -> None:
    Heartbeat.objects.create(name="w", kind="web", at=clock.now())

    assert "processor" in by_check()["processes"].fix


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
