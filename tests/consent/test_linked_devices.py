"""A device that is linked to a user speaks without proof: it may narrow, never widen."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from personalization.access.serve import identity_token
from personalization.access.services import create_key
from personalization.consent.models import ConsentRecord
from personalization.customers.models import Identity, Merge
from personalization.customers.services import create_identities, log_in, unmerge
from personalization.lib import clock

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER, DEVICE = (Identity.Kind.USER, "u1"), (Identity.Kind.ANONYMOUS, "a1")


def say(*, granted: bool, at_s: int, proven: bool = False, device: str = "a1") -> bool:
    """Send a word on personalization; return whether it is in force afterwards."""
    with clock.frozen(NOW + timedelta(seconds=at_s)):
        _row, key = create_key(name="t", kind="public", actor="t")
        body: dict[str, Any] = {
            "userId": "u1",
            "anonymousId": device,
            "purposes": {"personalization": granted},
        }
        if proven:
            body["userToken"] = identity_token("u1", expires_at=clock.now() + timedelta(hours=1))
        client = Client(headers={"authorization": f"Bearer {key}"})
        answer = client.post("/v1/consent", json.dumps(body), content_type="application/json")
    assert answer.status_code == 200, answer.content
    return bool(answer.json()["purposes"]["personalization"])


def test_grant__device_of_a_user_who_withdrew__is_kept_as_proof_and_changes_nothing() -> None:
    assert not say(granted=False, at_s=0, proven=True)

    assert not say(granted=True, at_s=10)

    assert list(ConsentRecord.objects.order_by("id").values_list("granted", "linked")) == [
        (False, False),
        (True, True),
    ]


def test_grant__proven_user__lifts_the_own_withdrawal() -> None:
    say(granted=False, at_s=0, proven=True)
    say(granted=True, at_s=10)

    assert say(granted=True, at_s=20, proven=True)


def test_withdrawal__device_of_a_user_who_granted__holds_for_the_customer() -> None:
    assert say(granted=True, at_s=0, proven=True)

    assert not say(granted=False, at_s=10)


def test_grant__device_that_withdrew_itself__may_change_its_mind() -> None:
    say(granted=True, at_s=0, proven=True)
    say(granted=False, at_s=10)

    assert say(granted=True, at_s=20)


def test_grant__said_before_the_log_in__is_the_latest_word_after_it() -> None:
    create_identities([USER, DEVICE], now=NOW)
    say(granted=False, at_s=0, proven=True, device="a2")
    assert say(granted=True, at_s=10)

    log_in(user="u1", device="a1", now=NOW + timedelta(seconds=20))

    assert say(granted=True, at_s=30)


def test_unmerge__linked_grant__counts_for_the_parted_device_again() -> None:
    create_identities([USER, DEVICE], now=NOW)
    log_in(user="u1", device="a1", now=NOW)
    say(granted=False, at_s=0, proven=True)
    assert not say(granted=True, at_s=10)

    unmerge(Merge.objects.get().pk, actor="t", now=NOW + timedelta(seconds=20))

    _row, key = create_key(name="t", kind="public", actor="t")
    client = Client(headers={"authorization": f"Bearer {key}"})
    stated = client.get("/v1/consent", {"anonymousId": "a1"}).json()["stated"]
    assert stated == {"personalization": True}
