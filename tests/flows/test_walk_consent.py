"""Withdrawal holds at once, empties the profile, and a new grant brings back what was allowed."""

import pytest

from personalization.customers.models import Profile
from tests.flows.conftest import Walk

pytestmark = pytest.mark.django_db(transaction=True)
DEVICE = {"anonymousId": "laptop-1"}


def _recent(walk: Walk) -> set[str]:
    explained = walk.decide(DEVICE, secret=True, explain=True)["whole"]["explain"]
    return {item for _, item, _ in explained["recent"]}


def test_consent__withdrawn_and_granted_again__profile_goes_and_comes(walk: Walk) -> None:
    walk.view("a0", DEVICE)
    walk.process()
    assert walk.decide(DEVICE)["reason"] == "personal"
    assert _recent(walk) == {"a0"}

    walk.consent(DEVICE, granted=False)
    contextual = walk.decide(DEVICE)
    assert contextual["reason"] == "no_consent"
    assert "token" not in contextual
    walk.send("Product Viewed", DEVICE, product_id="a1")  # its bit is not set
    walk.process()
    assert Profile.objects.get().events == 0
    assert _recent(walk) == set()

    walk.consent(DEVICE, granted=True)
    walk.process()
    assert walk.decide(DEVICE)["reason"] == "personal"
    assert _recent(walk) == {"a0"}
    walk.view("a2", DEVICE)
    walk.process()
    assert _recent(walk) == {"a0", "a2"}


def test_consent__withdrawn_while_an_event_waits__it_is_not_folded(walk: Walk) -> None:
    walk.view("a0", DEVICE)
    walk.consent(DEVICE, granted=False)

    walk.process()

    assert not Profile.objects.filter(events__gt=0).exists()
