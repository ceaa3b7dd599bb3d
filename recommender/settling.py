"""Which purchases count for which clicks, settled anew for the customers and items that moved."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.conf import settings
from psycopg2.extras import execute_values

from recommender.engine.attribution import Moment, attributed
from recommender.models import ShownClick
from recommender.sums import Cell, Sums
from recommender.told import first_telling

_DAY_US = 86_400_000_000

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


def settle(cursor: Any, generation: int, moved: Sequence[tuple[int, str]], sums: Sums) -> None:
    """Count the purchases of some customers' items for their clicks, and no more for others.

    `moved`: (identity, item) of new clicks and order lines; what changes is added to `sums`.
    """
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
        mine = (*first_telling((at_us, value)), row)
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
