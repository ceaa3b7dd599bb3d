"""The last events with their fate, for the live debugger. Reads the ends of tables only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from personalization.events.engine import flags as bits
from personalization.events.models import Fate, LoggedEvent, RejectedEvent

# Places of the log that are looked through, by the BRIN index on seq; about 10 ms.
WINDOW = 20_000
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
