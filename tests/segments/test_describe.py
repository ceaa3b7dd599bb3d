"""Rules in words: every kind of leaf has its sentence, and a translation may turn it around."""

from typing import Any

import pytest

from segments.engine.builtin import BUILT_IN
from segments.engine.catalogue import Catalogue, Named
from segments.engine.describe import describe
from segments.engine.language import canonical, digest, parse

DAY = 86_400
WEEK = {"type": "last", "seconds": 7 * DAY}
VIEW: dict[str, Any] = {"event": "Product Viewed", "where": []}
WORDS = Catalogue(
    segments=(Named("vip", "VIPs"),),
    lists=(Named("press", "Press"),),
    scores=(Named("churn", "Churn"),),
)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            {"kind": "count", **VIEW, "window": WEEK, "op": "gte", "value": 3},
            "did “Product Viewed” at least 3 times in the last 7 days.",
        ),
        (
            {"kind": "count", **VIEW, "window": WEEK, "op": "eq", "value": 0},
            "never did “Product Viewed” in the last 7 days.",
        ),
        (
            {
                "kind": "distinct_days",
                **VIEW,
                "window": {"type": "calendar_days", "days": 2},
                "op": "between",
                "value": [1, 2],
            },
            "did “Product Viewed” on between 1 and 2 days today or yesterday.",
        ),
        (
            {
                "kind": "aggregate",
                "event": "Order Completed",
                "where": [{"key": "total", "op": "gt", "value": 10}],
                "window": {"type": "ever"},
                "prop": "revenue",
                "agg": "sum",
                "op": "lt",
                "value": 99.5,
            },
            (
                "did “Order Completed” (where total is more than 10) ever so that the "
                "sum of revenue is less than 99.5."
            ),
        ),
        (
            {"kind": "first_time", **VIEW, "window": {"type": "absolute", "from": 0, "to": 60}},
            (
                "did “Product Viewed” for the first time from 1970-01-01 00:00 UTC to "
                "1970-01-01 00:01 UTC."
            ),
        ),
        (
            {"kind": "sequence", "window": WEEK, "steps": [VIEW, {**VIEW, "within": 3600}]},
            ("did “Product Viewed” in the last 7 days, then “Product Viewed” within 1 hour."),
        ),
        (
            {
                "kind": "then_not",
                "a": VIEW,
                "b": {"event": {"prefix": "Order"}, "where": []},
                "after": 90,
                "window": WEEK,
            },
            (
                "did “Product Viewed” in the last 7 days and then, for 90 seconds, not "
                "anything that begins with “Order”."
            ),
        ),
        (
            {
                "kind": "stopped",
                **VIEW,
                "before_seconds": 30 * DAY,
                "inactive_seconds": 7 * DAY,
            },
            "did “Product Viewed” in the last 30 days but not in the last 7 days.",
        ),
        (
            {"kind": "regularly", **VIEW, "period": DAY, "periods": 7, "min_periods": 5},
            "did “Product Viewed” in at least 5 of the last 7 periods of 1 day.",
        ),
        (
            {"kind": "profile", "key": "orders", "op": "gte", "value": 2},
            "have a profile where Orders is at least 2.",
        ),
        ({"kind": "segment", "key": "vip"}, "are in the segment “VIPs”."),
        ({"kind": "list", "key": "press"}, "are on the list “Press”."),
        (
            {"kind": "score", "key": "churn", "op": "gt", "value": 0.8},
            "have a score “Churn” of more than 0.8.",
        ),
        (
            {"kind": "bucket", "salt": "a", "from": 0, "to": 0.5},
            "fall between 0 % and 50 % of the random split “a”.",
        ),
        (
            {
                "not": {
                    "or": [
                        {"kind": "list", "key": "press"},
                        {"kind": "segment", "key": "vip"},
                    ]
                }
            },
            ("are not among those who (are on the list “Press” or are in the segment “VIPs”)."),
        ),
    ],
)
def test_describe__each_kind__has_its_sentence(rule: Any, sentence: str) -> None:
    assert describe(parse(rule), WORDS) == f"Customers who {sentence}"


def test_describe__translation__puts_parts_in_its_own_order() -> None:
    german = {
        "Customers who {what}.": "Kunden, die {what}.",
        "are on the list {name}": "auf der Liste {name} stehen",
    }

    told = describe(parse({"kind": "list", "key": "press"}), WORDS, lambda s: german.get(s, s))

    assert told == "Kunden, die auf der Liste “Press” stehen."


def test_describe__braces_in_a_marketers_text__stay() -> None:
    rule = {"kind": "bucket", "salt": "{high}", "from": 0, "to": 1}
    assert "“{high}”" in describe(parse(rule), WORDS)


@pytest.mark.parametrize("one", BUILT_IN, ids=lambda one: one.key)
def test_canonical__twice__is_once(one: Any) -> None:
    assert canonical(canonical(one.rule)) == canonical(one.rule)


def test_canonical__order_of_members_and_whole_floats__are_the_same_rule() -> None:
    one = {"kind": "count", **VIEW, "window": WEEK, "op": "gte", "value": 3}
    other = {
        "value": 3.0,
        "op": "gte",
        "window": {"seconds": 7.0 * DAY, "type": "last"},
        "event": "Product Viewed",
        "kind": "count",
    }
    assert digest(canonical(one)) == digest(canonical(other))
