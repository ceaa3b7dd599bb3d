"""Members of a segment to be handed over: CSV or NDJSON, line by line, in constant memory.

Only customers for whom a purpose is in force now. Who exports is in the audit trail.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from personalization.access.audit import audit
from personalization.consent.serve import PERSONALIZATION, purposes
from personalization.customers import serve as customers
from personalization.lib.errors import Malformed, Problem
from segments.models import SegmentVersion

CHUNK = 2_000
MARKETING = "marketing"
_COLUMNS = ("uuid", "user_ids", "entered_at", "version")
_ROWS = """
SELECT m.customer_id, c.uuid::text, m.entered_at, COALESCE(s.granted, 0), COALESCE(s.denied, 0),
    COALESCE(p.traits, '{}')::text,
    ARRAY(SELECT i.value FROM customers_identity i
          WHERE i.customer_id = m.customer_id AND i.kind = 1 AND i.ended_at IS NULL ORDER BY i.id)
FROM (SELECT customer_id, entered_at FROM segments_membership
      WHERE version_id = %s AND customer_id > %s ORDER BY customer_id LIMIT %s) m
JOIN customers_customer c ON c.id = m.customer_id
LEFT JOIN consent_consentstate s ON s.customer_id = m.customer_id
LEFT JOIN customers_profile p ON p.customer_id = m.customer_id
ORDER BY m.customer_id
"""
# What spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Export:
    """What is to be exported: of which version, by which purpose, with which traits."""

    version: SegmentVersion
    purpose: str = MARKETING
    traits: tuple[str, ...] = ()


def check(purpose: str, traits: Sequence[str]) -> bool:
    """Return whether any of the traits is personal.

    Raises
    ------
    Malformed
        Names every purpose and trait that there is not.
    """
    known, declared = purposes(), customers.traits()
    problems = [
        Problem("traits", f"there is no trait {key[:60]!r}")
        for key in traits
        if key not in declared
    ]
    if purpose not in known:
        keys = ", ".join(one.key for one in known.all)
        problems.append(Problem("purpose", f"there is no such purpose; known are {keys}"))
    if problems:
        msg = "this cannot be exported"
        raise Malformed(msg, details=problems)
    return any(declared[key].personal for key in traits)


def export(asked: Export, kind: str, *, actor: str) -> Iterator[bytes]:
    """Return the lines of an export (`csv` or `ndjson`), read as they are asked for.

    The trail has its line before the first row is read.
    """
    row = asked.version
    audit(
        actor=actor,
        action="export",
        obj=row.segment,
        after={
            "version": row.number,
            "purpose": asked.purpose,
            "traits": list(asked.traits),
            "type": kind,
        },
    )
    return _WRITERS[kind](asked)


def rows(asked: Export) -> Iterator[dict[str, Any]]:
    """Yield the members for whom the purpose is in force, by chunks in the order of customers."""
    known = purposes()
    # whoever denies personalization is a member of nothing, also before the rebuild that is due
    mask, last = known.bit(asked.purpose) | PERSONALIZATION, 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_ROWS, [asked.version.pk, last, CHUNK])
            found = cursor.fetchall()
        for _, uuid, entered_at, granted, denied, told, user_ids in found:
            if known.in_force(granted, denied, gpc=False) & mask != mask:
                continue
            line = {
                "uuid": uuid,
                "user_ids": user_ids,
                "entered_at": f"{entered_at:%Y-%m-%dT%H:%M:%S.%fZ}",
                "version": asked.version.number,
            }
            if asked.traits:
                values: Mapping[str, Any] = orjson.loads(told)
                line |= {f"trait.{key}": values.get(key) for key in asked.traits}
            yield line
        if len(found) < CHUNK:
            return
        last = found[-1][0]


def _ndjson(asked: Export) -> Iterator[bytes]:
    for line in rows(asked):
        yield orjson.dumps(line) + b"\n"


def _csv(asked: Export) -> Iterator[bytes]:
    names = [*_COLUMNS, *(f"trait.{key}" for key in asked.traits)]
    yield _written([names])
    for line in rows(asked):
        yield _written([[_cell(line[name]) for name in names]])


def _written(lines: Sequence[Sequence[str]]) -> bytes:
    into = io.StringIO()
    csv.writer(into).writerows(lines)
    return into.getvalue().encode()


def _cell(value: Any) -> str:
    """Return a value as a cell; a text that a spreadsheet would run begins with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, list):
        return _cell("|".join(map(str, value)))
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


_WRITERS: Mapping[str, Callable[[Export], Iterator[bytes]]] = {"csv": _csv, "ndjson": _ndjson}
KINDS: Mapping[str, str] = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
