"""Segments out of the box: each is a valid rule, and holds for the one it was written for."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from segments import selectors
from segments.engine.builtin import BUILT_IN
from segments.engine.events import Event
from segments.engine.held import MOST_BYTES, Held
from segments.engine.program import DAY_US, Person, Program, Setting, Source
from segments.engine.validation import faults

NOW = 1_790_000_000 * 1_000_000
MINUTE = 60 * 1_000_000
DAY_S = 86_400
RULES = {one.key: one.rule for one in BUILT_IN}
MOBILE = {"$context": {"device": {"type": "mobile"}}}

# key -> (what happened: (minutes ago, event, properties), traits) of somebody who is in
CAST: dict[str, tuple[list[tuple[float, str, dict[str, Any]]], dict[str, Any]]] = {
    "abandoned-cart": ([(61, "Product Added", {})], {}),
    "repeat-visitor": ([(d * 1440, "Page Viewed", {}) for d in range(3)], {"orders": 0}),
    "high-intent-mobile": (
        [(20, "Product Dwelled", {"seconds": 121, **MOBILE}), (10, "Product Added", MOBILE)],
        {},
    ),
    "lurker": ([(n, "Product Viewed", {}) for n in range(10)], {}),
    "loyal-lapsing": ([(61 * 1440, "Order Completed", {})], {"orders": 3}),
    "big-basket": ([(5, "Order Completed", {"revenue": 150})], {}),
    "discount-seeker": ([(5, "Coupon Applied", {}), (9, "Coupon Applied", {})], {}),
    "new-customer": ([], {"first_seen": NOW / 1e6 - 3600}),
    "at-risk": ([], {"orders": 1, "last_seen": NOW / 1e6 - 40 * DAY_S}),
}


def holds(key: str, happened: Any, traits: Any) -> bool:
    program = Program([Source(key, RULES[key])], Setting(ZoneInfo("UTC"), 400 * DAY_US))
    events = [
        Event(NOW - int(ago * MINUTE), n, name, p) for n, (ago, name, p) in enumerate(happened)
    ]
    entries = [stream.gathered(events, NOW) for stream in program.streams]
    return program.members(Person(entries=entries, traits=traits), NOW)[key][0]


@pytest.mark.parametrize("key", RULES)
def test_built_in__the_one_it_was_written_for__is_in(key: str) -> None:
    assert holds(key, *CAST[key])


@pytest.mark.parametrize("key", RULES)
def test_built_in__somebody_who_did_nothing__is_out(key: str) -> None:
    assert not holds(key, [], {"orders": 0})


@pytest.mark.parametrize("key", RULES)
def test_built_in__order_or_time__takes_them_out(key: str) -> None:
    happened, traits = CAST[key]
    later = [(ago + 200 * 1440, name, props) for ago, name, props in happened]
    times = {name: at - 200 * DAY_S for name, at in traits.items() if name.endswith("_seen")}
    assert not holds(key, later, traits | times)


@pytest.mark.parametrize(
    "name", ["Screen Viewed", "Cart Viewed", "Checkout Started", "Search Refined"]
)
def test_repeat_visitor__whose_only_events_are_not_of_pages__is_in(name: str) -> None:
    days: list[tuple[float, str, Any]] = [(day * 1440, name, {}) for day in range(3)]

    assert holds("repeat-visitor", days, {"orders": 0})
    assert not holds("repeat-visitor", days[:2], {"orders": 0})


def test_repeat_visitor__days_of_pages__keep_their_stream() -> None:
    """What is remembered of customers stays good: the key is that of the rule before."""
    pages = {
        "kind": "distinct_days",
        "event": {"prefix": "P"},
        "where": [],
        "window": {"type": "last", "seconds": 14 * DAY_S},
        "op": "gte",
        "value": 3,
    }
    before, now = (
        Program([Source("r", rule)], Setting(ZoneInfo("UTC")))
        for rule in (pages, RULES["repeat-visitor"])
    )

    assert set(before.keys) <= set(now.keys)


@pytest.mark.parametrize(("days", "is_in"), [(29, False), (31, True), (89, True), (91, False)])
def test_at_risk__by_the_latest_event_of_any_name(days: int, is_in: bool) -> None:
    seen = {"orders": 1, "last_seen": NOW / 1e6 - days * DAY_S}

    assert holds("at-risk", [], seen) is is_in
    assert not holds("at-risk", [], seen | {"orders": 0})


@pytest.mark.django_db
@pytest.mark.parametrize("key", RULES)
def test_built_in__rule__has_no_fault(key: str) -> None:
    assert faults(RULES[key], selectors.catalogue(), own_key=key) == []


def test_held__more_than_a_document_may_weigh__largest_streams_are_spilled() -> None:
    window = {"type": "between", "from_seconds": 90 * 86_400, "to_seconds": 1}
    rules = [
        {"kind": "count", "event": f"e{n}", "window": window, "op": "gte", "value": 9}
        for n in range(30)
    ]
    program = Program(
        [Source(f"r{n}", rule) for n, rule in enumerate(rules)], Setting(ZoneInfo("UTC"))
    )
    held = Held()
    for n in range(30):
        events = [Event(NOW - place * MINUTE, place, f"e{n}", {}) for place in range(8 * (n + 2))]
        held.take(program, events, NOW)

    text = held.dumped(program.since)

    assert len(text) <= MOST_BYTES
    kept = {key for key, entries in held.streams.items() if entries is not None}
    spilled = {key for key, entries in held.streams.items() if entries is None}
    assert spilled
    assert program.keys[0] in kept
    assert program.keys[29] in spilled
