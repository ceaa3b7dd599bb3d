"""The daily figures of recommendations: where something counts, and how counts are added."""

from collections import defaultdict
from datetime import date
from typing import Any, NamedTuple

from psycopg2.extras import execute_values

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


# place -> how often shown, clicked, bought, and what it brought
Sums = dict[tuple[Any, ...], list[int]]


def nothing() -> Sums:
    """Return counts that start at 0 everywhere."""
    return defaultdict(lambda: [0, 0, 0, 0])


def add(cursor: Any, generation: int, sums: Sums) -> None:
    """Add to the daily figures, in one order, so that two folds never deadlock."""
    by_shelf, by_item = nothing(), nothing()
    for (day, strategy, placement, source, position, item), counts in sums.items():
        for place, count in enumerate(counts):
            by_shelf[day, strategy, placement, source, position][place] += count
            by_item[day, item, strategy, placement][place] += count
    for statement, counted in ((_BY_SHELF, by_shelf), (_BY_ITEM, by_item)):
        rows = [(generation, *key, *counts) for key, counts in sorted(counted.items())]
        if rows:
            execute_values(cursor.cursor, statement, rows, page_size=len(rows))
