"""Every fault of a rule is named at once, with its path and what to do about it."""

import math
from typing import Any

import pytest

from segments.engine.catalogue import Attribute, Catalogue, EventType, Named
from segments.engine.validation import (
    AUDIENCE_KINDS,
    FILTER_KINDS,
    MAX_DEPTH,
    MAX_LEAVES,
    SEGMENT_KINDS,
    faults,
)

Rule = dict[str, Any]
DAY = {"type": "last", "seconds": 86_400}
COUNT: Rule = {"kind": "count", "event": "Product Viewed", "window": DAY, "op": "gte", "value": 1}
CATALOGUE = Catalogue(
    events={
        name: EventType(
            name,
            name,
            (
                Attribute("price", "Price", "number"),
                Attribute("category", "Category", "string"),
                Attribute("gift", "Gift", "boolean"),
                Attribute("tags", "Tags", "strings"),
                Attribute("products", "Products", "object"),
                Attribute("products[].category", "Category", "string"),
            ),
        )
        for name in ("Product Viewed", "Product Added", "Order Completed")
    },
    traits=(
        Attribute("age", "Age", "number"),
        Attribute("tier", "Tier", "string"),
        Attribute("app", "App", "string"),
        Attribute("ip", "Address", "string"),
        Attribute("renewed", "Renewed", "datetime"),
        Attribute("vip", "VIP", "boolean"),
        Attribute("tags", "Tags", "strings"),
    ),
    segments=(Named("buyers", "Buyers"), Named("loyal", "Loyal"), Named("deep", "Deep")),
    lists=(Named("staff", "Staff"),),
    scores=(Named("churn", "Churn"),),
    references={"loyal": frozenset({"buyers"}), "deep": frozenset({"loyal"})},
)


def told(rule: Any, **more: Any) -> dict[str, str]:
    """Return path -> fault."""
    return {one.path: one.problem for one in faults(rule, CATALOGUE, **more)}


def count(**changed: Any) -> Rule:
    """Return a sound rule with some members changed."""
    return {**COUNT, **changed}


def where(key: str, op: str, *value: Any) -> Rule:
    return count(where=[{"key": key, "op": op, **({"value": value[0]} if value else {})}])


def aggregate(**changed: Any) -> Rule:
    """Return a sound rule about a figure with some members changed."""
    return count(**{"kind": "aggregate", "prop": "price", "agg": "sum", **changed})


def profile(key: str, op: str, *value: Any) -> Rule:
    return {"kind": "profile", "key": key, "op": op, **({"value": value[0]} if value else {})}


@pytest.mark.parametrize(
    "rule",
    [
        COUNT,
        count(where=[]),
        count(event={"prefix": "Product "}),
        count(window={"type": "ever"}),
        count(window={"type": "between", "from_seconds": 2, "to_seconds": 0}),
        count(window={"type": "absolute", "from": 0, "to": 1.5}),
        count(window={"type": "calendar_days", "days": 7}),
        count(op="between", value=[1, 5]),
        where("category", "exists"),
        where("products[].category", "in", ["a", "b"]),
        where("$context.device.type", "eq", "mobile"),
        where("$product.price_minor", "between", [1, 2.5]),
        where("$session.id", "matches", "^[a-f]+$"),
        profile("renewed", "within_last", 60),
        profile("renewed", "before", "2026-01-31T12:00:00Z"),
        profile("renewed", "weekday", [1, 7]),
        profile("app", "semver_gte", "1.2.3-rc.1+build"),
        profile("ip", "cidr", ["10.0.0.0/8", "2001:db8::/32"]),
        profile("tags", "all_of", ["a", 1, True]),
        profile("tags", "size", 2),
        {"and": [COUNT, {"not": {"or": [COUNT, {"kind": "list", "key": "staff"}]}}]},
        {"kind": "segment", "key": "deep"},
        {"kind": "score", "key": "churn", "op": "gte", "value": 0.5},
        {"kind": "bucket", "salt": "s", "from": 0, "to": 1},
        {
            "kind": "aggregate",
            "event": "Order Completed",
            "window": DAY,
            "prop": "category",
            "agg": "first",
            "op": "eq",
            "value": "shoes",
        },
        count(kind="aggregate", prop="category", agg="last", op="between", value=["a", "b"]),
        {
            "kind": "sequence",
            "window": DAY,
            "steps": [
                {"event": "Product Viewed"},
                {"event": "Product Added", "where": [], "within": 60},
            ],
        },
    ],
)
def test_faults__sound_rule__has_none(rule: Rule) -> None:
    assert told(rule) == {}


