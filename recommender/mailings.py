"""Lists made ahead, for e-mail and for whoever cannot ask in the moment: a line for each customer.

Only customers for whom the purpose and personalization are in force now; in order of their ids, so
that a file that broke off is gone on with after its last whole line.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

import orjson
import structlog
from django.db import Error as DatabaseFault
from django.db import connection

from personalization.access.audit import audit
from personalization.consent.serve import PERSONALIZATION, purposes
from personalization.customers import documents
from personalization.lib.errors import NotFound, Problem, Unprocessable
from recommender import visits
from recommender.engine.merchandising import MOST_PLACES
from recommender.models import Strategy
from recommender.serve import Item, Visit, recommend, strategies
from segments.models import Segment

log = structlog.get_logger("recommender")

MARKETING = "marketing"
# Documents of so many customers are read at once.
CHUNK = 500
_USER = "1:"
_ALL = """
SELECT id FROM customers_customer WHERE id > %s AND merged_into_id IS NULL ORDER BY id LIMIT %s
"""
_MEMBERS = """
SELECT customer_id FROM segments_membership WHERE version_id = %s AND customer_id > %s
ORDER BY customer_id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Mailing:
    """What is to be written: of which strategy, for whom ("" everybody), by which purpose.

    `anonymous`: also for customers without a user id, whom no e-mail tool can address.
    """

    strategy: str
    segment: str = ""
    purpose: str = MARKETING
    count: int = 12
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One customer's list."""

    customer: int
    user_ids: tuple[str, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A customer whose list could not be made; the log says why."""

    customer: int


def lines(mailing: Mailing, *, after: int = 0, now: datetime) -> Iterator[Line | Skipped]:
    """Yield the lists of the customers behind id `after`, in order, as they would be shown now.

    One customer who cannot be served ends nobody else's.

    Raises
    ------
    NotFound, Unprocessable
        There is no such strategy, segment in force, or purpose.
    """
    version = _checked(mailing)
    wanted = PERSONALIZATION | purposes().bit(mailing.purpose)
    while ids := _ids(version, after):
        for customer, (_version, aliases, body) in sorted(documents.build(ids).items()):
            document = orjson.loads(body)
            granted, denied = document["p"].get("consent", (0, 0))
            in_force = purposes().in_force(granted, denied, gpc=False, restrict={})
            users = sorted(one.removeprefix(_USER) for one in aliases if one.startswith(_USER))
            if in_force & wanted == wanted and (users or mailing.anonymous):
                yield _line(mailing, customer, users, document, now)
        after = ids[-1]


def _line(
    mailing: Mailing,
    customer: int,
    users: Sequence[str],
    document: Mapping[str, Any],
    now: datetime,
) -> Line | Skipped:
    try:
        visit = visit_of(document, count=mailing.count, now=now)
        return Line(customer, tuple(users), recommend(mailing.strategy, visit).items)
    except DatabaseFault:
        raise
    except Exception:
        # fallback edge: what one customer has brought must not end the lists of all others
        log.exception("mailing.customer_skipped", customer=customer)
        return Skipped(customer)


def _checked(mailing: Mailing) -> int | None:
    """Return the version of the segment in force, None for everybody."""
    spec = strategies().get(mailing.strategy)
    if spec is None or not spec.active:
        msg = f"strategy {mailing.strategy!r} does not exist or is not active"
        raise NotFound(msg)
    if mailing.purpose not in purposes():
        msg = f"there is no purpose {mailing.purpose!r}"
        raise Unprocessable(msg, details=[Problem("purpose", "is not known")])
    if not 1 <= mailing.count <= MOST_PLACES:
        msg = f"a list holds 1 to {MOST_PLACES} items, not {mailing.count}"
        raise Unprocessable(msg, details=[Problem("count", f"must be 1 to {MOST_PLACES}")])
    if not mailing.segment:
        return None
    row = Segment.objects.filter(key=mailing.segment).first()
    if row is None or row.published_id is None:
        msg = f"no segment {mailing.segment!r} is in force"
        raise NotFound(msg)
    return int(row.published_id)


def _ids(version: int | None, after: int) -> list[int]:
    with connection.cursor() as cursor:
        if version is None:
            cursor.execute(_ALL, [after, CHUNK])
        else:
            cursor.execute(_MEMBERS, [version, after, CHUNK])
        return [customer for (customer,) in cursor.fetchall()]


def stream(
    mailing: Mailing, *, after: int, limit: int | None, actor: str, now: datetime
) -> Iterator[bytes]:
    """Return at most `limit` lists behind customer `after` as lines of JSON, made as they are read.

    A further, last line says `end`: without it the stream broke off. In the audit trail before the
    first of them. Raises what `lines` raises.
    """
    _checked(mailing)
    _record(mailing, after, actor)
    return _told(mailing, after, limit, now)


def _told(mailing: Mailing, after: int, limit: int | None, now: datetime) -> Iterator[bytes]:
    told = {"end": True, "lines": 0, "skipped": 0, "after": after}
    for line in lines(mailing, after=after, now=now):
        told["after"] = line.customer
        if isinstance(line, Skipped):
            told["skipped"] += 1
            continue
        yield _ndjson(line)
        told["lines"] += 1
        if told["lines"] == limit:
            break
    yield orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def _record(mailing: Mailing, after: int, actor: str) -> None:
    row = Strategy.objects.get(key=mailing.strategy)
    told = {"segment": mailing.segment, "purpose": mailing.purpose, "after": after}
    told |= {"anonymous": True} if mailing.anonymous else {}
    audit(actor=actor, action="export", obj=row, before=None, after=told)


def visit_of(document: Mapping[str, Any], *, count: int, now: datetime) -> Visit:
    """Return the visit of a customer of whom no page tells anything.

    `document`: what serving reads of the customer (`customers.documents`).
    """
    return visits.visit_of(document["p"], seed=document["a"], count=count, now=now)


def write(
    mailing: Mailing, file: BinaryIO, kind: str, *, actor: str, now: datetime
) -> Iterator[Line | Skipped]:
    """Write lists to a file opened for reading and writing; yield each, and who has none.

    What is there already stays; a line that broke off is written anew. In the audit trail. Raises
    what `lines` raises, and Unprocessable where a line that is there is none of these lists.
    """
    _checked(mailing)
    after = _written_to(file, kind)
    _record(mailing, after, actor)
    told_line = FORMATS[kind]
    for line in lines(mailing, after=after, now=now):
        if isinstance(line, Line):
            file.write(told_line(line))
        yield line


def _written_to(file: BinaryIO, kind: str) -> int:
    """Cut a last line without its end; return the customer of the last whole line, 0 for none."""
    file.seek(0)
    last, end = 0, 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        end += len(line)
        last = _customer_of(line, kind)
    file.seek(end)
    file.truncate()
    return last


def _customer_of(line: bytes, kind: str) -> int:
    try:
        if kind == "ndjson":
            return int(orjson.loads(line)["customer"])
        return int(line.split(b",", 1)[0])
    except (ValueError, TypeError, KeyError):
        msg = f"the file holds something else than lists as {kind}: name another, or delete it"
        raise Unprocessable(msg, details=[Problem("file", "is none of these lists")]) from None


def _ndjson(line: Line) -> bytes:
    told = {"customer": line.customer, "user_ids": line.user_ids, "items": line.items}
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def _csv(line: Line) -> bytes:
    """Return customer, user ids and item ids; a list is JSON, as ids may hold any sign."""
    cells: Iterable[object] = (
        line.customer,
        orjson.dumps(line.user_ids).decode(),
        orjson.dumps([item.id for item in line.items]).decode(),
    )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


FORMATS: Mapping[str, Callable[[Line], bytes]] = {"ndjson": _ndjson, "csv": _csv}
