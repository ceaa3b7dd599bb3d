"""Lists made ahead: of every strategy, anew when what they are made of changes, and kept."""

from pathlib import Path
from typing import Any

import pytest

from personalization.catalog import serve as catalogue
from personalization.catalog.services import upsert_products
from recommender import ready
from recommender.serve import Answer, recommend
from tests.recommender.shop import NOW
from tests.recommender.stocked import ids, install, stock, strategy


@pytest.fixture(autouse=True)
def stocked(shop: Path) -> None:
    stock()
    install("popularity")


def own(key: str) -> Answer:
    return ready.ready(key)[0]


def test_watch__published_strategies__a_list_each_without_chance() -> None:
    strategy("pinned", rules={"pins": [{"item": "p5", "place": 1}]})
    strategy("chancy", rules={"exploration": {"share": 1.0, "days": 30}})
    strategy("asleep", active=False)

    ready.watch()

    assert {"pinned", "chancy", "popular"} <= set(ready._held.lists)
    assert "asleep" not in ready._held.lists
    assert ids(own("pinned"))[:3] == ["p5", "p0", "p1"]
    assert ids(own("chancy"))[:3] == ["p0", "p1", "p2"]
    assert [answer.strategy for answer in ready.ready("pinned")] == ["pinned", "popular"]
    assert len(ready.ready("popular")) == 1


def test_watch__something_changed__made_anew_the_catalogue_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = strategy()
    ready.watch()
    first = own(key)
    ready.watch()
    assert own(key) is first

    install("popularity", keys=["p9", "p8"])
    ready.watch()
    second = own(key)
    assert ids(second)[:2] == ["p9", "p8"]

    upsert_products([{"key": "p9", "stock": 0}], actor="test", now=NOW)
    catalogue.refresh()
    ready.watch()
    assert own(key) is second
    monkeypatch.setattr(ready, "_AGE_S", 0.0)
    ready.watch()
    assert ids(own(key))[0] == "p8"

    strategy(active=False)
    ready.watch()
    assert key not in ready._held.lists


def test_watch__one_strategy_breaks__keeps_its_list_and_the_others_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = strategy()
    ready.watch()
    before = own(key)

    def breaking(asked: Any, visit: Any) -> Answer:
        if getattr(asked, "key", asked) == key:
            raise ZeroDivisionError
        return recommend(asked, visit)

    monkeypatch.setattr(ready, "recommend", breaking)
    strategy("other")
    ready.watch()

    assert own(key) is before
    assert ids(own("other"))[0] == "p0"


def test_ready__nothing_made_yet__made_once_and_a_failure_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, asked = strategy(), []

    def failing(*_given: Any) -> Answer:
        asked.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(ready, "recommend", failing)
    assert (ready.ready(key), ready.ready(key)) == ((), ())
    assert len(asked) == 2  # its own and the popular one, once each
    monkeypatch.setattr(ready, "recommend", recommend)
    ready.watch()

    assert ids(own(key))[0] == "p0"