# --- names ---


@pytest.mark.parametrize(
    ("rule", "path", "hint"),
    [
        (count(event="Product Vewed"), "event", "did you mean 'Product Viewed'"),
        (count(event="nothing like it"), "event", "use one of"),
        (count(event={"prefix": "Prodct"}), "event.prefix", "no event begins with 'Prodct'"),
        (count(event={"prefix": ""}), "event.prefix", "beginning of event names"),
        (count(event=["Product Viewed"]), "event", "prefix"),
        (where("categry", "eq", "a"), "where[0].key", "did you mean 'category'"),
        (where("products", "exists"), "where[0].key", "products"),
        (where("category", "equals", "a"), "where[0].op", "there is no operator 'equals'"),
        (where("category", "gte ", "a"), "where[0].op", "did you mean 'gte'"),
        (profile("teir", "eq", "gold"), "key", "did you mean 'tier'"),
        (count(op="exists", value=1), "op", "there is no comparison 'exists'"),
        (count(window={"type": "lst", "seconds": 1}), "window.type", "did you mean 'last'"),
        ({**COUNT, "kind": "cuont"}, "kind", "did you mean 'count'"),
        ({**COUNT, "kind": None}, "kind", "null"),
        ({"kind": "segment", "key": "byers"}, "key", "did you mean 'buyers'"),
        ({"kind": "list", "key": "nobody"}, "key", "there is no list 'nobody'"),
        ({"kind": "score", "key": "chrn", "op": "gt", "value": 1}, "key", "did you mean 'churn'"),
    ],
)
def test_faults__unknown_name__is_told_with_what_is_like_it(
    rule: Rule, path: str, hint: str
) -> None:
    found = told(rule)

    assert list(found) == [path]
    assert hint in found[path]


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (count(windw=DAY), "windw"),
        ({"kind": "list", "key": "staff", "\ud800": 1}, "\\ud800"),
        (count(window={**DAY, "days": 1}), "window.days"),
        (where("category", "eq", "a") | {"prop": "price"}, "prop"),
        (
            count(where=[{"key": "category", "op": "eq", "value": "a", "values": []}]),
            "where[0].values",
        ),
        ({"kind": "segment", "key": "loyal", "op": "eq"}, "op"),
        ({"and": [COUNT], "note": "x"}, "note"),
        ({"kind": "list", "key": "staff", "value": True}, "value"),
    ],
)
def test_faults__unknown_member__is_no_silence(rule: Rule, path: str) -> None:
    assert "is not known here" in told(rule)[path]


@pytest.mark.parametrize("member", ["event", "window", "op", "value"])
def test_faults__member_left_out__is_missing(member: str) -> None:
    rule = {name: value for name, value in COUNT.items() if name != member}

    assert told(rule) == {member: "is missing"}


