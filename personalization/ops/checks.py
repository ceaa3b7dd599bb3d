"""Bad settings as system checks with ids and hints, so that they show at boot and not at night."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import redis
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.db import connections

from personalization.lib.redisclient import ONE_TRY

# Shorter or duller ones can be guessed; `_local_secret` makes 64 characters.
_MIN_SECRET_CHARACTERS, _MIN_DISTINCT_CHARACTERS = 40, 10
_MIN_POSTGRES = 150_000
# GETEX, and streams that can be trimmed by id; Valkey and others tell a Redis version too.
_MIN_REDIS = (6, 2)
_REDIS_TIMEOUT_S = 3
_POSITIVE = (
    "EVENT_RETENTION_DAYS",
    "REJECTED_RETENTION_DAYS",
    "DECISION_LOG_RETENTION_DAYS",
    "MINUTE_STATS_RETENTION_DAYS",
    "DECISION_BUDGET_MS",
    "REDIS_TIMEOUT_MS",
    "RATE_PUBLIC_KEY_PER_S",
    "RATE_ADDRESS_PER_S",
    "RATE_SECRET_KEY_PER_S",
    "WEB_WORKERS",
    "PROCESSOR_LANES",
    "WEB_THREADS",
    "WORKER_CONCURRENCY",
)
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

# (id, what is wrong, what to do, whether it is wrong)
Rule = tuple[str, str, str, Callable[[], bool]]


def _is_weak(secret: str) -> bool:
    return len(secret) < _MIN_SECRET_CHARACTERS or len(set(secret)) < _MIN_DISTINCT_CHARACTERS


def _starts_otherwise(url: str, schemes: tuple[str, ...]) -> bool:
    return bool(url) and not url.startswith(schemes)


_STRONG = 'set it to the output of: python -c "import secrets; print(secrets.token_urlsafe(48))"'
RULES: tuple[Rule, ...] = (
    (
        "ops.E001",
        "IDENTITY_PROOF is neither `required` nor `off`",
        "set IDENTITY_PROOF=required",
        lambda: settings.IDENTITY_PROOF not in {"required", "off"},
    ),
    ("ops.E002", "SECRET_KEY can be guessed", _STRONG, lambda: _is_weak(settings.SECRET_KEY)),
    (
        "ops.E003",
        "IDENTITY_SECRET can be guessed",
        _STRONG,
        lambda: _is_weak(settings.IDENTITY_SECRET),
    ),
    (
        "ops.E004",
        "IDENTITY_SECRET is the SECRET_KEY: the shop's server could sign decisions",
        "give the two different values",
        lambda: settings.SECRET_KEY == settings.IDENTITY_SECRET,
    ),
    (
        "ops.E005",
        "SHOP_TIME_ZONE is not a time zone",
        "use a name such as Europe/Berlin",
        lambda: settings.SHOP_TIME_ZONE not in available_timezones(),
    ),
    (
        "ops.E006",
        "SHOP_CURRENCY is not a currency code",
        "use three capital letters such as EUR",
        lambda: not (len(settings.SHOP_CURRENCY) == 3 and settings.SHOP_CURRENCY.isupper()),  # noqa: PLR2004 -- ISO 4217
    ),
    (
        "ops.E008",
        "DECISION_LOG_SHARE is not a share",
        "set it between 0 and 1",
        lambda: not 0 <= settings.DECISION_LOG_SHARE <= 1,
    ),
    (
        "ops.E009",
        "GEO_MMDB names no file",
        "give the path of a .mmdb file, or unset it",
        lambda: bool(settings.GEO_MMDB) and not Path(settings.GEO_MMDB).is_file(),
    ),
    (
        "ops.E010",
        "DATABASE_URL is not a PostgreSQL",
        "use postgres://USER:PASSWORD@HOST:PORT/NAME",
        lambda: _starts_otherwise(
            settings.DATABASE_URL, ("postgres://", "postgresql://", "pgsql://")
        ),
    ),
    (
        "ops.E011",
        "REDIS_URL is not a Redis",
        "use redis://, rediss:// or unix://",
        lambda: _starts_otherwise(settings.REDIS_URL, ("redis://", "rediss://", "unix://")),
    ),
    (
        "ops.E012",
        "BROKER_URL is not a Redis",
        "use redis://, rediss:// or redis+socket://",
        lambda: _starts_otherwise(
            settings.BROKER_URL, ("redis://", "rediss://", "redis+socket://")
        ),
    ),
    (
        "ops.E013",
        "PORT is not a port",
        "set it between 1 and 65535",
        lambda: not 1 <= settings.PORT <= 65_535,  # noqa: PLR2004 -- TCP
    ),
    (
        "ops.E014",
        "LOG_LEVEL is not a level",
        f"use one of {', '.join(_LEVELS)}",
        lambda: settings.LOG_LEVEL not in _LEVELS,
    ),
    (
        "ops.E015",
        "LOCAL_DIR cannot be written",
        "let the server's user write it, or set LOCAL_DIR to a directory that it can",
        lambda: settings.LOCAL_DIR.exists() and not os.access(settings.LOCAL_DIR, os.W_OK),
    ),
    (
        "ops.E016",
        "TRUSTED_PROXIES is negative",
        "set it to how many proxies of yours append to X-Forwarded-For",
        lambda: settings.TRUSTED_PROXIES < 0,
    ),
)
DEPLOYED_RULES: tuple[Rule, ...] = (
    (
        "ops.W020",
        "IDENTITY_PROOF is off: a browser may speak for any user id",
        "have the shop's server make user tokens and set IDENTITY_PROOF=required",
        lambda: settings.IDENTITY_PROOF == "off",
    ),
)


def register_all() -> None:
    """Have Django run these checks."""
    register(settings_are_sound, Tags.compatibility)
    register(settings_are_safe, Tags.security, deploy=True)
    register(database_is_durable, Tags.database)
    # Of the same kind: looked at only when the servers are to be asked.
    register(redis_is_new_enough, Tags.database)


def settings_are_sound(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Return what is wrong with the settings alone."""
    wrong: list[CheckMessage] = list(_broken(RULES, Error))
    wrong += [
        Error(f"{name} is not a positive number", hint=f"set {name} to 1 or more", id="ops.E007")
        for name in _POSITIVE
        if getattr(settings, name) <= 0
    ]
    wrong += [
        Error(f"{name} cannot be read", hint=f"set {name} to {shape}, or unset it", id="ops.E017")
        for name, shape in settings.UNREADABLE_VARIABLES
    ]
    return wrong


