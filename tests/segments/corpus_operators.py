"""Every operator on a trait and on a property of an event, from a table that a person wrote.

`TABLE` says of each operator which subjects pass it and which do not; the oracle is held to it too.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.segments.casefiles import Case
from tests.segments.corpus_tools import DAY, HOUR, T0, Sent, case

# (operator, value, subjects that pass, subjects that do not); a time alone stands for T0.
Row = tuple[str, Any, Sequence[Any], Sequence[Any]]
NOTHING: Any = None
_MONDAY = "2026-09-21T23:30:00+02:00"
_LONG = "ß" * 3

TABLE: Sequence[Row] = (
    ("eq", 1, [1, 1.0], ["1", True, 2, [1], NOTHING]),
    ("eq", "a", ["a"], ["A", "a ", 1, ["a"], NOTHING]),
    ("eq", True, [True], [1, "true", False, NOTHING]),
    ("eq", False, [False], [0, "", True, NOTHING]),
    ("neq", 1, ["1", True, 2, [1]], [1, 1.0, NOTHING]),
    ("neq", "a", ["A", "", 0], ["a", NOTHING]),
    ("lt", 10, [9, 9.99, -1], [10, 10.0, "9", False, NOTHING, [1]]),
    ("lt", "b", ["a", "B", ""], ["b", "ba", 1, NOTHING]),
    ("lt", "\uffff", ["é", "z"], ["\U0001f600", NOTHING]),
    ("lte", 10, [10, 10.0, 9], [10.000001, "10", True, NOTHING]),
    ("lte", "b", ["b", "a"], ["b ", "c", 0, NOTHING]),
    ("gt", 10, [10.5, 11], [10, "11", True, NOTHING, [11]]),
    ("gt", "Z", ["a", "Za", "é"], ["Z", "A", 99, NOTHING]),
    ("gte", 10, [10, 10.0, 11], [9, "10", True, NOTHING]),
    ("gte", "b", ["b", "c"], ["a", "B", 5, NOTHING]),
    ("between", [1, 3], [1, 2.5, 3.0], [0.999999, 3.1, "2", True, NOTHING, [2]]),
    ("between", ["b", "d"], ["b", "c", "d"], ["a", "da", "C", 2, NOTHING]),
    ("in", [1, "a"], [1, 1.0, "a"], ["1", True, "A", 2, NOTHING]),
    ("in", [True], [True], [1, "true", NOTHING]),
    ("in", [0, "it's", "ä"], [0, -0.0, "it's", "ä"], ["", False, "a\u0308", "Ä", NOTHING]),
    ("eq", 9007199254740993, [9007199254740993], [9007199254740992, 9007199254740992.0, NOTHING]),
    ("eq", 0.3, [0.3], [0.30000000000000004, "0.3", NOTHING]),
    ("eq", 1e21, [1e21], [1e20, NOTHING]),
    ("lt", -1.5, [-2, -1.6, -1e300], [-1.5, 0, 1e-300, "-2", NOTHING]),
    ("not_in", [1, "a"], ["1", True, "A", 2], [1, 1.0, "a", NOTHING]),
    (
        "contains",
        "Shoe",
        ["shoes", "big SHOE box", ["hat", "SHOE"]],
        ["sho", 5, ["hat", "shoes"], NOTHING],
    ),
    ("contains", "ss", [_LONG, "ASS"], ["s", NOTHING]),
    ("contains", "straße", ["STRASSE 1", "Hohe Straße"], ["strase", NOTHING]),
    ("contains", "50%_", ["GET 50%_OFF"], ["50 percent", "50%x", "50", NOTHING]),
    ("contains", "\\", ["a\\b"], ["a/b", NOTHING]),
    ("contains", "i\u0307", ["\u0130stanbul"], ["istanbul", NOTHING]),
    ("contains", "\u03c3", ["\u03a3IGMA", "te\u03c2"], ["sigma", NOTHING]),
    ("contains", "'", ["it's"], ['"', NOTHING]),
    ("not_contains", "a_c", ["abc", "a%c"], ["xA_C", NOTHING]),
    ("not_contains", "Shoe", ["sho", "", ["SHOES"]], ["shoes", ["SHOE"], 5, True, NOTHING]),
    ("starts_with", "ab", ["ab", "abc"], ["Ab", "xab", 5, ["ab"], NOTHING]),
    ("starts_with", "%_", ["%_x"], ["ab", NOTHING]),
    ("ends_with", "yz", ["yz", "xyz"], ["yZ", "yzx", 5, ["yz"], NOTHING]),
    ("ends_with", "\\", ["a\\"], ["\\a", NOTHING]),
    ("matches", "^a.c$", ["abc", "axc"], ["abcd", "xabc", "ABC", 5, ["abc"], NOTHING]),
    ("matches", "b+", ["abba", "b"], ["aca", "", NOTHING]),
    ("matches", "(?i)shoe|hat", ["SHOE", "a hat"], ["bag", NOTHING]),
    ("exists", NOTHING, [0, "", False, [], "x"], [NOTHING]),
    ("not_exists", NOTHING, [NOTHING], [0, "", False, [], "x"]),
    ("before", T0, [T0 - 1, "2026-09-21T14:13:19Z"], [T0, T0 + 1, "soon", True, NOTHING]),
    ("before", "2026-09-21T14:13:20+00:00", [T0 - 1, "2026-09-21"], [T0, [], NOTHING]),
    ("after", T0, [T0 + 1, "2026-09-21T16:13:21+02:00"], [T0, T0 - 1, "", False, NOTHING]),
    ("after", "2026-09-21T14:13:20", [T0 + 0.5], [T0, "2026-09-21T14:13:20Z", NOTHING]),
    ("after", T0, ["2026-09-21T14:13:20.000001Z", "20260921T141321Z"], ["20260921T141320Z"]),
    ("after", T0 - 1.5, ["2026-09-21T14:13:18.600Z", "2026-09-22"], ["2026-09-21", "2026-13-01"]),
    (
        "before",
        "2026-09-22",
        ["2026-09-21", "2026-09-22T00:59:59+01:00"],
        ["2026-09-21T23:00-01:00"],
    ),
    ("within_last", HOUR, [T0, T0 - HOUR + 1], [T0 - HOUR, T0 + 7 * DAY, "x", True, NOTHING]),
    ("weekday", [1, 7], [T0, T0 - DAY, _MONDAY], [T0 - 2 * DAY, T0 + DAY, "monday", 0, NOTHING]),
    ("semver_eq", "1.2.3", ["1.2.3", "1.2.3+build.7"], ["1.2.3-rc.1", "v1.2.3", "1.2", 1, NOTHING]),
    ("semver_gt", "1.2.3-rc.2", ["1.2.3", "1.2.3-rc.10", "1.10.0"], ["1.2.3-rc.2", "1.2.3-9"]),
    ("semver_gte", "1.2.3", ["1.2.3", "1.2.3+x", "2.0.0-a"], ["1.2.3-z", "01.2.3", "9", NOTHING]),
    ("semver_lt", "1.0.0", ["1.0.0-alpha", "0.99.9"], ["1.0.0", "1.0.0+a", "0.1", 0, NOTHING]),
    ("semver_lte", "1.0.0-b.2", ["1.0.0-b.2", "1.0.0-b", "1.0.0-1"], ["1.0.0-b.a", "1.0.0", ""]),
    ("cidr", "10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0", "10", 10, "::1", NOTHING]),
    ("cidr", ["192.168.1.0/24", "2001:db8::/32"], ["192.168.1.7", "2001:db8::1"], ["192.168.2.1"]),
    ("any_of", ["a", 1], [["x", "a"], [1.0], "a", 1], [["A"], [], ["1", True], "b", NOTHING]),
    ("all_of", ["a", 1], [["a", 1, 2], [1.0, "a"]], [["a"], "a", [], 1, NOTHING]),
    ("none_of", ["a", 1], [["A"], [], ["1", True], "b"], [["x", "a"], [1.0], "a", 1, NOTHING]),
    ("size", 2, [["a", "b"], [1, 1]], [["a"], [], "ab", 2, NOTHING]),
    ("size", 0, [[]], [["a"], "", 0, NOTHING]),
)


def operators() -> Iterator[Case]:
    for number, row in enumerate(TABLE):
        yield _on_profile(number, row)
        yield _in_where(number, row)
    yield from _paths()
    yield from _odd_names()


def _condition(op: str, value: Any, key: str = "x") -> dict[str, Any]:
    return {"key": key, "op": op, **({} if op.endswith("exists") else {"value": value})}


def _told(subject: Any) -> dict[str, Any]:
    return {} if subject is None else {"x": subject}


def _checked(told: Case, step: int, passing: int) -> Case:
    """Return the case, sure that the oracle passes exactly the first `passing` people."""
    wanted = sorted(f"u{i:02}" for i in range(passing))
    assert told["steps"][step]["expect"] == wanted, (told["id"], told["steps"][step]["expect"])
    return told


def _on_profile(number: int, row: Row) -> Case:
    """Everybody has one subject; later the first gets what the last has, who gets the first's."""
    op, value, passing, failing = row
    subjects = [*passing, *failing]
    people = {f"u{i:02}": _told(subject) for i, subject in enumerate(subjects)}
    last = f"u{len(subjects) - 1:02}"
    told = case(
        f"profile-{op}-{number}",
        {"kind": "profile", **_condition(op, value)},
        profiles=people,
        clock=[T0],
        happens={T0 + 1: {"traits": {"u00": {"x": subjects[-1]}, last: {"x": subjects[0]}}}},
        timezone="America/New_York",
    )
    if op == "within_last":
        told = case(
            told["id"],
            told["segment"],
            profiles=people,
            clock=[T0, T0 + 1, T0 + 2, T0 + HOUR - 1, T0 + HOUR, T0 + HOUR + 1, T0 + 7 * DAY],
        )
    return _checked(told, 0, len(passing))


