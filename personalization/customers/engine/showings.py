"""What a customer was shown and did not want: part of the profile's fold over facts.

The state keeps (item, moment) pairs, not counts: the newest of a set are the same whatever order
its members come in and however often, counts that forget are not. A moment is that of the decision,
which the server signed; whatever one decision shows of an item is one showing.

Keys of the state: e item -> moments it was shown at, in order; ec item -> moment of its last click.
Whole seconds since the epoch.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, MutableMapping
from typing import Any
from uuid import UUID

from personalization.customers.engine.bounds import SLACK, newest
from personalization.customers.engine.facts import (
    CLICKED,
    Fact,
    clicked_in,
    decision_of,
    shown_in,
)
from personalization.lib.uuid7 import made_ms

# 25 lists of 12. By keys of 8 characters 4 KB of a state where items repeat, 8 KB where none does,
# and 1.4 KB of clicks.
PAIRS = 300
# What stands behind these places of a list is hardly seen.
PLACES = 12
CLICKS = 50
# A showing is forgotten after so many days.
DAYS = 14
# Items that the document tells of: 1.3 KB with keys of 8 characters.
ITEMS = 50
_DAYS_S = DAYS * 86_400

Moments = Mapping[str, list[int]]


def fold(state: MutableMapping[str, Any], fact: Fact) -> None:
    """Take in an exposure or a click, in place; one without a verified recommendation is nothing.

    Order and repetition of facts do not matter.
    """
    decision = decision_of(fact)
    if decision is None:
        return
    if fact.name == CLICKED:
        _click(state, clicked_in(fact), fact.occurred_us // 1_000_000)
        return
    at_s = made_ms(UUID(str(decision["id"]))) // 1000
    held = state.setdefault("e", {})
    for item, _source in shown_in(fact, PLACES):
        moments = held.setdefault(item, [])
        if not moments or moments[-1] < at_s:
            moments.append(at_s)
        elif at_s not in moments:
            insort(moments, at_s)
    if sum(map(len, held.values())) > PAIRS * SLACK:
        state["e"] = _newest(held)


def unwanted(state: Mapping[str, Any], bought_us: Mapping[str, int]) -> dict[str, list[int]]:
    """Return item -> [times shown since its last click or purchase, last shown in s], ITEMS of it.

    Those shown most often, of equals the latest. `bought_us`: item -> when last bought, in
    microseconds.
    """
    held = state.get("e")
    if not held:
        return {}
    clicked = newest(state.get("ec", {}), CLICKS)
    found = []
    for item, moments in _newest(held).items():
        times = len(moments)
        if item in clicked or item in bought_us:
            cleared_s = max(clicked.get(item, 0), bought_us.get(item, 0) // 1_000_000)
            times -= bisect_right(moments, cleared_s)
        if times:
            found.append((times, moments[-1], item))
    found.sort(reverse=True)
    return {item: [times, last_s] for times, last_s, item in found[:ITEMS]}


def _click(state: MutableMapping[str, Any], item: str, at_s: int) -> None:
    held = state.setdefault("ec", {})
    if item and held.get(item, at_s) <= at_s:
        held[item] = at_s
    if len(held) > CLICKS * SLACK:
        state["ec"] = newest(held, CLICKS)


def _newest(held: Moments) -> Moments:
    """Return the newest PAIRS, of equally new ones the greatest items, less what is DAYS older."""
    moments = sorted(at_s for own in held.values() for at_s in own)
    oldest_s = moments[-1] - _DAYS_S if moments else 0
    least_s, last = oldest_s, set[str]()
    if len(moments) > PAIRS and moments[-PAIRS] > oldest_s:
        # what has PAIRS newer ones now has them ever after: it would not have stayed in any order
        least_s = moments[-PAIRS]
        room = PAIRS - (len(moments) - bisect_right(moments, least_s))
        last = set(sorted(item for item, own in held.items() if least_s in own)[-room:])
    kept = {}
    for item, own in held.items():
        at = bisect_left(own, least_s)
        # one moment stands once in a list
        at += at < len(own) and own[at] == least_s and item not in last
        if at < len(own):
            kept[item] = own[at:]
    return kept
