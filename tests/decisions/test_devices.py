"""A proven user on a device that is another customer's: what the device withdrew holds, too."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client

from personalization.access.serve import identity_token
from personalization.consent.services import record
from personalization.customers import documents, serve
from personalization.customers.models import Identity
from personalization.customers.services import create_identities, log_in
from personalization.lib import redisclient
from tests.decisions.conftest import NOW, Decide

USER, DEVICE = (Identity.Kind.USER, "shopper-1"), (Identity.Kind.ANONYMOUS, "device-1")
Ask = Callable[..., str]


def _say(who: tuple[int, str], *, granted: bool) -> None:
    record(
        identity=who,
        purposes={"personalization": granted},
        source="test",
        policy_version="1",
        now=NOW,
    )


def _ids() -> dict[str, str]:
    token = identity_token("shopper-1", expires_at=NOW + timedelta(hours=1))
    return {"userId": "shopper-1", "userToken": token, "anonymousId": "device-1"}


@pytest.fixture(params=["decide", "recommendations"])
def reason(
    request: pytest.FixtureRequest, decide: Decide, client: Client, shop: dict[str, str]
) -> Ask:
    """Return a caller of either call that answers why it is personal or not."""

    def by_decide() -> str:
        shelf = decide({**_ids(), "placements": ["home.recommended"]})["placements"]
        return str(shelf["home.recommended"]["reason"])

    def by_strategy() -> str:
        headers = {"Authorization": f"Bearer {shop['public']}"}
        response = client.get("/v1/recommendations/for-you", _ids(), headers=headers)
        return str(orjson.loads(response.content)["reason"])

    return by_decide if request.param == "decide" else by_strategy


@pytest.mark.parametrize("store", ["redis", "postgres"])
def test_user__device_withdrew_and_is_not_merged__contextual(
    reason: Ask, store: str, settings: Any
) -> None:
    create_identities([USER, DEVICE], now=NOW)
    _say(USER, granted=True)
    assert reason() == "personal"

    _say(DEVICE, granted=False)
    if store == "postgres":
        settings.CACHE_REDIS_URL = "unix:///nowhere/redis.sock"
        redisclient.reset()

    assert reason() == "no_consent"


def test_user__own_device_withdrew_before__the_latest_word_over_both_counts(reason: Ask) -> None:
    create_identities([USER, DEVICE], now=NOW)
    _say(DEVICE, granted=False)
    log_in(user=USER[1], device=DEVICE[1], now=NOW)

    assert reason() == "no_consent"

    record(
        identity=USER,
        purposes={"personalization": True},
        source="test",
        policy_version="1",
        now=NOW + timedelta(seconds=1),
    )
    assert reason() == "personal"


def test_user__stranger_on_the_withdrawn_device_of_another__contextual(reason: Ask) -> None:
    create_identities([(Identity.Kind.USER, "other"), DEVICE], now=NOW)
    log_in(user="other", device=DEVICE[1], now=NOW)
    assert reason() == "personal"

    _say(DEVICE, granted=False)

    assert reason() == "no_consent"


def test_user__device_of_another__nothing_of_its_profile_is_read(decide: Decide) -> None:
    create_identities([USER, (Identity.Kind.USER, "other"), DEVICE], now=NOW)
    log_in(user="other", device=DEVICE[1], now=NOW)
    _say((Identity.Kind.USER, "other"), granted=True)

    found = serve.read(user_id=USER[1], anonymous_id=DEVICE[1])

    assert found.document is not None
    assert found.document.assignment_key == "shopper-1"
    assert found.beside is not None
    assert found.beside.customer_id != found.document.customer_id


def test_read__user_and_device__one_call_of_redis(
    decide: Decide, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_identities([USER, DEVICE], now=NOW)
    assert documents.warm()
    calls: list[Any] = []
    run = redisclient.run

    def counted(*given: Any) -> Any:
        calls.append(given)
        return run(*given)

    monkeypatch.setattr(redisclient, "run", counted)

    with django_assert_num_queries(0):
        found = serve.read(user_id=USER[1], anonymous_id=DEVICE[1])

    assert (found.source, len(calls)) == ("redis", 1)
    assert found.beside is not None


def test_read__device_unknown_to_a_cache_that_is_not_complete__postgres_is_asked(
    decide: Decide,
) -> None:
    create_identities([USER, DEVICE], now=NOW)
    user = Identity.objects.get(kind=USER[0], value=USER[1])
    assert documents.write_now([user.customer_id])

    assert serve.read(user_id=USER[1], anonymous_id=None).source == "redis"
    assert serve.read(user_id=USER[1], anonymous_id=DEVICE[1]).source == "postgres"
    assert serve.read(user_id=USER[1], anonymous_id=DEVICE[1]).source == "redis"