def settings_are_safe(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Return what should not be so in production."""
    return list(_broken(DEPLOYED_RULES, Warning))


def database_is_durable(
    app_configs: Any,
    databases: Sequence[str] | None,
    **_: Any,
) -> list[CheckMessage]:
    """Return what is wrong with the database: its version, its promise to keep commits."""
    if not databases or "default" not in databases:
        return []
    connection = connections["default"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int, current_setting('fsync'), "
            "current_setting('synchronous_commit'), current_setting('full_page_writes')"
        )
        version, *promises = cursor.fetchone()
    return database_faults(version, dict(zip(_PROMISES, promises, strict=True)))


_PROMISES = ("fsync", "synchronous_commit", "full_page_writes")


def database_faults(version: int, promises: dict[str, str]) -> list[CheckMessage]:
    """Return the faults of a PostgreSQL of this version with these settings."""
    wrong: list[CheckMessage] = []
    if version < _MIN_POSTGRES:
        hint = "upgrade it to PostgreSQL 15 or later"
        wrong.append(Error(f"PostgreSQL {version // 10_000} is too old", hint=hint, id="ops.E030"))
    off = [name for name, value in promises.items() if value in {"off", "local"}]
    if off:
        message = f"PostgreSQL may lose commits: {', '.join(off)} off"
        hint = f"ALTER SYSTEM SET {off[0]} = on; SELECT pg_reload_conf()"
        wrong.append(Error(message, hint=hint, id="ops.E031"))
    return wrong


def redis_is_new_enough(
    app_configs: Any,
    databases: Sequence[str] | None,
    **_: Any,
) -> list[CheckMessage]:
    """Return what is wrong with the Redis servers that URLs name; those of our own are known."""
    if not databases:
        return []
    named = {"REDIS_URL": settings.REDIS_URL, "BROKER_URL": settings.BROKER_URL}
    return [fault for name, url in named.items() if url for fault in _redis_faults_at(name, url)]


def _redis_faults_at(name: str, url: str) -> list[CheckMessage]:
    try:
        return redis_faults(name, redis_version(url))
    except (redis.RedisError, OSError, ValueError) as error:
        message = f"{name} cannot be reached: {type(error).__name__}"
        hint = f"start that Redis, or look at {name}; decisions and events go on without it"
        return [Warning(message, hint=hint, id="ops.W033")]


def redis_version(url: str) -> str:
    """Return what the server at `url` calls its version."""
    plain = url.replace("redis+socket://", "unix://")
    # Old servers do not know how to begin with a newer protocol.
    client = redis.Redis.from_url(
        plain,
        protocol=2,
        socket_timeout=_REDIS_TIMEOUT_S,
        socket_connect_timeout=_REDIS_TIMEOUT_S,
        retry=ONE_TRY,
    )
    with closing(client):
        return str(client.info("server")["redis_version"])


def redis_faults(name: str, version: str) -> list[CheckMessage]:
    """Return the faults of a Redis of this version, that the variable `name` names."""
    if tuple(int(part) for part in version.split(".")[:2]) >= _MIN_REDIS:
        return []
    message = f"{name} names Redis {version}, which is too old"
    return [Error(message, hint="upgrade it to Redis 6.2 or later, or to Valkey", id="ops.E032")]


def _broken(rules: Iterable[Rule], kind: type[Error | Warning]) -> Iterable[CheckMessage]:
    for identifier, message, hint, is_wrong in rules:
        if is_wrong():
            yield kind(message, hint=hint, id=identifier)
