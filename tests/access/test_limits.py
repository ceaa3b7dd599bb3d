"""Rate limits: shared through Redis, per worker without it."""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import pytest
from django.test import Client
from pytest_django import Settings

from personalization.access import limits
from personalization.access.engine.buckets import Rate, full
from personalization.access.serve import Caller
from personalization.access.services import create_key
from personalization.lib import clock, redisclient
from personalization.lib.errors import TooManyRequests

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BROWSER = Caller(1, "public", frozenset(), "browser")
SERVER = Caller(2, "secret", frozenset(), "server")


@pytest.fixture(autouse=True)
def _small_buckets(settings: Settings) -> None:
    settings.RATE_PUBLIC_KEY_PER_S = 5
    settings.RATE_SECRET_KEY_PER_S = 5
    settings.RATE_ADDRESS_PER_S = 2
    redisclient.call_bulk(lambda client: client.flushdb())


@pytest.fixture
def no_redis(settings: Settings) -> None:
    settings.CACHE_REDIS_URL = "unix:///nowhere/redis.sock"
    redisclient.reset()


def calls_until_refused(caller: Caller, address: str, most: int = 50) -> int:
    for done in range(most):
        try:
            limits.check(caller, address)
        except TooManyRequests:
            return done
    return most


def test_check__one_address__is_refused_after_its_burst() -> None:
    with clock.frozen(NOW):
        assert calls_until_refused(BROWSER, "192.0.2.1") == 4


def test_check__other_address__has_its_own_bucket() -> None:
    with clock.frozen(NOW):
        calls_until_refused(BROWSER, "192.0.2.1")

        assert calls_until_refused(BROWSER, "192.0.2.2") == 4


def test_check__same_household_in_ipv6__shares_a_bucket() -> None:
    with clock.frozen(NOW):
        assert calls_until_refused(BROWSER, "2001:db8::1") == 4
        assert calls_until_refused(BROWSER, "2001:db8::2") == 0
        assert calls_until_refused(BROWSER, "::ffff:192.0.2.9") == 4
        assert calls_until_refused(BROWSER, "192.0.2.9") == 0


def test_check__key_from_many_addresses__is_refused_after_the_keys_burst() -> None:
    with clock.frozen(NOW):
        for n in range(10):
            limits.check(BROWSER, f"192.0.2.{n}")

        with pytest.raises(TooManyRequests):
            limits.check(BROWSER, "192.0.2.10")


def test_check__secret_key__has_no_bucket_per_address() -> None:
    with clock.frozen(NOW):
        assert calls_until_refused(SERVER, "192.0.2.1") == 10


def test_check__no_address_known__counts_the_key_alone() -> None:
    with clock.frozen(NOW):
        assert calls_until_refused(BROWSER, "") == 10


def test_check__rate_zero__limits_nothing(settings: Settings) -> None:
    settings.RATE_PUBLIC_KEY_PER_S = settings.RATE_ADDRESS_PER_S = 0

    assert calls_until_refused(BROWSER, "192.0.2.1") == 50


def test_check__refused__says_when_to_come_back() -> None:
    with clock.frozen(NOW):
        calls_until_refused(BROWSER, "192.0.2.1")
        with pytest.raises(TooManyRequests) as refused:
            limits.check(BROWSER, "192.0.2.1")

    assert refused.value.retry_after_s == 1


def test_check__second_worker__finds_the_shared_bucket_as_empty() -> None:
    with clock.frozen(NOW):
        calls_until_refused(BROWSER, "192.0.2.1")
        limits.reset()

        assert calls_until_refused(BROWSER, "192.0.2.1") == 0


def shared_bucket() -> str:
    """Name of the one bucket of an address in Redis; addresses themselves are in no name."""
    names = redisclient.call_bulk(lambda client: client.keys("p13n:r:*"))
    assert not [name for name in names if b"192.0.2" in name]
    return "p13n:r:" + blake2b(b"a:192.0.2.1", digest_size=16).hexdigest()


def test_check__shared_bucket_refilled__lets_through_again() -> None:
    with clock.frozen(NOW):
        calls_until_refused(BROWSER, "192.0.2.1")
    # Redis's own clock counts: what happened is moved a second into the past.
    redisclient.call_bulk(lambda client: client.hincrby(shared_bucket(), "at", -1000))

    with clock.frozen(NOW + timedelta(seconds=1)):
        assert calls_until_refused(BROWSER, "192.0.2.1") == 2


def test_check__buckets_in_redis__die_when_unused() -> None:
    limits.check(BROWSER, "192.0.2.1")

    ttl_ms = redisclient.call_bulk(lambda client: client.pttl(shared_bucket()))

    assert 0 < int(ttl_ms) <= 3000


@pytest.mark.usefixtures("no_redis")
def test_check__redis_away__each_worker_counts_alone() -> None:
    with clock.frozen(NOW):
        assert calls_until_refused(BROWSER, "192.0.2.1") == 4
    with clock.frozen(NOW + timedelta(seconds=1)):
        assert calls_until_refused(BROWSER, "192.0.2.1") == 2


def test_check__redis_goes_away_in_between__refuses_nobody_for_it(settings: Settings) -> None:
    with clock.frozen(NOW):
        limits.check(BROWSER, "192.0.2.1")
        settings.CACHE_REDIS_URL = "unix:///nowhere/redis.sock"
        redisclient.reset()

        assert calls_until_refused(BROWSER, "192.0.2.1") == 4


def test_check__redis_forgot_its_scripts__goes_on() -> None:
    limits.check(BROWSER, "192.0.2.1")
    redisclient.call_bulk(lambda client: client.script_flush())

    limits.check(BROWSER, "192.0.2.1")


def test_limiter__many_addresses__remembers_a_bounded_number(
    monkeypatch: pytest.MonkeyPatch, no_redis: None
) -> None:
    monkeypatch.setattr(limits, "_REMEMBERED", 10)
    limiter = limits.Limiter()
    for n in range(100):
        limiter.wait_s(f"a:{n}", Rate(1), now_s=0.0)

    assert len(limiter._leases) == 10


def test_limiter__calls_far_apart__what_they_left_over_is_no_burst() -> None:
    limiter, rate = limits.Limiter(), Rate(100)
    for n in range(30):
        limiter.wait_s("k:1", rate, now_s=10.0 * n)

    assert limiter._leases["k:1"].tokens < rate.lease


def test_bucket__clock_steps_back__gives_nothing_away() -> None:
    bucket = full(Rate(1), 100.0)
    bucket.take(100.0)
    bucket.take(100.0)

    assert bucket.take(50.0) > 0
    assert bucket.take(100.0) > 0
    assert bucket.take(101.0) == 0.0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/track"),
        ("POST", "/v1/batch"),
        ("GET", "/v1/pixel.gif?data=e30"),
        ("POST", "/v1/decide"),
        ("GET", "/v1/recommendations/popular"),
        ("GET", "/v1/consent?anonymousId=a1"),
        ("POST", "/ofrep/v1/evaluate/flags"),
        ("POST", "/ofrep/v1/evaluate/flags/new"),
    ],
)
def test_wire__too_fast__every_door_says_when_to_come_back(method: str, path: str) -> None:
    _row, key = create_key(name="shop", kind="public", actor="test")
    client = Client(headers={"authorization": f"Bearer {key}"})
    with clock.frozen(NOW):
        for _ in range(4):
            first = client.generic(method, path, b"{}", content_type="application/json")
            assert first.status_code != 429

        refused = client.generic(method, path, b"{}", content_type="application/json")

    assert (refused.status_code, refused["Retry-After"]) == (429, "1")
