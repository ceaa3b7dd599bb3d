"""The probes: live needs nothing, ready needs PostgreSQL and not Redis, any Host will do."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from personalization.lib import health
from personalization.lib.registries import Registry


def test_live__any_host__answers_without_a_database() -> None:
    assert Client().get("/healthz/live", headers={"host": "10.0.0.7"}).status_code == 200


@pytest.mark.django_db
def test_ready__redis_away__green(settings: Settings, tmp_path: Path) -> None:
    settings.CACHE_REDIS_URL = f"unix://{tmp_path}/none.sock"

    assert Client().get("/healthz/ready", headers={"host": "10.0.0.7"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_ready__postgres_away__red_with_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    with monkeypatch.context() as away:
        away.setitem(connection.settings_dict, "HOST", "/nowhere")

        answer = Client().get("/healthz/ready")

    assert answer.status_code == 503
    assert answer["Retry-After"] == "1"


@pytest.mark.django_db(transaction=True)
def test_ready__connection_was_closed_under_it__red_and_then_green() -> None:
    connection.ensure_connection()
    connection.connection.close()  # the driver says InterfaceError, which is no DatabaseError

    assert Client().get("/healthz/ready").status_code == 503
    assert Client().get("/healthz/ready").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(("able", "status"), [(True, 200), (False, 503)])
def test_ready__something_else_is_wrong__told_and_red_where_it_cannot_serve(
    monkeypatch: pytest.MonkeyPatch, able: bool, status: int
) -> None:
    looks: Registry[Any] = Registry("look")
    looks.register("sound", lambda: (True, ""))
    looks.register("configuration", lambda: (able, "version 3 cannot be built (one)"))
    monkeypatch.setattr(health, "readiness", looks)

    answer = Client().get("/healthz/ready")

    assert answer.status_code == status
    assert answer.json() == {"ready": able, "configuration": "version 3 cannot be built (one)"}
