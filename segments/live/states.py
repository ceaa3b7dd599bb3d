"""States, memberships and changes in PostgreSQL, by the thousand: a few statements a batch.

Always inside the transaction of whoever has locked the customers.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from django.db import connection

from personalization.events import facttable
from segments.engine.held import MOST_FIRST, Held, loaded
from segments.engine.program import Program

_LOAD = """
SELECT customer_id, state, verdicts, generation, due_at
FROM segments_state WHERE customer_id = ANY(%s)
"""
_SAVE = """
INSERT INTO segments_state (customer_id, state, verdicts, due_at, generation)
SELECT c, s::text, v::text, d, g
FROM json_to_recordset(%s::json) AS x (c bigint, s json, v json, d bigint, g bigint)
ON CONFLICT (customer_id) DO UPDATE SET state = excluded.state, verdicts = excluded.verdicts,
    due_at = excluded.due_at, generation = excluded.generation
"""
_SAVE_VERDICTS = """
UPDATE segments_state p SET verdicts = v::text, due_at = d
FROM json_to_recordset(%s::json) AS x (c bigint, v json, d bigint) WHERE p.customer_id = x.c
"""
_ENTER = """
INSERT INTO segments_membership (segment_id, version_id, customer_id, entered_at)
SELECT s, v, c, TIMESTAMPTZ 'epoch' + a * INTERVAL '1 microsecond'
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS x (s, v, c, a)
ON CONFLICT (version_id, customer_id) DO UPDATE SET entered_at = excluded.entered_at
"""
_LEAVE = """
DELETE FROM segments_membership m USING unnest(%s::bigint[], %s::bigint[]) AS x (v, c)
WHERE m.version_id = x.v AND m.customer_id = x.c
"""
# A version that takes over, stops or goes away with its segment waits for batches that turn its
# members, and they for it: so each change is told by the rule in force, once, and no member of a
# version that has ended is left behind. Two statements: the second sees what the first waited for.
_LIVE = """
SELECT 1 FROM segments_segment WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE;
SELECT id, status = 'published' FROM segments_segmentversion
WHERE id = ANY(%s) AND status IN ('shadow', 'published', 'standby')
"""
_CHANGE = """
INSERT INTO segments_change (customer_id, segment_id, version, entered, at, noticed_at, cause)
SELECT c, s, n, e, TIMESTAMPTZ 'epoch' + a * INTERVAL '1 microsecond', %s, w
FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::boolean[], %s::bigint[], %s::text[])
    AS x (c, s, n, e, a, w)
"""


class Turn(NamedTuple):
    """One entry into a version or exit from it."""

    customer_id: int
    segment_id: int
    version_id: int
    number: int
    entered: bool
    at: int
    cause: str


def load(customer_ids: Collection[int]) -> dict[int, Held]:
    """Return what is remembered of those customers that have a state."""
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, [list(customer_ids)])
        return {customer_id: loaded(*stored) for customer_id, *stored in cursor.fetchall()}


def save(states: Mapping[int, Held], program: Program) -> None:
    """Write states whole: what the live rules read of them."""
    if not states:
        return
    many = [held for held in states.values() if len(held.first) > MOST_FIRST]
    asked = program.firsts(facttable.all_names()) if many else []
    for held in many:
        held.forget_first(asked)
    rows = [
        {
            "c": customer_id,
            "s": orjson.Fragment(held.dumped(program.since)),
            "v": held.verdicts,
            "d": held.due(),
            "g": held.generation,
        }
        for customer_id, held in sorted(states.items())
    ]
    with connection.cursor() as cursor:
        cursor.execute(_SAVE, [orjson.dumps(rows).decode()])


def save_verdicts(states: Mapping[int, Held]) -> None:
    """Write verdicts alone: what time has turned changes no stream."""
    if not states:
        return
    rows = [
        {"c": customer_id, "v": held.verdicts, "d": held.due()}
        for customer_id, held in sorted(states.items())
    ]
    with connection.cursor() as cursor:
        cursor.execute(_SAVE_VERDICTS, [orjson.dumps(rows).decode()])


def record(turns: Sequence[Turn], *, now: datetime) -> None:
    """Bring the memberships to what the turns say, in their order; tell those of rules in force."""
    if not turns:
        return
    in_force = _in_force(turns)
    turns = [turn for turn in turns if turn.version_id in in_force]
    last: dict[tuple[int, int], Turn] = {}
    for turn in turns:
        last[turn.version_id, turn.customer_id] = turn
    entered = sorted(key for key, turn in last.items() if turn.entered)
    left = sorted(key for key, turn in last.items() if not turn.entered)
    with connection.cursor() as cursor:
        if left:
            cursor.execute(_LEAVE, _columns(left, 2))
        if entered:
            rows = [(last[key].segment_id, *key, last[key].at) for key in entered]
            cursor.execute(_ENTER, _columns(rows, 4))
        told = [
            (turn.customer_id, turn.segment_id, turn.number, turn.entered, turn.at, turn.cause)
            for turn in turns
            if in_force[turn.version_id]
        ]
        if told:
            cursor.execute(_CHANGE, [now, *_columns(told, 6)])


def _in_force(turns: Sequence[Turn]) -> dict[int, bool]:
    """Return, of the versions that are live still, whether each is the one in force.

    What this process knows of them may be a second old.
    """
    segments = sorted({turn.segment_id for turn in turns})
    versions = sorted({turn.version_id for turn in turns})
    with connection.cursor() as cursor:
        cursor.execute(_LIVE, [segments, versions])
        return dict(cursor.fetchall())


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
