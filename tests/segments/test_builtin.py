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
    "at-risk": ([(40 * 1440, "Page Viewed", {})], {"orders": 1}),
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
    if key == "new-customer":
        assert not holds(key, [], {"first_seen": NOW / 1e6 - 8 * 86_400})
        return
    later = [(ago + 200 * 1440, name, props) for ago, name, props in happened]
    assert not holds(key, later, traits)


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
