"""Which groups customers belong to, segments and countries, as arrays for the trainer.

Rows come by binary COPY, so that a million memberships are one array and no objects.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from personalization.events import copied

_ROW = copied.row_of(customer=">i8", group=">i4")
# Names first, so that rows can say them by number.
_NAMES = """
SELECT s.published_id::int8, 'segment:' || s.key FROM segments_segment s
WHERE s.published_id IS NOT NULL ORDER BY s.key
"""
_COUNTRIES = "SELECT DISTINCT country FROM customers_profile WHERE country <> '' ORDER BY 1"
_ANY = """
SELECT EXISTS (SELECT FROM segments_membership)
    OR EXISTS (SELECT FROM customers_profile WHERE country <> '')
"""
_ROWS = """
COPY (
    SELECT m.customer_id::int8, (array_position(%(versions)s::int8[], m.version_id::int8) - 1)::int4
    FROM segments_membership m WHERE m.version_id = ANY(%(versions)s::int8[])
    UNION ALL
    SELECT p.customer_id::int8,
           (%(segments)s + array_position(%(countries)s::text[], p.country::text) - 1)::int4
    FROM customers_profile p WHERE p.country <> ''
) TO STDOUT (FORMAT binary)
"""


@dataclass(frozen=True, slots=True)
class Groups:
    """`labels`: names of groups; each customer (n,) has those of `combos[places[customer]]`."""

    labels: list[str]
    combos: list[tuple[int, ...]]
    places: NDArray[np.int32]


def country_label(country: str) -> str:
    """Return how models call a country."""
    return f"country:{country}"


def any_exist() -> bool:
    """Whether any customer is in a group."""
    with connection.cursor() as cursor:
        cursor.execute(_ANY)
        return bool(cursor.fetchone()[0])


def groups(customers: NDArray[np.int64]) -> Groups:
    """Return the groups of customers (n,), ascending ids: as last decided."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NAMES)
        named = cursor.fetchall()
        cursor.execute(_COUNTRIES)
        countries = [row[0] for row in cursor.fetchall()]
        params = {
            "versions": [version for version, _ in named],
            "countries": countries,
            "segments": len(named),
        }
        blocks = copied.blocks(_ROWS, params, _ROW, _columns)
    who, which = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    labels = [label for _, label in named] + [country_label(one) for one in countries]
    combos, places = _combined(customers, who, which)
    return Groups(labels, combos, places)


def _columns(block: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    return block["customer"].astype(np.int64), block["group"].astype(np.int32)


def _combined(
    customers: NDArray[np.int64], who: NDArray[np.int64], which: NDArray[np.int32]
) -> tuple[list[tuple[int, ...]], NDArray[np.int32]]:
    """Return the distinct sets of groups, the empty one first, and the place of each customer's."""
    places = np.zeros(len(customers), np.int32)
    at = np.searchsorted(customers, who)
    known = at < len(customers)
    known[known] = customers[at[known]] == who[known]
    at, which = at[known], which[known]
    order = np.lexsort((which, at))
    at, which = at[order], which[order]
    found: dict[bytes, int] = {}
    combos: list[tuple[int, ...]] = [()]
    bounds = [*np.flatnonzero(np.diff(at, prepend=-1)).tolist(), len(at)]
    for start, stop in itertools.pairwise(bounds):
        part = which[start:stop]
        place = found.setdefault(part.tobytes(), len(combos))
        if place == len(combos):
            combos.append(tuple(part.tolist()))
        places[at[start]] = place
    return combos, places
