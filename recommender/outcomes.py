"""What recommendations led to: exposures, clicks and purchases from verified tokens, by the day.

A projection of the group `insight`. A list counts once a (decision, placement), a click once an
item of it, an order line once a customer, for the last click on its item before it. Whichever
arrives first, the sums end alike, as long as nobody's identities are merged or parted in between:
that alone settles nothing anew, the customer's next click or order on the item does. A replay
counts all by the owners of today. Knows nothing of scores or models.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection
from psycopg2.extras import execute_values

from personalization.consent.serve import ANALYTICS, PERSONALIZATION
from personalization.customers.engine.facts import Fact
from personalization.events import serve as events
from personalization.events.engine.taxonomy import CLICKED, EXPOSED
from personalization.lib.money import MAX_MINOR
from recommender.engine.attribution import Moment, attributed
from recommender.models import (
    BoughtLine,
    ItemDay,
    OutcomeGeneration,
    ShelfDay,
    ShownClick,
    ShownList,
)

GROUP = "insight"
# An arbitrary constant that no other advisory lock of the project uses ("outcom" in ASCII).
_LOCK = 0x6F7574636F6D
_DAY_US = 86_400_000_000
# What a column holds; ids of products are cut alike by facts.
_MOST_CHARS = 100
# A list is as long as the API allows; what is longer was not ours.
_MOST_POSITIONS = 500
_NEEDED = ANALYTICS | PERSONALIZATION

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
# Everything of the same customers and items, under whatever identity.
_CLICKS_OF = """
SELECT DISTINCT i.customer_id, c.item, c.id, c.decision::text || c.placement, c.at_us
FROM unnest(%(identities)s::bigint[], %(items)s::text[]) AS t (identity_id, item)
JOIN customers_identity o ON o.id = t.identity_id
JOIN customers_identity i ON i.customer_id = o.customer_id
JOIN recommender_shownclick c ON c.identity_id = i.id AND c.item = t.item
WHERE c.generation = %(generation)s AND c.strategy <> ''
"""
_LINES_OF = """
SELECT DISTINCT i.customer_id, l.item, l.id, l.order_key, l.at_us, l.value_minor, l.click_id,
    l.counted_minor
FROM unnest(%(identities)s::bigint[], %(items)s::text[]) AS t (identity_id, item)
JOIN customers_identity o ON o.id = t.identity_id
JOIN customers_identity i ON i.customer_id = o.customer_id
JOIN recommender_boughtline l
  ON l.generation = %(generation)s AND l.identity_id = i.id AND l.item = t.item
"""
_COUNT = """
UPDATE recommender_boughtline l SET click_id = n.click, counted_minor = n.worth
FROM (VALUES %s) AS n (id, click, worth) WHERE l.id = n.id
"""
_SUM = """
INSERT INTO recommender_{table} AS held ({columns}, shown, clicked, bought, revenue_minor)
VALUES %s ON CONFLICT ({columns}) DO UPDATE SET
    shown = held.shown + excluded.shown, clicked = held.clicked + excluded.clicked,
    bought = held.bought + excluded.bought,
    revenue_minor = held.revenue_minor + excluded.revenue_minor
