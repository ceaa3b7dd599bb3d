"""Rules compiled together: an event, a trait or a score asks the rules that it can change alone."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from segments.engine.program import Program, Setting, Source
from tests.segments.live.world import count

RULES: dict[str, Any] = {
    "lookers": count("Product Viewed"),
    "buyers": count("Order Completed"),
    "anything": {**count(), "event": {"prefix": "P"}},
    "vips": {"kind": "profile", "key": "tier", "op": "eq", "value": "gold"},
    "likely": {"kind": "score", "key": "purchase_30d", "op": "gt", "value": 0.5},
    "buying-vips": {"and": [{"kind": "segment", "key": "vips"}, count("Order Completed")]},
    "not-lookers": {"not": {"kind": "segment", "key": "lookers"}},
}


@pytest.fixture(scope="module")
def program() -> Program:
    return Program([Source(key, rule) for key, rule in RULES.items()], Setting(ZoneInfo("UTC")))


@pytest.mark.parametrize(
    ("event", "asked"),
    [
        ("Product Viewed", {"lookers", "anything", "not-lookers"}),
        ("Order Completed", {"buyers", "buying-vips"}),
        ("Page Scrolled", {"anything"}),
        ("Cart Viewed", set()),
    ],
)
def test_touched__an_event__rules_about_it_and_what_names_them(
    program: Program, event: str, asked: set[str]
) -> None:
    found = program.touched(program.streams_of(event))

    assert {program.rules[place].key for place in found} == asked


@pytest.mark.parametrize(
    ("kind", "key", "asked"),
    [
        ("profile", "tier", {"vips", "buying-vips"}),
        ("profile", "city", set()),
        ("score", "purchase_30d", {"likely"}),
    ],
)
def test_reading__a_fact__rules_that_read_it_and_what_names_them(
    program: Program, kind: str, key: str, asked: set[str]
) -> None:
    found = program.reading(kind, [key])

    assert {program.rules[place].key for place in found} == asked
