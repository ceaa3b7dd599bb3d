"""Each bad setting is named at boot, with an id and what to do."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from pytest_django import Settings as SettingsWrapper

from personalization.ops import checks
from tests.ops.old_redis import old_redis

GOOD = "Zq8vN2xL5tR7wY1uB4mC6kD9fG3hJ0pSaXeQ-7Kz"
BAD: list[tuple[str, str, Any]] = [
    ("ops.E001", "IDENTITY_PROOF", "maybe"),
    ("ops.E002", "SECRET_KEY", "short"),
    ("ops.E002", "SECRET_KEY", "a" * 60),
    ("ops.E003", "IDENTITY_SECRET", "short"),
    ("ops.E004", "IDENTITY_SECRET", GOOD),
    ("ops.E005", "SHOP_TIME_ZONE", "Mars/Olympus"),
    ("ops.E006", "SHOP_CURRENCY", "euro"),
    ("ops.E007", "EVENT_RETENTION_DAYS", 0),
    ("ops.E007", "WEB_WORKERS", -1),
    ("ops.E008", "DECISION_LOG_SHARE", 1.5),
    ("ops.E009", "GEO_MMDB", "/nowhere.mmdb"),
    ("ops.E010", "DATABASE_URL", "mysql://x"),
    ("ops.E011", "REDIS_URL", "http://x"),
    ("ops.E012", "BROKER_URL", "amqp://x"),
    ("ops.E013", "PORT", 70_000),
    ("ops.E014", "LOG_LEVEL", "LOUD"),
    ("ops.E015", "LOCAL_DIR", Path("/proc/self")),
    ("ops.E016", "TRUSTED_PROXIES", -1),
    ("ops.E017", "UNREADABLE_VARIABLES", [("PORT", "a whole number")]),
    ("ops.W020", "IDENTITY_PROOF", "off"),
]


def found() -> set[str]:
    return {str(m.id) for m in run_checks(include_deployment_checks=True)}


@pytest.mark.parametrize(("identifier", "name", "value"), BAD)
def test_setting__bad__its_check_names_it(
    settings: SettingsWrapper,
    monkeypatch: pytest.MonkeyPatch,
    identifier: str,
    name: str,
    value: Any,
) -> None:
    settings.SECRET_KEY = GOOD
    monkeypatch.setattr(os, "access", lambda path, _mode: str(path) != "/proc/self")
    before = found()

    setattr(settings, name, value)

    assert identifier not in before
    assert identifier in found()


def test_rules__all__have_a_test_and_a_hint() -> None:
    rules = (*checks.RULES, *checks.DEPLOYED_RULES)

    assert {rule[0] for rule in rules} <= {row[0] for row in BAD}
    assert all(rule[2] for rule in rules)


@pytest.mark.parametrize(
    ("version", "promise", "identifier"),
    [(140_010, "on", "ops.E030"), (150_000, "off", "ops.E031"), (180_001, "local", "ops.E031")],
)
def test_database__old_or_forgetful__named(version: int, promise: str, identifier: str) -> None:
    faults = checks.database_faults(version, {"synchronous_commit": promise})

    assert [fault.id for fault in faults] == [identifier]


@pytest.mark.django_db
def test_database__embedded__nothing_to_say(durable: None) -> None:
    assert checks.database_is_durable(None, databases=["default"]) == []


@pytest.mark.parametrize(
    ("version", "identifiers"),
    [("6.0.16", ["ops.E032"]), ("5.0.3", ["ops.E032"]), ("6.2.0", []), ("8.1", []), ("7.2.4", [])],
)
def test_redis__version__old_ones_are_named(version: str, identifiers: list[str]) -> None:
    faults = checks.redis_faults("REDIS_URL", version)

    assert [fault.id for fault in faults] == identifiers
    assert all(fault.hint for fault in faults)


def test_redis__given_and_new__nothing_to_say(settings: SettingsWrapper) -> None:
    settings.REDIS_URL = settings.CACHE_REDIS_URL
    settings.BROKER_URL = settings.CELERY_BROKER_URL

    assert checks.redis_is_new_enough(None, databases=["default"]) == []


def test_redis__given_and_away__warned_of_alone(settings: SettingsWrapper, tmp_path: Path) -> None:
    """Redis is a cache: its absence must not keep the project from starting."""
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"

    assert [fault.id for fault in checks.redis_is_new_enough(None, ["default"])] == ["ops.W033"]


@pytest.mark.django_db
def test_prepare__redis_too_old__refuses_before_it_migrates(
    settings: SettingsWrapper, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with old_redis(tmp_path) as url:
        settings.REDIS_URL = url

        with pytest.raises(SystemCheckError, match=r"ops\.E032[^\n]*\n[^\n]*HINT: upgrade"):
            call_command("prepare")

    assert "Applying" not in capfd.readouterr().out


@pytest.mark.django_db
def test_prepare__postgresql_forgetful__refuses(durable: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")

    with pytest.raises(SystemCheckError, match=r"ops\.E031"):
        call_command("prepare")