def _in_where(number: int, row: Row) -> Case:
    """Everybody's first event is of no avail; the second has the subject."""
    op, value, passing, failing = row
    where = [_condition(op, value), {"key": "mark", "op": "eq", "value": True}]
    sent = [
        Sent(
            f"u{i:02}",
            T0 - 1 + after,
            "view",
            {**_told(subject), **({"mark": True} if after else {})},
        )
        for i, subject in enumerate([*passing, *failing])
        for after in (0, 1)
    ]
    told = case(
        f"where-{op}-{number}",
        {
            "kind": "count",
            "event": "view",
            "where": where,
            "window": {"type": "last", "seconds": HOUR},
            "op": "gte",
            "value": 1,
        },
        sent=sent,
        clock=[T0 + HOUR - 1, T0 + HOUR],
        timezone="America/New_York",
    )
    return _checked(told, 1, len(passing))


_STAMPS = {
    "products": [{"category": "shoes", "brand": "Acme", "price_minor": 1999}, {"category": "hats"}]
}
_BASKET = {"products": [{"category": "bags", "price": 5}, {"category": "hats"}, {"price": 7}]}
# Names that would break a query put together from them.
_ODD = {"it's": "it's", 'say "x"': 'so "x"', "back\\slash": "\\", "50%_ä": 50}
_CONTEXT = {
    "context": {
        "device": {"type": "mobile"},
        "campaign": {
            "source": "news",
            "medium": "mail",
            "name": "may",
            "term": "t",
            "content": "c",
        },
        "page": {"path": "/a", "referrer": "https://x.example/"},
        "country": "DE",
        "region": "BE",
        "locale": "de-DE",
        "timezone": "Europe/Berlin",
    },
    "session": "s1",
}

