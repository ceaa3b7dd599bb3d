"""The last events: with their fate, for the live debugger, and what they carry.

Reads the ends of tables only.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from personalization.events.engine import flags as bits
from personalization.events.models import Fate, LoggedEvent, RejectedEvent

# Places of the log that are looked through, by the BRIN index on seq; about 10 ms.
WINDOW = 20_000
# Places of the log in which it is counted what events carry; about 40 ms on a busy machine.
_COUNTED = 5_000
# Of fewer events of a type it is not told.
_LEAST = 20
_CARRIED = """
WITH e AS MATERIALIZED (
    SELECT name, properties FROM events_event
    WHERE seq > %s AND flags & %s = 0 AND jsonb_typeof(properties) = 'object'
), k AS MATERIALIZED (
    SELECT e.name, p.key, p.value FROM e CROSS JOIN LATERAL jsonb_each(e.properties) p
)
SELECT name, '', count(*) FROM e GROUP BY name
UNION ALL
SELECT name, key, count(*) FROM k GROUP BY name, key
UNION ALL
SELECT k.name, k.key || '[].' || of_first, count(*) FROM k CROSS JOIN LATERAL jsonb_object_keys(
    CASE WHEN jsonb_typeof(k.value -> 0) = 'object' THEN k.value -> 0 ELSE '{}' END
) of_first GROUP BY 1, 2
"""
FATES = ("accepted", "duplicate", "withheld", "rejected")


@dataclass(frozen=True, slots=True)
class Line:
    """One event and what became of it. `link` is (admin page, id) where there is a row to open."""

    at: datetime
    fate: str
    name: str
    message_id: str
    notes: tuple[str, ...]
    link: tuple[str, int] | None = None


def last_seq() -> int:
    """Return the last place given out in the log."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM events_event_seq")
        return int(cursor.fetchone()[0])


def last(*, limit: int, fate: str = "", name: str = "") -> list[Line]:
    """Return the last events, newest first; only those of one fate or one name when asked."""
    lines: list[Line] = []
    if fate in {"", "accepted", "withheld"}:
        lines += _logged(limit, fate, name)
    if fate in {"", "duplicate", "withheld"}:
        lines += _noted(limit, fate, name)
    if fate in {"", "rejected"}:
        lines += _rejected(limit, name)
    return sorted(lines, key=lambda line: line.at, reverse=True)[:limit]


def carried() -> dict[str, dict[str, float]]:
    """Return event type -> property, as rules name it -> share of the newest events that carry it.

    Of a list of objects the first one counts. Types with few events among the newest are left out.
    """
    found: dict[str, dict[str, float]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_CARRIED, [last_seq() - _COUNTED, bits.MINIMISED])
        for name, path, count in cursor.fetchall():
            found.setdefault(name, {})[path] = count
    events = {name: counts.pop("") for name, counts in found.items()}
    return {
        name: {path: count / events[name] for path, count in counts.items()}
        for name, counts in found.items()
        if events[name] >= _LEAST
    }


def _named(name: str) -> dict[str, Any]:
    return {"name": name} if name else {}


def _logged(limit: int, fate: str, name: str) -> list[Line]:
    rows = LoggedEvent.objects.filter(seq__gt=last_seq() - WINDOW, **_named(name))
    if fate:
        rows = rows.extra(
            where=["(flags & %s <> 0) = %s"], params=[bits.MINIMISED, fate == "withheld"]
        )
    return [
        Line(
            row.received_at,
            "withheld" if row.flags & bits.MINIMISED else "accepted",
            row.name,
            row.message_id,
            tuple(bits.names(row.flags)),
            ("admin:events_loggedevent_change", row.seq),
        )
        for row in rows.order_by("-seq").only("received_at", "name", "message_id", "flags")[:limit]
    ]


def _noted(limit: int, fate: str, name: str) -> list[Line]:
    rows = Fate.objects.filter(**({"fate": fate} if fate else {}), **_named(name))
    return [
        Line(row.at, row.fate, row.name, row.message_id, (row.reason,) if row.reason else ())
        for row in rows.order_by("-at")[:limit]
    ]


def _rejected(limit: int, name: str) -> list[Line]:
    rows = RejectedEvent.objects.filter(**_named(name)).order_by("-received_at")[:limit]
    return [
        Line(
            row.received_at,
            "rejected",
            row.name or "event",
            row.message_id,
            tuple(
                f"{fault['path']}: {fault['problem']}".removeprefix(": ") for fault in row.problems
            ),
            ("admin:events_rejectedevent_change", row.pk),
        )
        for row in rows
    ]