# --- types ---


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (where("price", "eq", "10"), "where[0].value"),
        (where("price", "eq", True), "where[0].value"),
        (where("price", "gte", math.nan), "where[0].value"),
        (where("price", "gte", 10**400), "where[0].value"),
        (where("price", "in", [1, -(2**63)]), "where[0].value[1]"),
        (where("price", "gte", 1e20), "where[0].value"),
        (where("price", "gte", math.inf), "where[0].value"),
        (where("price", "gte", 2**63), "where[0].value"),
        (where("price", "gte", 1e300), "where[0].value"),
        (where("price", "between", [1, math.nan]), "where[0].value[1]"),
        (where("price", "in", [1, True]), "where[0].value[1]"),
        (where("category", "eq", 1), "where[0].value"),
        (where("category", "eq", None), "where[0].value"),
        (where("category", "eq", {}), "where[0].value"),
        (where("category", "in", "a"), "where[0].value"),
        (where("category", "in", []), "where[0].value"),
        (where("category", "contains", ""), "where[0].value"),
        (where("category", "eq", "\0"), "where[0].value"),
        (where("category", "eq", "\ud800"), "where[0].value"),
        (where("category", "exists", "a"), "where[0].value"),
        (where("gift", "eq", 1), "where[0].value"),
        (where("gift", "gt", True), "where[0].op"),
        (where("price", "contains", "1"), "where[0].op"),
        (where("price", "between", [2, 1]), "where[0].value"),
        (where("price", "between", [1, 2, 3]), "where[0].value"),
        (profile("tags", "size", 1.5), "value"),
        (profile("tags", "size", -1), "value"),
        (profile("tags", "any_of", [None]), "value[0]"),
        (profile("renewed", "before", "yesterday"), "value"),
        (profile("renewed", "before", True), "value"),
        (profile("renewed", "within_last", -1), "value"),
        (profile("renewed", "weekday", [0]), "value[0]"),
        (profile("renewed", "weekday", [8]), "value[0]"),
        (profile("renewed", "weekday", [True]), "value[0]"),
        (profile("renewed", "weekday", []), "value"),
        (count(value="1"), "value"),
        (count(value=True), "value"),
        (count(value=math.nan), "value"),
        (count(value=-1), "value"),
        (count(op="between", value=[True, 2]), "value[0]"),
        (
            count(kind="aggregate", prop="category", agg="last", op="between", value=["a", 1]),
            "value[1]",
        ),
        (
            count(kind="aggregate", prop="price", agg="last", op="between", value=[1, "a"]),
            "value[1]",
        ),
        (count(where={"key": "price"}), "where"),
        (count(where=["price"]), "where[0]"),
        ({"kind": "score", "key": "churn", "op": "gte", "value": False}, "value"),
        ({"kind": "bucket", "salt": "", "from": 0, "to": 1}, "salt"),
        ({"kind": "bucket", "salt": "\ud800", "from": 0, "to": 1}, "salt"),
        ({"kind": "bucket", "salt": "s", "from": False, "to": 1}, "from"),
        ({"kind": "bucket", "salt": "s", "from": 0, "to": 1.1}, "to"),
        ({"kind": "bucket", "salt": "s", "from": 0.5, "to": 0.5}, "from"),
    ],
)
def test_faults__value_of_the_wrong_type__is_told_at_its_path(rule: Rule, path: str) -> None:
    assert list(told(rule)) == [path]


@pytest.mark.parametrize("agg", ["sum", "avg", "min", "max"])
def test_faults__sum_of_texts__is_one(agg: str) -> None:
    rule = count(kind="aggregate", prop="category", agg=agg)

    assert "needs a number" in told(rule)["prop"]


@pytest.mark.parametrize("rule", [None, [], "count", 1, True])
def test_faults__no_object__says_what_it_is(rule: object) -> None:
    assert "send an object" in told(rule)[""]


@pytest.mark.parametrize(
    ("rule", "path", "hint"),
    [
        (aggregate(prop="price", agg="last", value="x"), "value", "send a number"),
        (aggregate(prop="price", agg="first", op="eq", value=True), "value", "send a number"),
        (aggregate(prop="category", agg="last", op="eq", value=1), "value", "send a text"),
        (aggregate(prop="gift", agg="last", op="eq", value="yes"), "value", "send true or false"),
        (aggregate(prop="gift", agg="last", op="gt", value=True), "op", "use eq or neq"),
        (aggregate(prop="gift", agg="last", op="between", value=[False, True]), "op", "eq or neq"),
        (aggregate(prop="tags", agg="first", op="eq", value="a"), "prop", "use distinct"),
        (aggregate(prop="tags", agg="distinct", value=0.5), "value", "counts are whole"),
        (count(op="eq", value=0.5), "value", "counts are whole; send 0 or 1"),
        (count(value=1.5), "value", "send 1 or 2"),
        (count(kind="distinct_days", op="between", value=[1, 2.5]), "value[1]", "send 2 or 3"),
    ],
)
def test_faults__compared_with_what_it_never_is__says_what_it_is(
    rule: Rule, path: str, hint: str
) -> None:
    found = told(rule)

    assert list(found) == [path]
    assert hint in found[path]


def test_faults__whole_number_written_as_a_fraction__is_none() -> None:
    assert told(count(value=2.0)) == {}


# --- windows ---


