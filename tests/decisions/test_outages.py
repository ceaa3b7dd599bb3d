"""Stores that are away: decide answers 200 with what is left, and names what is missing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
from django.db import OperationalError, connection

from personalization.catalog import serve as catalogue
from personalization.customers import documents
from personalization.customers.models import Identity
from personalization.customers.services import create_identities
from personalization.decisions import shelves
from personalization.lib import redisclient
from personalization.ops import serve as config
from recommender import live
from recommender.serve import Visit
from tests.decisions.conftest import NOW, Decide

BODY = {"anonymousId": "device-1", "placements": ["home.hero", "home.recommended"]}
Outage = Callable[[], Any]


@contextmanager
def postgres_away() -> Iterator[None]:
    def refuse(*_call: Any) -> NoReturn:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture
def running(decide: Decide) -> Decide:
    """Return decide of a process whose watchers run, with a customer known to Redis."""
    config.watch()
    catalogue.watch()
    live.watch()
    documents.watch_epochs()
    create_identities([(Identity.Kind.ANONYMOUS, "device-1")], now=NOW)
    assert documents.write_now([Identity.objects.get(value="device-1").customer_id])
    return decide


@pytest.fixture
def redis_away(settings: Any) -> Outage:
    def stop() -> None:
        settings.CACHE_REDIS_URL = "unix:///nowhere/redis.sock"
        redisclient.reset()

    return stop


def test_decide__postgres_away__known_profile_from_redis(running: Decide) -> None:
    with postgres_away():
        answer = running(BODY)
    assert answer["placements"]["home.recommended"]["reason"] == "personal"
    assert answer["placements"]["home.recommended"]["items"]
    assert "profile:unavailable" not in answer["degraded"]


def test_decide__redis_away__profile_from_postgres(running: Decide, redis_away: Outage) -> None:
    redis_away()
    answer = running(BODY)
    assert answer["placements"]["home.recommended"]["reason"] == "personal"


def test_decide__both_away__anonymous_answer_without_token(
    running: Decide, redis_away: Outage
) -> None:
    redis_away()
    with postgres_away():
        answer = running(BODY)
    shelf = answer["placements"]["home.recommended"]
    assert "profile:unavailable" in answer["degraded"]
    assert (shelf["reason"], len(shelf["items"])) == ("profile_unavailable", 12)
    assert "token" not in shelf
    assert answer["placements"]["home.hero"]["content"] == {"heading": "Spring"}


def test_decide__model_breaks__popular_list_remembered(
    running: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = Visit(count=3, now_s=NOW.timestamp())
    good = shelves.fallback("for-you", visit, why="x").items
    monkeypatch.setattr(catalogue, "view", lambda: 1 / 0)
    answer = running(BODY)
    shelf = answer["placements"]["home.recommended"]
    assert answer["degraded"] == ["recommend:failed"]
    assert [item["id"] for item in shelf["items"][:3]] == [item.id for item in good]
