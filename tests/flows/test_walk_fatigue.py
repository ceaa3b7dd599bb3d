"""What was shown and not clicked tires the visitor: by verified exposures, each counted once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from personalization.customers.models import Profile
from personalization.lib import clock
from personalization.ops import serve as config
from recommender.strategies import save_strategy
from tests.flows.conftest import NOW, SHELF, Walk
from tests.recommender.shop import shop
from tests.recommender.stocked import install

__all__ = ["shop"]
pytestmark = pytest.mark.django_db(transaction=True)
DEVICE = {"anonymousId": "laptop-1"}
FIRST = ["a0", "a1", "a2", "a3", "a4"]


@pytest.fixture(autouse=True)
def tiring(walk: Walk, shop: Path, settings: Any) -> None:
    """Popular products, which sink when they were shown twice."""
    settings.DECISION_BUDGET_MS = 60_000
    with clock.frozen(NOW):
        install("popularity", keys=[f"{taste}{n}" for taste in "ab" for n in range(10)])
    _save(sources=[{"algorithm": "popularity", "weight": 1}], rules=_after(2))


def _after(times: int) -> dict[str, Any]:
    return {"fatigue": {"after": times, "factor": 0.0}}


def _save(**values: Any) -> None:
    with clock.frozen(NOW):
        save_strategy(key="for-you", values=values, actor="t")
        config.reload()


def _ids(walk: Walk, **more: Any) -> list[str]:
    return [item["id"] for item in walk.decide(DEVICE | more)["items"]]


def _show(walk: Walk) -> dict[str, Any]:
    """Show a shelf, and have its exposure processed."""
    shelf = walk.decide(DEVICE)
    sent = {"token": shelf["token"], "placement": SHELF, "items": shelf["items"]}
    assert walk.send("Decision Exposed", DEVICE, **sent)["accepted"] == 1
    walk.process()
    return shelf


def test_fatigue__shown_on_earlier_pages__sinks_until_it_is_clicked(walk: Walk) -> None:
    _show(walk)
    assert _ids(walk) == FIRST
    shelf = _show(walk)
    assert set(_ids(walk)).isdisjoint(FIRST)

    walk.send("Decision Clicked", DEVICE, token=shelf["token"], item="a2")
    walk.process()

    assert _ids(walk)[0] == "a2"
    assert set(_ids(walk)[1:]).isdisjoint(FIRST)


def test_fatigue__after_one_showing__the_shelf_rotates_from_visit_to_visit(walk: Walk) -> None:
    _save(rules=_after(1))

    shown = [item["id"] for _ in range(4) for item in _show(walk)["items"]]

    assert len(set(shown)) == len(shown) == 20


def test_fatigue__log_in_makes_one_of_two__remembered(walk: Walk) -> None:
    _show(walk)
    _show(walk)
    walk.view("b9", walk.user("ann"))
    ann = walk.user("ann", "laptop-1")
    walk.view("b9", ann)
    walk.process()

    assert Profile.objects.filter(events__gt=0).count() == 1
    assert set(_ids(walk, **ann)).isdisjoint(FIRST)


def test_fatigue__two_weeks_without_a_visit__forgotten(walk: Walk) -> None:
    _show(walk)
    _show(walk)
    walk.at += timedelta(days=15)

    assert _ids(walk) == FIRST


def test_fatigue__consent_withdrawn__nothing_is_remembered(walk: Walk) -> None:
    _show(walk)
    _show(walk)
    walk.consent(DEVICE, granted=False)
    assert _ids(walk) == FIRST
    walk.process()
    walk.consent(DEVICE, granted=True)
    # before the profile is built anew
    assert _ids(walk) == FIRST


@pytest.mark.parametrize(
    ("showings", "tired"),
    [
        (["same"], False),
        (["undated"], False),
        (["same", "undated"], False),
        (["newer"], True),
        (["undated", "undated"], True),
        (["newer", "click"], False),
        (["newer", "order"], False),
    ],
)
def test_fatigue__page_tells_what_the_profile_has_seen__counted_once(
    walk: Walk, showings: list[str], tired: bool
) -> None:
    _show(walk)
    shown = {"event": "Decision Exposed", "items": FIRST}
    told = {
        "same": shown | {"at": (NOW + timedelta(seconds=2)).isoformat()},
        "undated": shown,
        "newer": shown | {"at": walk.at.isoformat()},
        "click": {"event": "Decision Clicked", "items": FIRST},
        "order": {"event": "Order Completed", "items": FIRST},
    }
    if "order" in showings:
        _save(exclude_bought_days=0)

    found = _ids(walk, context={"recent": [told[one] for one in showings]})

    assert (found != FIRST) == tired