@pytest.mark.parametrize(
    ("window", "path"),
    [
        ({"type": "between", "from_seconds": 60, "to_seconds": 60}, "window.from_seconds"),
        ({"type": "between", "from_seconds": 1, "to_seconds": 60}, "window.from_seconds"),
        ({"type": "between", "from_seconds": 1, "to_seconds": -1}, "window.to_seconds"),
        ({"type": "absolute", "from": 2, "to": 1}, "window.from"),
        ({"type": "absolute", "from": "2026-01-01", "to": 1}, "window.from"),
        ({"type": "last", "seconds": 0}, "window.seconds"),
        ({"type": "last", "seconds": True}, "window.seconds"),
        ({"type": "last", "seconds": math.nan}, "window.seconds"),
        ({"type": "last", "seconds": 1e12}, "window.seconds"),
        ({"type": "last"}, "window.seconds"),
        ({"type": "calendar_days", "days": 0}, "window.days"),
        ({"type": "calendar_days", "days": 1.5}, "window.days"),
        ("last", "window"),
    ],
)
def test_faults__window_that_holds_nothing__is_one(window: object, path: str) -> None:
    assert list(told(count(window=window))) == [path]


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"before_seconds": 60, "inactive_seconds": 60}, "before_seconds"),
        ({"before_seconds": 60, "inactive_seconds": 0}, "inactive_seconds"),
    ],
)
def test_faults__stopped_before_it_began__is_one(rule: Rule, path: str) -> None:
    assert list(told({"kind": "stopped", "event": "Product Viewed", **rule})) == [path]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"period": 60, "periods": 2, "min_periods": 3}, "min_periods"),
        ({"period": 60, "periods": 0, "min_periods": 1}, "periods"),
        ({"period": 0, "periods": 2, "min_periods": 1}, "period"),
        ({"period": 60, "periods": True, "min_periods": 1}, "periods"),
        ({"period": 3e8, "periods": 300, "min_periods": 1}, "period"),
    ],
)
def test_faults__regularly_that_cannot_be__is_one(members: Rule, path: str) -> None:
    assert list(told({"kind": "regularly", "event": "Product Viewed", **members})) == [path]


# --- patterns, networks, versions ---


@pytest.mark.parametrize("pattern", ["(", "a{2000}", "(?=a)", r"(a)\1", "x" * 201])
def test_faults__pattern_that_re2_refuses__is_one(pattern: str) -> None:
    assert list(told(where("category", "matches", pattern))) == ["where[0].value"]


@pytest.mark.parametrize("network", ["10.0.0.0/33", "10.0.0", "", 10, ["::/0", "x"]])
def test_faults__no_network__is_one(network: object) -> None:
    assert list(told(profile("ip", "cidr", network))) == ["value"]


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "", 1])
def test_faults__no_version__is_one(version: object) -> None:
    assert list(told(profile("app", "semver_gt", version))) == ["value"]


# --- groups, references, what may stand where ---


@pytest.mark.parametrize("group", ["and", "or"])
@pytest.mark.parametrize("parts", [[], {}, None])
def test_faults__empty_group__is_one(group: str, parts: object) -> None:
    found = told({"not": {group: parts}})

    assert "empty group" in found[f"not.{group}"]


def test_faults__group_and_leaf_in_one__is_one() -> None:
    assert "exactly one" in told({**COUNT, "and": [COUNT]})[""]
    assert "exactly one" in told({})[""]


def test_faults__names_itself__is_a_circle_at_any_remove() -> None:
    for key in ("buyers", "loyal", "deep"):
        assert "key" in told({"kind": "segment", "key": key}, own_key="buyers")

    assert told({"kind": "segment", "key": "buyers"}, own_key="deep") == {}


def test_faults__request_in_a_segment__points_to_the_context_of_events() -> None:
    rule = {"kind": "context", "key": "device.type", "op": "eq", "value": "mobile"}

    assert "$context." in told(rule)["kind"]
    assert told(rule, kinds=AUDIENCE_KINDS) == {}


def test_faults__product_outside_a_filter__is_one() -> None:
    rule = {"kind": "product", "key": "price_minor", "op": "lt", "value": 1000}

    assert "kind" in told(rule)
    assert "kind" in told(rule, kinds=AUDIENCE_KINDS)
    assert told(rule, kinds=FILTER_KINDS) == {}