# (path, operator, value, holds of the event with all of the above)
PATHS: Sequence[tuple[str, str, Any, bool]] = (
    ("a.b", "eq", 1, True),
    ("a.c", "eq", 1, False),
    ("a.c", "not_exists", NOTHING, True),
    ("it's", "eq", "it's", True),
    ('say "x"', "eq", 'so "x"', True),
    ("back\\slash", "eq", "\\", True),
    ("50%_ä", "gte", 50, True),
    ("tags[]", "eq", "new", True),
    ("tags[]", "eq", "old", False),
    ("tags", "any_of", ["new", "old"], True),
    ("products[].category", "eq", "hats", True),
    ("products[].category", "eq", "shoes", False),
    ("products[].category", "neq", "hats", True),
    ("products[].category", "in", ["bags", "x"], True),
    ("products[].category", "exists", NOTHING, True),
    ("products[].price", "gt", 5, True),
    ("products[].price", "between", [6, 6.5], False),
    ("products[].brand", "neq", "x", False),
    ("products[].brand", "not_exists", NOTHING, True),
    ("products", "size", 3, True),
    ("$context.device.type", "eq", "mobile", True),
    ("$context.device.type", "eq", "desktop", False),
    ("$context.campaign.source", "eq", "news", True),
    ("$context.campaign.medium", "starts_with", "ma", True),
    ("$context.campaign.name", "in", ["may"], True),
    ("$context.campaign.term", "eq", "t", True),
    ("$context.campaign.content", "neq", "c", False),
    ("$context.campaign.content", "lte", "c", True),
    ("$context.page.path", "matches", "^/a", True),
    ("$context.page.referrer", "contains", "X.EXAMPLE", True),
    ("$context.country", "eq", "DE", True),
    ("$context.region", "eq", "BY", False),
    ("$context.region", "not_in", ["BY", "be"], True),
    ("$context.locale", "starts_with", "de", True),
    ("$context.timezone", "eq", "Europe/Berlin", True),
    ("$session.id", "eq", "s1", True),
    ("$session.id", "neq", "s1", False),
    ("$product.category", "eq", "hats", True),
    ("$product.category", "eq", "bags", False),
    ("$product.brand", "eq", "Acme", True),
    ("$product.price_minor", "gte", 1999, True),
    ("$product.price_minor", "lt", 1999, False),
    # Some elements have it and some do not: it is there.
    ("products[].price", "not_exists", NOTHING, False),
    ("$product.brand", "exists", NOTHING, True),
    ("$product.brand", "not_exists", NOTHING, False),
)


