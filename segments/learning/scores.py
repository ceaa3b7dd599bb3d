"""The table of scores: written whole by each scoring, a few hundred customers a transaction.

A transaction that has written holds back every processor (they read the log up to the oldest open
one), so none is long.
"""

import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection, transaction

from segments.learning.engine.features import Floats, Ints

# Rows of one transaction: about 100 ms.
_ROWS = 10_000
_TABLE = """
CREATE TEMP TABLE IF NOT EXISTS fresh_score (
    customer_id bigint NOT NULL, key varchar(150) NOT NULL, value double precision NOT NULL
) ON COMMIT DELETE ROWS;
-- a transaction around several writes does not commit between them
DELETE FROM fresh_score
"""
_COPY = "COPY fresh_score (customer_id, key, value) FROM STDIN"
_UPSERT = """
INSERT INTO segments_score (customer_id, key, value, as_of)
SELECT f.customer_id, f.key, f.value, %(as_of)s FROM fresh_score f
LEFT JOIN segments_score s ON s.customer_id = f.customer_id AND s.key = f.key
WHERE s.value IS DISTINCT FROM f.value
ORDER BY f.customer_id, f.key
ON CONFLICT (customer_id, key) DO UPDATE SET value = excluded.value, as_of = excluded.as_of
RETURNING customer_id, key
"""
_DELETE = """
DELETE FROM segments_score s
WHERE s.customer_id > %(low)s AND s.customer_id <= %(high)s
  AND (s.key = ANY(%(keys)s) OR s.key LIKE ANY(%(like)s))
  AND NOT EXISTS (SELECT FROM fresh_score f WHERE f.customer_id = s.customer_id AND f.key = s.key)
RETURNING s.customer_id, s.key
"""
Announce = Callable[[Sequence[int], Collection[str]], None]


@dataclass(frozen=True, slots=True)
class Owned:
    """The score keys that one scoring answers for: exact ones, and prefixes (with their colon)."""

    keys: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    def __or__(self, other: "Owned") -> "Owned":
        return Owned(self.keys + other.keys, self.prefixes + other.prefixes)


def replace(
    scores: Mapping[str, tuple[Ints, Floats]],
    owned: Owned,
    *,
    low: int,
    high: int,
    as_of: datetime,
    announce: Announce,
) -> int:
    """Make the owned scores of customers in (low, high] what `scores` says; return rows changed.

    A row whose value is the same stays untouched. `announce(customer ids, keys)` is called in each
    transaction with what changed in it. A kill in between leaves whole customers, old or new.
    """
    names = sorted(scores)
    who = np.concatenate([scores[name][0] for name in names] or [np.zeros(0, np.int64)])
    value = np.concatenate([scores[name][1] for name in names] or [np.zeros(0)])
    which = np.repeat(np.arange(len(names)), [len(scores[name][0]) for name in names])
    order = np.lexsort((which, who))
    who, value, which = who[order], value[order], which[order]
    changed = 0
    for start, stop in _parts(who):
        upper = int(who[stop - 1]) if stop < len(who) else high
        body = _body(who[start:stop], which[start:stop], value[start:stop], names)
        changed += _write(body, owned, (low, upper), as_of, announce)
        low = upper
    return changed


def remove(owned: Owned, *, announce: Announce) -> int:
    """Delete the owned scores of everybody; return how many rows went."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TABLE)
        cursor.execute(_DELETE, _params(owned, 0, 2**62))
        gone = cursor.fetchall()
        _tell(gone, announce)
    return len(gone)


def forget(customer_ids: Collection[int]) -> int:
    """Delete every score of the customers, in the caller's transaction; return rows gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM segments_score WHERE customer_id = ANY(%s)", [list(customer_ids)]
        )
        return int(cursor.rowcount)


def _parts(who: Ints) -> list[tuple[int, int]]:
    """Return [start, stop) of rows, no customer in two parts; at least one part."""
    found, start = [], 0
    while True:
        stop = min(start + _ROWS, len(who))
        if stop < len(who):
            stop = int(np.searchsorted(who, who[stop - 1], side="right"))
        found.append((start, stop))
        if stop >= len(who):
            return found
        start = stop


def _write(
    body: bytes, owned: Owned, span: tuple[int, int], as_of: datetime, announce: Announce
) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TABLE)
        cursor.copy_expert(_COPY, io.BytesIO(body))
        cursor.execute(_UPSERT, {"as_of": as_of})
        changed = cursor.fetchall()
        cursor.execute(_DELETE, _params(owned, *span))
        changed += cursor.fetchall()
        _tell(changed, announce)
    return len(changed)


def _params(owned: Owned, low: int, high: int) -> dict[str, Any]:
    quoted = [re.sub(r"([\\%_])", r"\\\1", prefix) for prefix in owned.prefixes]
    return {
        "low": low,
        "high": high,
        "keys": list(owned.keys),
        "like": [f"{prefix}%" for prefix in quoted],
    }


def _tell(changed: Sequence[tuple[int, str]], announce: Announce) -> None:
    if changed:
        announce(sorted({customer for customer, _ in changed}), {key for _, key in changed})


def _body(who: Ints, which: Ints, value: Floats, names: Sequence[str]) -> bytes:
    """Return COPY's text format; floats in their shortest exact form."""
    escaped = [
        name.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") for name in names
    ]
    rows = zip(who.tolist(), which.tolist(), value.tolist(), strict=True)
    return "".join(f"{one}\t{escaped[place]}\t{given!r}\n" for one, place, given in rows).encode()
