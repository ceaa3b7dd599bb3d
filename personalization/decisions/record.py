"""The decision log: rows wait in memory and are written about once a second, off the hot path.

A kill loses what waits, at most the last second. When the store is away rows wait on, up to a
bound; what does not fit is counted as lost. Whose a decision was, and what that customer did, is
kept only where analytics is allowed.
"""

import io
import threading
from collections import deque
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from psycopg2.errors import UniqueViolation
from psycopg2.extras import execute_values

from personalization.consent.serve import ANALYTICS
from personalization.content.engine.faults import NO_CAMPAIGN
from personalization.decisions.engine.ids import sampled
from personalization.decisions.serve import Decision
from personalization.lib.metrics import DECISION_LOG_LOST
from recommender.serve import Explored

_BATCH = 1000
MAX_BODY_BYTES = 600
# What a process gives to rows that wait: a minute at 500 decisions a second.
_WAITING_BYTES = 32 * 1024**2
# Body, and the objects of a row around it (measured 460 bytes).
_ROW_BYTES = MAX_BODY_BYTES + 500
_WAITING_MOST = _WAITING_BYTES // _ROW_BYTES
_COPY = "COPY decisions_decision (day, id, at, customer_id, config_version, body) FROM STDIN"
_INSERT = """
INSERT INTO decisions_decision (day, id, at, customer_id, config_version, body) VALUES %s
ON CONFLICT DO NOTHING
"""
# What is left out first when a body is too large.
_LEAVE_OUT = ("recent", "cart", "segments", "degraded", "models", "placements", "kept", "explored")

Row = tuple[date, str, datetime, int | None, int, str]


class _Waiting:
    """Rows that are not written yet: small ones, where a decision holds a profile."""

    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.lock = threading.Lock()


_waiting = _Waiting()


def keep(decision: Decision) -> None:
    """Have `decision` written soon, if it is of the logged share or explained."""
    if not decision.ask.explain and not sampled(decision.id, settings.DECISION_LOG_SHARE):
        return
    if len(_waiting.rows) >= _WAITING_MOST:
        DECISION_LOG_LOST.inc()
        return
    _waiting.rows.append(_row(decision))


def flush() -> None:
    """Write what waits. When the store refuses, rows wait on; raises what it said."""
    with _waiting.lock:
        while _waiting.rows:
            batch = [_waiting.rows.popleft() for _ in range(min(_BATCH, len(_waiting.rows)))]
            try:
                _insert(batch)
            except (DatabaseError, InterfaceError):
                # several requests may have found the last place free
                room = max(0, _WAITING_MOST - len(_waiting.rows))
                DECISION_LOG_LOST.inc(len(batch[room:]))
                _waiting.rows.extendleft(reversed(batch[:room]))
                raise


def flush_at_exit() -> None:
    """Write what waits, or count it as lost: the process ends."""
    try:
        flush()
    except (DatabaseError, InterfaceError):
        DECISION_LOG_LOST.inc(len(_waiting.rows))
        _waiting.rows.clear()


def body_of(decision: Decision) -> bytes:
    """Return the logged inputs of a decision as JSON, at most MAX_BODY_BYTES long.

    Without analytics consent nothing of what the visitor did or looks at.
    """
    who = decision.visitor
    body: dict[str, Any] = {
        "mask": who.mask,
        "source": who.source,
        "reason": who.reason,
        "models": decision.models,
        "degraded": list(decision.degraded),
        "ms": round(1000 * decision.stages.get("total", 0.0), 1),
        "placements": {key: _placement(shown) for key, shown in decision.placements.items()},
    }
    if decision.ask.deduplicate:
        body["deduplicate"] = True
    if explored := _explored(decision):
        body["explored"] = explored
    if decision.kept:
        body["kept"] = decision.kept
    if who.mask & ANALYTICS:
        body |= _done(decision)
    dumped = orjson.dumps(body)
    for name in _LEAVE_OUT:
        while len(dumped) > MAX_BODY_BYTES and body.get(name):
            body["cut"] = True
            body[name] = _less(body[name])
            dumped = orjson.dumps(body)
    if len(dumped) > MAX_BODY_BYTES:
        dumped = orjson.dumps({"mask": who.mask, "source": who.source, "cut": True})
    return dumped


def _done(decision: Decision) -> dict[str, Any]:
    """Return what the decision knew of the visitor's doings."""
    ask = decision.ask
    done: dict[str, Any] = {
        "cart": list(ask.cart or ()),
        "recent": [[kind, item, int(at_s)] for kind, item, at_s in decision.actions],
    }
    if decision.members:
        done["segments"] = [one.key for one in decision.members]
    items = {wanted.key: wanted.item for wanted in ask.placements if wanted.item}
    return done | {"items": items} if items else done


def _explored(decision: Decision) -> list[tuple[str, str, float]]:
    """Return (placement, item, propensity) of what chance put there: no word of the visitor."""
    return [
        (key, item.id, item.propensity)
        for key, shown in decision.placements.items()
        for item in shown.get("items", ())
        if isinstance(item, Explored)
    ]


def _placement(shown: dict[str, Any]) -> str:
    """Return in a word what was decided: campaign, strategy, default or the error's code."""
    if "error" in shown:
        return f"error:{shown['error']['code']}"
    return str(shown.get("strategy") or shown.get("campaign") or NO_CAMPAIGN)


def _less(value: Any) -> Any:
    """Return half of a list or object, the front: recent actions come newest first, items best."""
    half = len(value) // 2
    if isinstance(value, dict):
        return dict(list(value.items())[:half])
    return value[:half]


def _row(decision: Decision) -> Row:
    who = decision.visitor
    return (
        decision.at.astimezone(UTC).date(),
        str(decision.id),
        decision.at,
        who.customer_id if who.mask & ANALYTICS else None,
        decision.snapshot.version,
        body_of(decision).decode(),
    )


def _insert(rows: list[Row]) -> None:
    # psycopg2's own functions: without the wrapper its errors would not be Django's.
    with connection.cursor() as cursor, connection.wrap_database_errors:
        try:
            with transaction.atomic():
                cursor.cursor.copy_expert(_COPY, io.StringIO("".join(map(_line, rows))))
        except UniqueViolation:
            # some were written before a connection broke, and nobody could tell
            execute_values(cursor.cursor, _INSERT, rows, page_size=_BATCH)


def _line(row: Row) -> str:
    """Return a row as COPY reads it: of JSON it reads the backslash alone in its own way."""
    day, key, at, customer_id, version, body = row
    whose = r"\N" if customer_id is None else customer_id
    body = body.replace("\\", r"\\")
    return f"{day}\t{key}\t{at.isoformat()}\t{whose}\t{version}\t{body}\n"


def drop(customer_id: int) -> int:
    """Forget what waits of one customer; return how many rows that were."""
    with _waiting.lock:
        # a request may append meanwhile: take out as many as there are now, put the others back
        rows = [_waiting.rows.popleft() for _ in range(len(_waiting.rows))]
        kept = [row for row in rows if row[3] != customer_id]
        _waiting.rows.extendleft(reversed(kept))
    return len(rows) - len(kept)


def waiting() -> list[UUID]:
    """Ids of the decisions that are not written yet."""
    return [UUID(row[1]) for row in list(_waiting.rows)]


def forget() -> None:
    """Drop what waits. For tests."""
    _waiting.rows.clear()
