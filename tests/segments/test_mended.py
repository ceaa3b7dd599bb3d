"""Faults that a reader found, each with the case that showed it."""

from zoneinfo import ZoneInfo

import pytest

from segments.engine.cases import run_case
from segments.engine.catalogue import Catalogue
from segments.engine.decimals import exact, stored
from segments.engine.events import Event
from segments.engine.held import Held
from segments.engine.program import INCOMPLETE, Person, Program, Setting, Source
from segments.engine.validation import faults

DAY = 86_400
BASE = 1_790_000_000


def test_settle__asked_too_often__nobody_is_told_to_leave_and_enter() -> None:
    rule = {
        "kind": "regularly",
        "event": "E",
        "period": DAY,
        "periods": 30,
        "min_periods": 1,
    }
    program = Program([Source("r", rule)], Setting(ZoneInfo("UTC")))
    events = [Event((BASE + n * 1000) * 1_000_000, n, "E", {}) for n in range(60)]
    now = (BASE + 60_000) * 1_000_000
    held = Held()
    held.take(program, events, now)
    (told,) = held.decide(program, Person(), {0}, now, lambda _place: []).values()
    assert told[0] == 1 | INCOMPLETE
    held.verdicts, held.due_at = {"7": told}, told[1]

    turned = held.settle(told[-1], {"7"})

    assert turned == []
    assert held.stale() == ["7"]


def test_distinct_days__event_ahead_of_the_clock__its_day_counts_once() -> None:
    rule = {
        "kind": "distinct_days",
        "event": "E",
        "window": {"type": "last", "seconds": 3 * DAY},
        "op": "gte",
        "value": 2,
    }
    now = BASE - BASE % DAY + DAY // 2
    ahead = {"id": "b", "seq": 2, "user": "u", "name": "E", "ts": now + 60, "props": {}}
    case = {
        "timezone": "UTC",
        "segment": rule,
        "profiles": {"u": {}},
        "steps": [
            {"at": now, "ingest": [{**ahead, "id": "a", "seq": 1, "ts": now - 10}, ahead]},
            {"at": now + 120, "ingest": []},
            {"at": now + DAY, "ingest": []},
        ],
    }

    assert list(run_case(case, "fold")) == list(run_case(case, "evaluate")) == [[], [], []]


@pytest.mark.parametrize("value", [2**53, -(2**60), 2e13, 1.5e300, 12, 0.1234567])
def test_stored__number_too_wide_for_json__is_a_text_of_the_same_number(value: float) -> None:
    kept = stored(value)

    assert isinstance(kept, str) or abs(kept) < 2**63
    assert float(exact(kept)) == pytest.approx(value * 1e6, rel=1e-12)


@pytest.mark.parametrize("value", [float("inf"), 10**18, -5, float("nan")])
def test_faults__time_that_is_none__named(value: float) -> None:
    rule = {"kind": "profile", "key": "first_seen", "op": "before", "value": value}

    assert [one.path for one in faults(rule, Catalogue())] == ["value"]