"""
_BY_SHELF = _SUM.format(
    table="shelfday", columns="generation, day, strategy, placement, source, position"
)
_BY_ITEM = _SUM.format(table="itemday", columns="generation, day, item, strategy, placement")


class Cell(NamedTuple):
    """Where something counts."""

    day: date
    strategy: str
    placement: str
    source: str
    position: int
    item: str


@dataclass(slots=True)
class _Told:
    """What a batch of facts says, by the keys that count once."""

    lists: dict[tuple[str, str], tuple[str, date, int, list[list[str]]]] = field(
        default_factory=dict
    )
    clicks: dict[tuple[str, str, str], tuple[int, int, date]] = field(default_factory=dict)
    lines: dict[tuple[int, str, str], tuple[int, int | None]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.lists or self.clicks or self.lines)


# place -> how often shown, clicked, bought, and what it brought
Sums = dict[tuple[Any, ...], list[int]]


def fold(facts: Sequence[Fact], now: datetime) -> None:
    """Fold facts in the transaction that moves the watermark; `now` is not looked at.

    Order does not matter. Needs analytics and personalization of each fact.
    """
    del now
    told = _told(facts)
    if told:
        _lock()
        fold_into(live_generation(), told)


def names() -> set[str]:
    """Return the names of the events that count here, as the shop describes them."""
    return {EXPOSED, CLICKED} | events.schema().named("order")


def fold_generation(generation: int, facts: Sequence[Fact]) -> None:
    """Fold facts into a generation that is not read yet."""
    told = _told(facts)
    if told:
        fold_into(generation, told)


def live_generation() -> int:
    """Return the generation that pages read."""
    return OutcomeGeneration.objects.values_list("live", flat=True).first() or 1


def fold_into(generation: int, told: _Told) -> None:
    """Write what a batch says and add what it changes to the daily figures."""
    sums: Sums = defaultdict(lambda: [0, 0, 0, 0])
    with connection.cursor() as cursor:
        for decision, placement in _write_lists(cursor, generation, told):
            strategy, day, _, items = told.lists[decision, placement]
            for position, (item, source) in enumerate(items):
                sums[Cell(day, strategy, placement, source, position, item)][0] += 1
        moved = _write_clicks(cursor, generation, told)
        moved |= _place_clicks(cursor, generation, told, sums)
        moved |= _write_lines(cursor, generation, told)
        if moved:
            _settle(cursor, generation, sorted(moved), sums)
        _add(cursor, generation, sums)


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


def _told(facts: Iterable[Fact]) -> _Told:
    told = _Told()
    for fact in facts:
        if fact.purposes & _NEEDED != _NEEDED:
            continue
        if fact.name in (EXPOSED, CLICKED):
            _tell_shown(told, fact)
        elif fact.kind == "order":
            _tell_order(told, fact)
    return told


def _tell_shown(told: _Told, fact: Fact) -> None:
    props = fact.props or {}
    decision = props.get("$decision")
    # a list without a strategy is a content block: nothing was recommended
    if not isinstance(decision, dict) or not decision.get("strategy"):
        return
    key, placement = str(decision["id"]), str(decision["placement"])
    day = _day_of(UUID(key))
    if fact.name == EXPOSED:
        items = [_pair(one) for one in (props.get("items") or ())[:_MOST_POSITIONS]]
        told.lists.setdefault(
            (key, placement), (str(decision["strategy"]), day, fact.identity_id, items)
        )
    elif item := str(props.get("item") or "")[:_MOST_CHARS]:
        mine = (fact.occurred_us, fact.identity_id, day)
        before = told.clicks.get((key, placement, item), mine)
        told.clicks[key, placement, item] = min(before, mine)


def _pair(entry: Any) -> list[str]:
    """Return [item, source] of an element that ingestion has checked."""
    pair = [entry["id"], entry.get("source", "")] if isinstance(entry, dict) else entry
    return [str(one)[:_MOST_CHARS] for one in pair]


def _day_of(decision: UUID) -> date:
    """Return the day of a decision: its id is a UUID of version 7, milliseconds first."""
    return datetime.fromtimestamp((decision.int >> 80) / 1000, UTC).date()


def _tell_order(told: _Told, fact: Fact) -> None:
    order = fact.order_id or f"message {fact.message_id}"
    known = fact.currency == settings.SHOP_CURRENCY
    worth: dict[str, int | None] = {}
    for item, quantity, price in fact.items:
        value = quantity * price if known and price is not None else None
        held = worth.get(item)
        worth[item] = value if held is None else held + (value or 0)
    for item, value in worth.items():
        key = (fact.identity_id, item, order[:120])
        # more than that is nobody's order: its worth is not known
        mine = (fact.occurred_us, None if value is None or abs(value) > MAX_MINOR else value)
        told.lines[key] = min(told.lines.get(key, mine), mine, key=_first_telling)


def _first_telling(line: tuple[int, int | None]) -> tuple[int, int]:
    return line[0], -(line[1] if line[1] is not None else -1)


def _write_lists(cursor: Any, generation: int, told: _Told) -> list[tuple[str, str]]:
    rows = [
        (generation, decision, placement, strategy, day, who, orjson.dumps(items).decode())
        for (decision, placement), (strategy, day, who, items) in sorted(told.lists.items())
    ]
    if not rows:
        return []
    found = execute_values(cursor.cursor, _LISTS, rows, page_size=len(rows), fetch=True)
    return [(str(decision), placement) for decision, placement in found]


def _write_clicks(cursor: Any, generation: int, told: _Told) -> set[tuple[int, str]]:
    """Write clicks; return (identity, item) of those that are new or were earlier than thought."""
    rows = [
        (generation, decision, placement, item, who, at_us, day, "", "", 0)
        for (decision, placement, item), (at_us, who, day) in sorted(told.clicks.items())
    ]
    if not rows:
        return set()
    found = execute_values(cursor.cursor, _CLICKS, rows, page_size=len(rows), fetch=True)
    return {(who, item) for who, item in found}


def _place_clicks(cursor: Any, generation: int, told: _Told, sums: Sums) -> set[tuple[int, str]]:
    """Count clicks whose list and click are both there now; return their (identity, item)."""
    decisions = {key[0] for key in told.lists} | {key[0] for key in told.clicks}
    if not decisions:
        return set()
    cursor.execute(_PLACED, {"generation": generation, "decisions": sorted(decisions)})
    moved = set()
    for day, strategy, placement, source, position, item, who in cursor.fetchall():
        sums[Cell(day, strategy, placement, source, position, item)][1] += 1
        moved.add((who, item))
    return moved


def _write_lines(cursor: Any, generation: int, told: _Told) -> set[tuple[int, str]]:
    rows = [
        (generation, who, order, item, at_us, value, 0)
        for (who, item, order), (at_us, value) in sorted(told.lines.items())
    ]
    if rows:
        execute_values(cursor.cursor, _LINES, rows, page_size=len(rows))
    return {(who, item) for who, item, _ in told.lines}


def _settle(cursor: Any, generation: int, moved: Sequence[tuple[int, str]], sums: Sums) -> None:
    """Count the purchases of some customers' items for their clicks, and no more for others."""
    params = {
        "generation": generation,
        "identities": [who for who, _ in moved],
        "items": [item for _, item in moved],
    }
    cursor.execute(_LINES_OF, params)
    lines: dict[tuple[int, str], list[Any]] = defaultdict(list)
    for customer, item, *line in cursor.fetchall():
        lines[customer, item].append(line)
    if not lines:
        return
    cursor.execute(_CLICKS_OF, params)
    clicks: dict[tuple[int, str], list[Moment]] = defaultdict(list)
    for customer, item, row, tie, at_us in cursor.fetchall():
        clicks[customer, item].append(Moment(row, tie, at_us))
    window_us = settings.OUTCOME_WINDOW_DAYS * _DAY_US
    changes = [
        change
        for key, mine in lines.items()
        for change in _changes(mine, clicks.get(key, ()), window_us)
    ]
    if changes:
        values = [(row, new, worth) for row, _, _, new, worth in changes]
        # a type for a column of nothing but nulls
        template = "(%s::bigint, %s::bigint, %s::bigint)"
        execute_values(cursor.cursor, _COUNT, values, template=template, page_size=len(values))
        _count(changes, sums)


