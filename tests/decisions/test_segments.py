"""Segments in a decision: exact at its moment, told in explanations and in the log."""

from datetime import timedelta

import pytest

from personalization.customers import documents
from personalization.decisions.record import body_of
from personalization.decisions.serve import answer, decide
from personalization.decisions.wire import Ask
from personalization.lib import clock
from tests.events.processor.log import NOW, put
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


def test_log__member__keys_are_logged() -> None:
    go_live("fresh", count(days=1))
    put("m1", product_id="sku1")
    process(1)
    documents.sweep()

    assert b'"segments":["fresh"]' in body_of(asked(2, explain=False))  # type: ignore[arg-type]
