"""Segments out of the box: what most shops would write on their first day, as rules.

A migration adds them as drafts; who wants one publishes it. The demo publishes all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One segment: key, title, what it is for, and its rule."""

    key: str
    title: str
    description: str
    rule: Rule


def _last(seconds: int) -> Rule:
    return {"type": "last", "seconds": seconds}


def _count(event: str, seconds: int, op: str, value: int, where: Any = ()) -> Rule:
    return {
        "kind": "count",
        "event": event,
        "where": list(where),
        "window": _last(seconds),
        "op": op,
        "value": value,
    }


def _seen(days: int) -> Rule:
    return {"kind": "profile", "key": "last_seen", "op": "within_last", "value": days * _DAY}


# Names of what people do in a shop, whatever of it a shop sends: pages, products, payments; carts,
# checkouts, coupons; screens of an app, searches. Days are counted for each of them by itself.
_CAME = ({"prefix": "P"}, {"prefix": "C"}, {"prefix": "S"})


def _days(event: Any, seconds: int, value: int) -> Rule:
    return {
        "kind": "distinct_days",
        "event": event,
        "where": [],
        "window": _last(seconds),
        "op": "gte",
        "value": value,
    }


_MOBILE = [{"key": "$context.device.type", "op": "eq", "value": "mobile"}]
_ORDER = "Order Completed"
_NO_ORDER = {"kind": "profile", "key": "orders", "op": "eq", "value": 0}

BUILT_IN: tuple[BuiltIn, ...] = (
    BuiltIn(
        "abandoned-cart",
        "Abandoned cart",
        "Put something in the cart, and for an hour ordered nothing: remind them.",
        {
            "kind": "then_not",
            "a": {"event": "Product Added", "where": []},
            "b": {"event": _ORDER, "where": []},
            "after": _HOUR,
            "window": _last(3 * _DAY),
        },
    ),
    BuiltIn(
        "repeat-visitor",
        "Repeat visitor without an order",
        "Came on three days of the last fortnight and has never ordered: reassure them.",
        {
            "and": [
                {"or": [_days(event, 14 * _DAY, 3) for event in _CAME]},
                _NO_ORDER,
            ]
        },
    ),
    BuiltIn(
        "high-intent-mobile",
        "High-intent mobile shopper",
        "On a phone, over two minutes on product pages, put something in the cart, and no order "
        "within half an hour: make paying easy.",
        {
            "and": [
                {
                    "kind": "aggregate",
                    "event": "Product Dwelled",
                    "where": _MOBILE,
                    "window": _last(30 * _MINUTE),
                    "prop": "seconds",
                    "agg": "sum",
                    "op": "gt",
                    "value": 120,
                },
                _count("Product Added", 30 * _MINUTE, "gte", 1, _MOBILE),
                _count(_ORDER, 30 * _MINUTE, "eq", 0),
            ]
        },
    ),
    BuiltIn(
        "lurker",
        "Lurker",
        "Looked at ten products or more in a week and put nothing in the cart: help them choose.",
        {
            "and": [
                _count("Product Viewed", 7 * _DAY, "gte", 10),
                _count("Product Added", 7 * _DAY, "eq", 0),
            ]
        },
    ),
    BuiltIn(
        "loyal-lapsing",
        "Loyal but lapsing",
        "Three orders or more, the last of them 60 to 180 days ago: win them back.",
        {
            "and": [
                {"kind": "profile", "key": "orders", "op": "gte", "value": 3},
                {
                    "kind": "stopped",
                    "event": _ORDER,
                    "where": [],
                    "before_seconds": 180 * _DAY,
                    "inactive_seconds": 60 * _DAY,
                },
            ]
        },
    ),
    BuiltIn(
        "big-basket",
        "Big basket",
        "An order of 150 or more in the last 90 days, in the currency of the event.",
        {
            "kind": "aggregate",
            "event": _ORDER,
            "where": [],
            "window": _last(90 * _DAY),
            "prop": "revenue",
            "agg": "max",
            "op": "gte",
            "value": 150,
        },
    ),
    BuiltIn(
        "discount-seeker",
        "Discount seeker",
        "Used coupons twice or more in 90 days.",
        _count("Coupon Applied", 90 * _DAY, "gte", 2),
    ),
    BuiltIn(
        "new-customer",
        "New",
        "First seen in the last seven days.",
        {"kind": "profile", "key": "first_seen", "op": "within_last", "value": 7 * _DAY},
    ),
    BuiltIn(
        "at-risk",
        "At risk",
        "Has ordered, was here in the last 90 days, but not in the last 30.",
        {
            "and": [
                {"kind": "profile", "key": "orders", "op": "gte", "value": 1},
                # by the latest event of any name
                _seen(90),
                {"not": _seen(30)},
            ]
        },
    ),
)
