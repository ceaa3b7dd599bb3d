"""Segments in a decision: exact at its moment, told in explanations and in the log."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from personalization.customers import documents
from personalization.decisions.record import body_of
from personalization.decisions.serve import answer, decide, direct_answer, recommend
from personalization.decisions.wire import Ask, Wanted
from personalization.lib import clock
from recommender import mailings
from recommender.previews import Wish, preview
from recommender.serve import strategies
from tests.events.processor.log import NOW, put
from tests.recommender.stocked import install, product, stock, strategy
from tests.segments.live.world import count, go_live, process

pytestmark = pytest.mark.django_db(transaction=True)


def asked(minute: float, *, explain: bool = True) -> object:
    at = NOW + timedelta(minutes=minute)
    ask = Ask(anonymous_id="a1", explain=explain)
    with clock.frozen(at):
        return decide(ask, None, gpc=False, now=at)


def test_explain__member__named_with_until_and_the_values_that_decided() -> None:
    go_live("fresh", count(days=1))
    put("m1", product_id="sku1")
    process(1)

    decision = asked(2)

    (told,) = answer(decision)["explain"]["segments"]  # type: ignore[arg-type]
    assert (told["key"], told["version"], told["known"]) == ("fresh", 1, True)
    assert told["until"] == (NOW + timedelta(days=1)).isoformat()
    assert told["why"]["member"] is True
    assert told["why"]["rule"]["value"] == 1


def test_explain__time_has_turned_it__no_member_though_no_worker_ran() -> None:
    go_live("fresh", count(days=1))
    put("m1", product_id="sku1")
    process(1)

    decision = asked(1441)

    assert answer(decision)["explain"]["segments"] == []  # type: ignore[arg-type]


def test_mailing__member__segments_and_unit_are_those_of_the_decision() -> None:
    go_live("fresh", count(days=1))
    put("m1", product_id="sku1")
    process(1)
    decision: Any = asked(2)
    _, _, body = documents.build([decision.visitor.customer_id])[decision.visitor.customer_id]

    visit = mailings.visit_of(orjson.loads(body), count=3, now=NOW + timedelta(minutes=2))

    assert (visit.segments, visit.seed) == (("fresh",), decision.visitor.unit)


def test_log__member__keys_are_logged() -> None:
    go_live("fresh", count(days=1))
    put("m1", product_id="sku1")
    process(1)
    documents.sweep()

    assert b'"segments":["fresh"]' in body_of(asked(2, explain=False))  # type: ignore[arg-type]


def test_preview__of_a_member_in_another_time_zone__shows_what_a_decision_answers(
    settings: Any,
) -> None:
    settings.DECISION_BUDGET_MS = 60_000
    stock()
    install("popularity", "popular_in_group")
    evening = {"kind": "context", "key": "local_time.hour", "op": "gte", "value": 20}
    strategy(
        algorithm="popular_in_group",
        rules={"filter": {"or": [{"not": evening}, product("key", "in", ["p3", "p6"])]}},
    )
    go_live("loyal", count(days=1))
    put("m1", product_id="p0", context={"timezone": "Asia/Tokyo"})
    process(1)
    at = NOW + timedelta(minutes=2)
    ask = Ask(anonymous_id="a1", placements=(Wanted("mine", count=4),))
    with clock.frozen(at):
        decided = direct_answer(recommend(ask, None, gpc=False, now=at))
        shown = preview(strategies()["mine"], Wish(customer="a1", count=4), now=at)
        stranger = preview(strategies()["mine"], Wish(count=4), now=at)

    # noon of the shop is evening in Tokyo, and p6 is what the segment likes
    assert [one.id for one in decided["items"]] == ["p6", "p3"]
    assert [one.key for one in shown.items] == ["p6", "p3"]
    assert len(stranger.items) == 4
