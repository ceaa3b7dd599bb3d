"""Documents in Redis: newer only, a space per Redis run and epoch, and the one read over them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from personalization.customers import documents, profiles, serve, services
from personalization.customers.models import Identity, Merge, ProfileDirty
from personalization.lib import redisclient
from personalization.lib.clock import frozen
from personalization.lib.registries import cache_epochs

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
USER, DEVICE = Identity.Kind.USER, Identity.Kind.ANONYMOUS

pytestmark = pytest.mark.django_db


def made(kind: int = DEVICE, value: str = "a1") -> int:
    services.create_identities([(kind, value)], now=NOW)
    return Identity.objects.get(kind=kind, value=value, ended_at=None).customer_id


def folded(customer_id: int, item: str) -> None:
    state = {"n": 1, "f": 1, "l": 1, "k": {}, "r": {f"view:{item}": 1_000_000}}
    profiles.lock([customer_id], now=NOW)
    profiles.write([profiles.Folded(customer_id, state)], known=None, now=NOW)


def test_read__written__from_redis_in_no_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    customer_id = made()
    folded(customer_id, "sku1")
    assert documents.write_now([customer_id])

    with django_assert_num_queries(0):
        found = serve.read(user_id=None, anonymous_id="a1")

    assert found.source == "redis"
    assert found.document is not None
    assert found.document.assignment_key == "a1"
    assert found.document.parts["profile"]["recent"] == [["view", "sku1", 1.0]]
    assert found.document.parts["consent"] == [0, 0]
    assert not ProfileDirty.objects.exists()


def test_read__not_in_redis__from_postgres_and_then_from_redis() -> None:
    made()
    assert serve.read(user_id=None, anonymous_id="a1").source == "postgres"
    assert serve.read(user_id=None, anonymous_id="a1").source == "redis"


def test_read__complete_and_unknown__a_stranger_in_no_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    made()
    assert documents.warm()

    with django_assert_num_queries(0):
        assert serve.read(user_id=None, anonymous_id="nobody").source == "stranger"
        assert serve.read(user_id=None, anonymous_id="a1").source == "redis"
        assert serve.read(user_id="", anonymous_id=None).source == "stranger"


def test_put__an_older_version__does_not_win() -> None:
    customer_id = made()
    old = documents.build([customer_id])
    folded(customer_id, "sku1")
    documents.write_now([customer_id])

    documents.put(old)

    found = serve.read(user_id=None, anonymous_id="a1").document
    assert found is not None
    assert found.version == 2


def test_forget__a_writer_that_read_before__cannot_bring_it_back() -> None:
    customer_id = made()
    documents.write_now([customer_id])
    old = documents.build([customer_id])
    services.touch([customer_id], now=NOW)

    assert documents.forget([customer_id])
    documents.put(old)

    assert serve.read(user_id=None, anonymous_id="a1").source == "postgres"


def test_read__identity_moved__the_old_document_is_not_believed() -> None:
    source = made(DEVICE, "a1")
    made(USER, "u1")
    stale = documents.build([source])
    services.log_in(user="u1", device="a1", now=NOW)
    documents.write_now([Merge.objects.get().target_id])
    documents.put(stale)
    documents.write_now([source])

    found = serve.read(user_id=None, anonymous_id="a1")

    assert found.document is not None
    assert found.document.customer_id == Merge.objects.get().target_id


def test_read__unknown_user_on_the_device_of_another__a_stranger() -> None:
    made(DEVICE, "a1")
    made(USER, "u1")
    services.log_in(user="u1", device="a1", now=NOW)
    documents.warm()

    assert serve.read(user_id="u2", anonymous_id="a1").source == "stranger"
    assert serve.read(user_id="u2", anonymous_id="a9").source == "stranger"
    assert serve.read(user_id="u1", anonymous_id="a9").document is not None


def test_read__epoch_raised__nothing_written_before_is_found() -> None:
    made()
    documents.warm()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE consent_denyepoch SET epoch = epoch + 1")
    documents.look_again()

    assert serve.read(user_id=None, anonymous_id="a1").source == "postgres"
    assert serve.read(user_id=None, anonymous_id="nobody").source == "stranger"


def test_look_again__while_another_thread_reads_the_epochs__the_next_read_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[int]()

    def epoch() -> int:
        asked.append(1)
        if len(asked) == 1:
            documents.look_again()
        return len(asked)

    monkeypatch.setitem(cache_epochs._entries, "test", epoch)
    documents.watch_epochs()

    before, after = documents.prefix(), documents.prefix()

    assert (before, len(asked)) == (after, 2)


def test_read__redis_restarted_with_old_data__is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made()
    documents.warm()
    assert serve.read(user_id=None, anonymous_id="a1").source == "redis"

    monkeypatch.setattr(redisclient._state, "run_id", "another-run")

    assert serve.read(user_id=None, anonymous_id="a1").source == "postgres"


def test_read__redis_away__postgres_within_its_rate(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made()
    redisclient.reset()
    settings.CACHE_REDIS_URL = "unix:///nowhere/redis.sock"
    monkeypatch.setattr(serve, "_bucket", serve._Bucket(2))

    sources = [serve.read(user_id=None, anonymous_id="a1").source for _ in range(4)]

    assert sources == ["postgres", "postgres", "unavailable", "unavailable"]
    assert not documents.write_now([made()])
    assert not documents.forget([made()])
    documents.keep()


def is_complete() -> bool:
    head = documents.prefix()
    return bool(redisclient.call(lambda client: client.exists(f"{head}complete")))


def evict() -> None:
    """Have Redis throw away what may go, as when its memory is full."""

    def limit(size: str) -> None:
        with suppress(redis.ResponseError):
            redisclient.call_bulk(lambda client: client.config_set("maxmemory", size))

    before = redisclient.call(lambda client: client.config_get("maxmemory"))["maxmemory"]
    limit("1")
    with suppress(redis.ResponseError):
        redisclient.call_bulk(lambda client: client.set("p13n:test", 1, ex=1))
    limit(before or "0")


def test_keep__everything_evicted__all_is_written_again_at_once() -> None:
    made()
    with frozen(NOW):
        documents.keep()
        assert serve.read(user_id=None, anonymous_id="nobody").source == "stranger"
        evict()
        assert not is_complete()
        documents.keep()

    assert is_complete()
    assert serve.read(user_id=None, anonymous_id="a1").source == "redis"


def test_read__alias_evicted_a_moment_ago__is_no_stranger() -> None:
    """Of somebody who denied consent a stranger's answer would be a personal one."""
    made()
    with frozen(NOW):
        documents.warm()
        head = documents.prefix()
        mark = redisclient.call(lambda client: client.get(f"{head}complete")) or b""
        evict()
        redisclient.call(lambda client: client.set(f"{head}complete", mark, ex=30))
        found = serve.read(user_id=None, anonymous_id="a1")

    assert found.source == "postgres"


