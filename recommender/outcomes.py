"""What recommendations led to: exposures, clicks and purchases from verified tokens, by the day.

A projection of the group `insight`. A list counts once a (decision, placement), a click once an
item of it, an order line once a customer, for the last click on its item before it. Whichever
arrives first, the sums end alike, as long as nobody's identities are merged or parted in between:
that alone settles nothing anew, the customer's next click or order on the item does. A replay
counts all by the owners of today. Knows nothing of scores or models.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection
from psycopg2.extras import execute_values

from personalization.customers.engine.facts import Fact
from personalization.events import serve as events
from personalization.events.engine.taxonomy import CLICKED, EXPOSED
from personalization.lib.locks import hold
from recommender import sums
from recommender.models import (
    BoughtLine,
    ItemDay,
    OutcomeGeneration,
    ShelfDay,
    ShownClick,
    ShownList,
)
from recommender.settling import settle
from recommender.sums import Cell, Sums
from recommender.told import Told, told_by

GROUP = "insight"
_DAY_US = 86_400_000_000

_LISTS = """
INSERT INTO recommender_shownlist
    (generation, decision, placement, strategy, day, identity_id, items)
VALUES %s ON CONFLICT DO NOTHING RETURNING decision, placement
"""
_CLICKS = """
INSERT INTO recommender_shownclick AS held
    (generation, decision, placement, item, identity_id, at_us, day,
     strategy, source, position)
VALUES %s ON CONFLICT (generation, decision, placement, item) DO UPDATE SET at_us = excluded.at_us
WHERE excluded.at_us < held.at_us RETURNING identity_id, item
"""
# Of two tellings of one order the earlier one holds, of equal times the dearer one.
_LINES = """
INSERT INTO recommender_boughtline AS held
    (generation, identity_id, order_key, item, at_us, value_minor, counted_minor)
VALUES %s ON CONFLICT (generation, identity_id, item, order_key) DO UPDATE
SET at_us = excluded.at_us, value_minor = excluded.value_minor
WHERE (excluded.at_us, -coalesce(excluded.value_minor, -1))
    < (held.at_us, -coalesce(held.value_minor, -1))
"""
# A click whose list has come, with the place and source that the list gives its item.
_PLACED = """
UPDATE recommender_shownclick c
SET strategy = l.strategy, source = p.pair ->> 1, position = p.place - 1
FROM recommender_shownlist l
CROSS JOIN LATERAL jsonb_array_elements(l.items) WITH ORDINALITY AS p (pair, place)
WHERE c.generation = %(generation)s AND c.decision = ANY(%(decisions)s::uuid[]) AND c.strategy = ''
  AND l.generation = c.generation AND l.decision = c.decision AND l.placement = c.placement
  AND p.pair ->> 0 = c.item
