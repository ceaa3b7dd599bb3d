"""Documents in Redis: newer only, a space per Redis run and epoch, and the one read over them."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from personalization.customers import documents, profiles, serve, services
from personalization.customers.models import Identity, Merge, ProfileDirty
from personalization.lib import redisclient

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
USER, DEVICE = Identity.Kind.USER, Identity.Kind.ANONYMOUS

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh() -> None:
    documents.reset()


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


def test_keep__evictions_since_the_warming__no_longer_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made()
    documents.keep()
    assert serve.read(user_id=None, anonymous_id="nobody").source == "stranger"

    monkeypatch.setattr(documents, "_evicted", lambda _client: 7)
    documents.keep()

    head = documents.prefix()
    assert not redisclient.call(lambda client: client.exists(f"{head}complete"))