def test_keep__evicted_again_and_again__written_anew_now_and_then() -> None:
    made()
    with frozen(NOW):
        documents.keep()
        head = documents.prefix()
        mark = redisclient.call(lambda client: client.get(f"{head}warmed")) or b""
        evict()
        redisclient.call(lambda client: client.set(f"{head}warmed", mark, ex=60))
    complete = []
    for minutes in (1, 9, 11):
        with frozen(NOW + timedelta(minutes=minutes)):
            documents.keep()
            complete.append(is_complete())

    assert complete == [False, False, True]


def test_keep__half_of_their_life_is_over__complete_all_through_the_next_warming() -> None:
    made()
    with frozen(NOW):
        documents.keep()
    head = documents.prefix()
    redisclient.call(lambda client: client.delete(f"{head}complete"))
    redisclient.call(lambda client: client.set(f"{head}warming", 1, ex=60))  # another's work

    with frozen(NOW + timedelta(days=4)):
        documents.keep()

    assert is_complete()


def test_warm__longer_than_its_marks_live__renews_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        made(value=f"a{number}")
    monkeypatch.setattr(documents, "_CHUNK", 1)
    monkeypatch.setattr(documents, "_TEND_EVERY_S", 0.0)
    with frozen(NOW):
        documents.warm()
        head = documents.prefix()
        left: list[int] = []
        put = documents.put

        def slow(built: Any) -> None:
            left.append(redisclient.call(lambda client: client.ttl(f"{head}warming")))
            redisclient.call(lambda client: client.delete(f"{head}complete"))
            redisclient.call(lambda client: client.set(f"{head}warming", 1, ex=5))
            put(built)

        redisclient.call(lambda client: client.set(f"{head}warming", 1, ex=5))
        monkeypatch.setattr(documents, "put", slow)
        tended = []
        sweep = documents.sweep
        monkeypatch.setattr(documents, "sweep", lambda **how: tended.append(sweep(**how)))
        documents.warm()

    assert is_complete()
    assert len(tended) == 3
    assert not redisclient.call(lambda client: client.exists(f"{head}warming"))


def test_keys__names__hold_no_ids() -> None:
    customer_id = made(USER, "ann@example.org")
    documents.write_now([customer_id])

    names = redisclient.call(lambda client: client.keys("*"))

    assert names
    assert not [name for name in names if b"ann" in name]