RETURNING c.day, c.strategy, c.placement, c.source, c.position, c.item, c.identity_id
"""


def fold(facts: Sequence[Fact], now: datetime) -> None:
    """Fold facts in the transaction that moves the watermark; `now` is not looked at.

    Order does not matter. Needs analytics and personalization of each fact.
    """
    del now
    told = told_by(facts)
    if told:
        # one fold at a time settles: two that do not see each other would miss a purchase
        hold(GROUP)
        _fold_into(live_generation(), told)


def names() -> set[str]:
    """Return the names of the events that count here, as the shop describes them."""
    return {EXPOSED, CLICKED} | events.schema().named("order")


def fold_generation(generation: int, facts: Sequence[Fact]) -> None:
    """Fold facts into a generation that is not read yet."""
    told = told_by(facts)
    if told:
        _fold_into(generation, told)


def live_generation() -> int:
    """Return the generation that pages read."""
    return OutcomeGeneration.objects.values_list("live", flat=True).first() or 1


def lists_shown(decision: UUID) -> dict[str, list[tuple[str, str]]]:
    """Return placement -> (item, source) in the order shown, of lists whose page reported them."""
    rows = ShownList.objects.filter(generation=live_generation(), decision=decision)
    return {row.placement: [(one[0], one[1]) for one in row.items] for row in rows}


def _fold_into(generation: int, told: Told) -> None:
    """Write what a batch says and add what it changes to the daily figures."""
    counts = sums.nothing()
    with connection.cursor() as cursor:
        for decision, placement in _write_lists(cursor, generation, told):
            strategy, day, _, items = told.lists[decision, placement]
            for position, (item, source) in enumerate(items):
                counts[Cell(day, strategy, placement, source, position, item)][0] += 1
        moved = _write_clicks(cursor, generation, told)
        moved |= _place_clicks(cursor, generation, told, counts)
        moved |= _write_lines(cursor, generation, told)
        if moved:
            settle(cursor, generation, sorted(moved), counts)
        sums.add(cursor, generation, counts)


def drop_old(*, now: datetime) -> int:
    """Delete what is past its days; return rows gone. A few thousand rows a statement."""
    today = now.astimezone(UTC).date()
    detail = today - timedelta(days=settings.OUTCOME_DETAIL_DAYS)
    detail_us = int(now.timestamp() * 1e6) - settings.OUTCOME_DETAIL_DAYS * _DAY_US
    due: tuple[tuple[Any, dict[str, Any]], ...] = (
        (ShownList, {"day__lt": detail}),
        (BoughtLine, {"at_us__lt": detail_us}),
        (ShownClick, {"day__lt": detail}),
        (ItemDay, {"day__lt": today - timedelta(days=settings.OUTCOME_ITEM_DAYS)}),
        (ShelfDay, {"day__lt": today - timedelta(days=settings.OUTCOME_DAYS)}),
    )
    return sum(drop(table, old) for table, old in due)


def drop(table: Any, old: Mapping[str, Any], *, size: int = 5_000) -> int:
    """Delete rows, a few at a time (a long transaction holds processors back); return how many."""
    gone = 0
    while True:
        ids = list(table.objects.filter(**old).values_list("pk", flat=True)[:size])
        gone += table.objects.filter(pk__in=ids)._raw_delete(table.objects.db) if ids else 0
        if len(ids) < size:
            return gone


class OutcomesHeld:
    """What is held of a customer here: lists seen, clicks, order lines. For access and erasure."""

    def export(self, customer_id: int) -> dict[str, Any]:
        """Return it as plain JSON data."""
        mine = {"identity_id__in": _identities(customer_id), "generation": live_generation()}
        return {
            "shown": list(
                ShownList.objects.filter(**mine).values("day", "placement", "strategy", "items")
            ),
            "clicked": list(ShownClick.objects.filter(**mine).values("day", "placement", "item")),
            "bought": list(BoughtLine.objects.filter(**mine).values("order_key", "item", "at_us")),
        }

    def erase(self, customer_id: int) -> int:
        """Delete it in the caller's transaction; return rows gone. Daily sums name nobody."""
        mine = {"identity_id__in": _identities(customer_id)}
        return sum(
            table.objects.filter(**mine).delete()[0]
            for table in (BoughtLine, ShownClick, ShownList)
        )


def _identities(customer_id: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM customers_identity WHERE customer_id = %s", [customer_id])
        return [row[0] for row in cursor.fetchall()]


def _write_lists(cursor: Any, generation: int, told: Told) -> list[tuple[str, str]]:
    rows = [
        (generation, decision, placement, strategy, day, who, orjson.dumps(items).decode())
        for (decision, placement), (strategy, day, who, items) in sorted(told.lists.items())
    ]
    if not rows:
        return []
    found = execute_values(cursor.cursor, _LISTS, rows, page_size=len(rows), fetch=True)
    return [(str(decision), placement) for decision, placement in found]


def _write_clicks(cursor: Any, generation: int, told: Told) -> set[tuple[int, str]]:
    """Write clicks; return (identity, item) of those that are new or were earlier than thought."""
    rows = [
        (generation, decision, placement, item, who, at_us, day, "", "", 0)
        for (decision, placement, item), (at_us, who, day) in sorted(told.clicks.items())
    ]
    if not rows:
        return set()
    found = execute_values(cursor.cursor, _CLICKS, rows, page_size=len(rows), fetch=True)
    return {(who, item) for who, item in found}


def _place_clicks(cursor: Any, generation: int, told: Told, counts: Sums) -> set[tuple[int, str]]:
    """Count clicks whose list and click are both there now; return their (identity, item)."""
    decisions = {key[0] for key in told.lists} | {key[0] for key in told.clicks}
    if not decisions:
        return set()
    cursor.execute(_PLACED, {"generation": generation, "decisions": sorted(decisions)})
    moved = set()
    for day, strategy, placement, source, position, item, who in cursor.fetchall():
        counts[Cell(day, strategy, placement, source, position, item)][1] += 1
        moved.add((who, item))
    return moved


def _write_lines(cursor: Any, generation: int, told: Told) -> set[tuple[int, str]]:
    rows = [
        (generation, who, order, item, at_us, value, 0)
        for (who, item, order), (at_us, value) in sorted(told.lines.items())
    ]
    if rows:
        execute_values(cursor.cursor, _LINES, rows, page_size=len(rows))
    return {(who, item) for who, item, _ in told.lines}
