"""What a batch of facts says of recommendations: lists shown, clicks on them, order lines.

By the keys that count once, so that it does not matter in which order or how often facts come.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from django.conf import settings

from personalization.consent.serve import ANALYTICS, PERSONALIZATION
from personalization.customers.engine.facts import (
    EXPOSED,
    TOKEN_EVENTS,
    Fact,
    clicked_in,
    decision_of,
    shown_in,
)
from personalization.lib.money import MAX_MINOR
from personalization.lib.uuid7 import day_of

# A list is as long as the API allows; what is longer was not ours.
_MOST_POSITIONS = 500
_NEEDED = ANALYTICS | PERSONALIZATION


@dataclass(slots=True)
class Told:
    """What a batch of facts says, by the keys that count once."""

    lists: dict[tuple[str, str], tuple[str, date, int, list[tuple[str, str]]]] = field(
        default_factory=dict
    )
    clicks: dict[tuple[str, str, str], tuple[int, int, date]] = field(default_factory=dict)
    lines: dict[tuple[int, str, str], tuple[int, int | None]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.lists or self.clicks or self.lines)


def told_by(facts: Iterable[Fact]) -> Told:
    """Return what facts say; those without analytics and personalization say nothing."""
    told = Told()
    for fact in facts:
        if fact.purposes & _NEEDED != _NEEDED:
            continue
        if fact.name in TOKEN_EVENTS:
            _tell_shown(told, fact)
        elif fact.kind == "order":
            _tell_order(told, fact)
    return told


def _tell_shown(told: Told, fact: Fact) -> None:
    decision = decision_of(fact)
    if decision is None:
        return
    key, placement = str(decision["id"]), str(decision["placement"])
    day = day_of(UUID(key))
    if fact.name == EXPOSED:
        items = shown_in(fact, _MOST_POSITIONS)
        told.lists.setdefault(
            (key, placement), (str(decision["strategy"]), day, fact.identity_id, items)
        )
    elif item := clicked_in(fact):
        mine = (fact.occurred_us, fact.identity_id, day)
        before = told.clicks.get((key, placement, item), mine)
        told.clicks[key, placement, item] = min(before, mine)


def _tell_order(told: Told, fact: Fact) -> None:
    order = fact.order_id or f"message {fact.message_id}"
    known = fact.currency == settings.SHOP_CURRENCY
    worth: dict[str, int | None] = {}
    for item, quantity, price in fact.items:
        if quantity < 1:  # a line that was crossed out, or given back
            continue
        value = quantity * price if known and price is not None else None
        held = worth.get(item)
        worth[item] = value if held is None else held + (value or 0)
    for item, value in worth.items():
        key = (fact.identity_id, item, order[:120])
        # more than that is nobody's order: its worth is not known
        mine = (fact.occurred_us, None if value is None or abs(value) > MAX_MINOR else value)
        told.lines[key] = min(told.lines.get(key, mine), mine, key=first_telling)


def first_telling(line: tuple[int, int | None]) -> tuple[int, int]:
    """Return the key by which the telling of an order line that counts, (time, value), is least."""
    return line[0], -(line[1] if line[1] is not None else -1)