def test_faults__too_deep__is_one() -> None:
    rule: Rule = COUNT
    for _ in range(MAX_DEPTH - 1):
        rule = {"not": rule}

    assert told(rule) == {}
    assert any("deeper" in text for text in told({"not": rule}).values())


def test_faults__nested_without_end__does_not_exhaust_the_stack() -> None:
    rule: Rule = COUNT
    for _ in range(5000):
        rule = {"and": [rule]}

    assert any("deeper" in text for text in told(rule).values())


def test_faults__too_many_conditions__is_one() -> None:
    leaf = {"kind": "list", "key": "staff"}

    assert told({"or": [leaf] * MAX_LEAVES}) == {}
    assert "split" in told({"or": [leaf] * (MAX_LEAVES + 1)})[""]


def test_faults__dear_rule__names_its_cost() -> None:
    year = {"type": "last", "seconds": 365 * 86_400}
    dear = count(
        kind="aggregate", event={"prefix": "Product "}, window=year, prop="price", agg="sum"
    )

    assert told(dear) == {}
    assert "costs" in told({"or": [dear] * 60})[""]


def test_faults__several__are_told_at_once_in_order() -> None:
    rule = {
        "and": [
            count(event="Product Vewed"),
            {"or": []},
            where("price", "eq", "10"),
            {"not": {"kind": "segment", "key": "nobody"}},
        ]
    }

    assert list(told(rule)) == [
        "and[0].event",
        "and[1].or",
        "and[2].where[0].value",
        "and[3].not.key",
    ]


@pytest.mark.parametrize(
    ("rule", "paths"),
    [
        (
            aggregate(agg="summ", prop="prise", op="more", value="x"),
            ["agg", "prop", "op", "value"],
        ),
        (
            aggregate(agg="total", prop="prise", op="more", value=None),
            [
                "agg",
                "prop",
                "op",
                "value",
            ],
        ),
        (aggregate(prop="category", op="between", value=[2, "x"]), ["prop", "value[1]"]),
        (aggregate(prop="category", op="betwen", value=[2, "x"]), ["prop", "op", "value[1]"]),
        (
            count(
                event="Product Vewed",
                where=[
                    {"key": "price", "op": "eq", "value": "10"},
                    {"key": "categry", "op": "matches", "value": "("},
                    {"op": "equals"},
                    {"key": "tgas"},
                ],
                window={"type": "lst"},
                op="mor",
                value=-1,
            ),
            [
                "event",
                "where[0].value",
                "where[1].key",
                "where[1].value",
                "where[2].key",
                "where[2].op",
                "where[3].key",
                "where[3].op",
                "window.type",
                "op",
                "value",
            ],
        ),
        (
            count(event={"prefix": "Zz"}, where=[{"key": "price", "op": "is", "value": 1}]),
            [
                "event.prefix",
                "where[0].op",
            ],
        ),
        (
            {"kind": "count", "where": ["x"], "op": "gte", "value": "1"},
            [
                "event",
                "window",
                "where[0]",
                "value",
            ],
        ),
        (
            {"kind": "then_not", "b": {"event": "Nothing"}, "after": -1, "window": DAY},
            [
                "a",
                "after",
                "b.event",
            ],
        ),
        (
            {"kind": "regularly", "event": "Product Viewed", "period": 0},
            [
                "periods",
                "min_periods",
                "period",
            ],
        ),
        ({"kind": "score", "key": "chrn", "op": "gt"}, ["value", "key"]),
        ({"kind": "profile", "op": "weekday", "value": [0]}, ["key", "value[0]"]),
        ({"kind": "stopped", "before_seconds": 60}, ["event", "inactive_seconds"]),
        ({"kind": "bucket", "from": 2}, ["salt", "to", "from"]),
        (
            {"kind": "sequence", "steps": [{"within": -1}]},
            [
                "window",
                "steps[0].event",
                "steps[0].within",
            ],
        ),
    ],
)
def test_faults__several_in_one_condition__are_told_at_once(rule: Rule, paths: list[str]) -> None:
    assert list(told(rule)) == paths


@pytest.mark.parametrize("kind", SEGMENT_KINDS)
def test_faults__nothing_but_a_kind__what_is_missing_alone_is_told(kind: str) -> None:
    assert set(told({"kind": kind}).values()) == {"is missing"}