_Change = tuple[int, int | None, int, int | None, int]


def _changes(
    lines: Collection[Any], clicks: Collection[Moment], window_us: int
) -> Iterable[_Change]:
    """Yield (line, click before, counted before, click now, counts now) of what is to change.

    An order that browser and server told under two identities is one: its first telling counts.
    """
    first: dict[str, tuple[int, int, int]] = {}
    for row, order, at_us, value, *_ in lines:
        mine = (*_first_telling((at_us, value)), row)
        first[order] = min(first.get(order, mine), mine)
    bought = [Moment(row, "", at_us) for at_us, _, row in first.values()]
    found = attributed(clicks, bought, window_us=window_us)
    for row, _, _, value, before, counted in lines:
        now = found.get(row)
        worth = (value or 0) if now is not None else 0
        if (now, worth) != (before, counted):
            yield row, before, counted, now, worth


def _count(changes: Sequence[_Change], sums: Sums) -> None:
    ids = {click for _, before, _, now, _ in changes for click in (before, now) if click}
    cells = {
        row.pk: Cell(row.day, row.strategy, row.placement, row.source, row.position, row.item)
        for row in ShownClick.objects.filter(pk__in=ids)
    }
    for _, before, counted, now, worth in changes:
        for click, sign, minor in ((before, -1, counted), (now, 1, worth)):
            if click is not None and click in cells:
                sums[cells[click]][2] += sign
                sums[cells[click]][3] += sign * minor


def _add(cursor: Any, generation: int, sums: Sums) -> None:
    """Add to the daily figures, in one order, so that two folds never deadlock."""
    by_shelf: Sums = defaultdict(lambda: [0, 0, 0, 0])
    by_item: Sums = defaultdict(lambda: [0, 0, 0, 0])
    for (day, strategy, placement, source, position, item), counts in sums.items():
        for place, count in enumerate(counts):
            by_shelf[day, strategy, placement, source, position][place] += count
            by_item[day, item, strategy, placement][place] += count
    for statement, counted in ((_BY_SHELF, by_shelf), (_BY_ITEM, by_item)):
        rows = [(generation, *key, *counts) for key, counts in sorted(counted.items())]
        if rows:
            execute_values(cursor.cursor, statement, rows, page_size=len(rows))


def _lock() -> None:
    """Let one fold at a time settle: two that do not see each other would miss a purchase."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