def _paths() -> Iterator[Case]:
    """Who has everything, who has nothing: the same question of both."""
    full = {"a": {"b": 1, "c": None}, "tags": ["new", "x"], **_BASKET, **_ODD}
    for number, (path, op, value, wanted) in enumerate(PATHS):
        rule = {
            "kind": "count",
            "event": "view",
            "where": [_condition(op, value, path)],
            "window": {"type": "last", "seconds": 10},
            "op": "gte",
            "value": 1,
        }
        sent = [
            Sent("full", T0 + 1, "view", full, more={**_CONTEXT, **_STAMPS}),
            Sent("none", T0 + 1, "view", {}),
            Sent("none", T0 + 2, "other", full, more={**_CONTEXT, **_STAMPS}),
        ]
        told = case(f"path-{number}-{op}", rule, sent=sent, clock=[T0, T0 + 10, T0 + 11])
        assert ("full" in told["steps"][1]["expect"]) is wanted, told["id"]
        assert ("none" in told["steps"][1]["expect"]) is (op == "not_exists"), told["id"]
        yield told


def _odd_names() -> Iterator[Case]:
    """Traits, events and prefixes of such names."""
    for number, (key, value) in enumerate(_ODD.items()):
        rule = {"kind": "profile", **_condition("eq", value, key)}
        people = {"u00": {key: value}, "u01": {key[:-1]: value}, "u02": {key: None}}
        told = case(
            f"odd-trait-{number}",
            rule,
            profiles=people,
            clock=[T0],
            happens={T0 + 1: {"traits": {"u00": {key: "other"}, "u01": {key: value}}}},
        )
        yield _checked(told, 0, 1)
        window = {"type": "last", "seconds": HOUR}
        for event in (key, {"prefix": key}):
            sent = [
                Sent("u00", T0, key),
                Sent(
                    "u01", T0, key.replace("_", "x").replace("'", "").replace('"', "").lower() + " "
                ),
                Sent("u02", T0, key[:-1]),
            ]
            counted = {"event": event, "window": window, "op": "gte", "value": 1}
            label = "prefix" if isinstance(event, dict) else "event"
            yield case(
                f"odd-{label}-{number}",
                {"kind": "count", **counted},
                sent=sent,
                clock=[T0 - 1, T0 + HOUR - 1, T0 + HOUR, T0 + HOUR + 1],
            )
