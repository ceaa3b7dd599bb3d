"""Static lists: customers named by their ids in a file, kept as segments of kind `list`.

Lines are written first, in chunks; who they are is looked up after, and again by beat for ids that
nobody goes by yet. A line follows its customer through merges.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection, transaction

from personalization.access.audit import audit, state
from personalization.consent.serve import PERSONALIZATION
from personalization.customers.engine.ids import MAX_LENGTH, usable
from personalization.lib import clock
from personalization.lib.errors import Problem
from personalization.lib.locks import hold
from personalization.ops import services as jobs
from personalization.ops.errors import Cancelled
from personalization.ops.models import JobRun
from segments import errors, selectors, services
from segments.live import backfilling
from segments.models import Segment

RUN_KIND = "segments.list"
MAX_LINES = 1_000_000
# So many are looked up while whoever uploads waits; more become a job.
INLINE = 10_000
# A transaction of about 100 ms.
CHUNK = 2_000
# Bad lines that are told one by one.
MOST_TOLD = 100
# Columns of a header that name people, the best first.
_COLUMNS = ("user_id", "anonymous_id", "customer", "uuid", "id", "value")
_ADD = """
INSERT INTO segments_listmember (segment_id, value, added_at)
SELECT %s, v, %s FROM unnest(%s::varchar[]) AS t (v) ON CONFLICT (segment_id, value) DO NOTHING
"""
_AFTER = """
SELECT id, value, customer_id FROM segments_listmember
WHERE segment_id = %s AND id > %s ORDER BY id LIMIT %s
"""
_REMOVE = "DELETE FROM segments_listmember WHERE id = ANY(%s)"
# Who goes by a value: a user id wins over an anonymous one, that over our own uuid.
_OWNERS = """
WITH RECURSIVE asked AS (
    SELECT m.id, m.value FROM segments_listmember m WHERE {which}
), named AS (
    SELECT a.id, COALESCE(
        (SELECT i.customer_id FROM customers_identity i
         WHERE i.value = a.value AND i.ended_at IS NULL ORDER BY i.kind LIMIT 1),
        (SELECT c.id FROM customers_customer c
         WHERE a.value ~* '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'
           AND c.uuid = (CASE WHEN a.value ~* '^[0-9a-f-]{{36}}$' THEN a.value END)::uuid)
    ) AS customer_id
    FROM asked a
), held AS (
    SELECT n.id, n.customer_id, c.merged_into_id FROM named n
    JOIN customers_customer c ON c.id = n.customer_id
    UNION ALL
    SELECT h.id, c.id, c.merged_into_id FROM held h JOIN customers_customer c
        ON c.id = h.merged_into_id
)
UPDATE segments_listmember m SET customer_id = held.customer_id
FROM held WHERE m.id = held.id AND held.merged_into_id IS NULL
    AND m.customer_id IS DISTINCT FROM held.customer_id
RETURNING m.customer_id
"""
# On the list and no member, or the other way round; those who refuse are members of nothing.
_ASTRAY = """
SELECT customer_id FROM (
    SELECT m.customer_id FROM segments_listmember m
    LEFT JOIN consent_consentstate c ON c.customer_id = m.customer_id
    WHERE m.segment_id = %(list)s AND m.customer_id IS NOT NULL
      AND coalesce(c.denied, 0) & %(personal)s = 0
) AS listed
FULL JOIN (SELECT customer_id FROM segments_membership WHERE version_id = %(version)s) AS held
    USING (customer_id)
WHERE listed.customer_id IS NULL OR held.customer_id IS NULL
"""
_UNRESOLVED = """
SELECT id FROM segments_listmember
WHERE segment_id = %(list)s AND customer_id IS NULL AND id > %(last)s
    AND added_at >= COALESCE(%(since)s::timestamptz, '-infinity')
ORDER BY id LIMIT %(chunk)s
"""
_COUNTS = """
SELECT count(*), count(customer_id) FROM segments_listmember WHERE segment_id = %s
"""


@dataclass(slots=True)
class Upload:
    """What became of a file. `run`: the job that looks the rest up; None when all is done."""

    key: str
    lines: int = 0
    added: int = 0
    known: int = 0
    removed: int = 0
    bad: int = 0
    resolved: int = 0
    unresolved: int = 0
    run: int | None = None
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int, problem: str) -> None:
        """Note a line that names nobody."""
        self.bad += 1
        if len(self.problems) < MOST_TOLD:
            self.problems.append(Problem(f"line {line}", problem))


def upload_list(
    *, key: str, title: str, lines: Iterable[str], actor: str, replace: bool = False
) -> Upload:
    """Write the ids of a file to a list, made and published where there is none.

    Lines are one id each, or CSV with a header that has a column `user_id`, `anonymous_id`,
    `customer`, `uuid`, `id` or `value`. What is bad is told by its number; the rest is taken.
    `replace`: who is not in the file leaves. The same file again changes nothing.

    Raises
    ------
    SegmentTaken, RuleInvalid, TooManyLines
        The key is a rule's; it cannot be a key; no line, or more than a million.
    """
    told = Upload(key)
    values = list(dict.fromkeys(_values(lines, told)))
    if not values and (told.bad or not replace):
        msg = "there is no id in this file"
        raise errors.ListInvalid(msg, details=told.problems or [Problem("lines", "none given")])
    row = _list_row(key, title, actor)
    now = clock.now()
    before = state(row) | {"members": _counts(row.pk)[0]}
    for chunk in _chunks(values):
        told.added += _add(row.pk, chunk, now)
    told.known = len(values) - told.added
    left: list[int] = []
    if replace:
        told.removed, left = _remove_others(row.pk, frozenset(values))
    with transaction.atomic():
        after = {name: getattr(told, name) for name in ("added", "removed", "bad")}
        audit(actor=actor, action="upload", obj=row, before=before, after=after)
    _publish(row, actor)
    _decide(key, left)
    _look_up(row, told, now)
    members, told.resolved = _counts(row.pk)
    told.unresolved = members - told.resolved
    return told


def resolve(segment_id: int, *, since: str | None = None, run: JobRun | None = None) -> int:
    """Look up who the unresolved ids of a list are, and decide them; return how many were found.

    In chunks, each a transaction of its own; a run goes on from its checkpoint. `since` (ISO 8601):
    only lines added from then on.

    Raises
    ------
    Cancelled
        Somebody stopped the run.
    """
    key = Segment.objects.values_list("key", flat=True).get(pk=segment_id)
    checkpoint = run.checkpoint if run else {}
    last, done, found = checkpoint.get("last", 0), run.done if run else 0, 0
    asked = {"list": segment_id, "since": since, "chunk": CHUNK}
    while ids := _ids(_UNRESOLVED, {**asked, "last": last}):
        customers = _owners("m.id = ANY(%s)", [ids])
        _decide(key, customers)
        last, done, found = ids[-1], done + len(ids), found + len(customers)
        if run is not None:
            jobs.advance(run.pk, done=done, checkpoint={"last": last})
    return found


def resolve_all() -> int:
    """Look the unresolved ids of every list up; return how many were found. Beat calls it."""
    for slot in jobs.open_slots(RUN_KIND):
        work(slot)
    lists = list(Segment.objects.filter(kind=Segment.Kind.LIST))
    found = sum(resolve(row.pk) for row in lists)
    for row in lists:
        # what a kill left between lines and their decisions
        asked = {"list": row.pk, "version": row.published_id, "personal": PERSONALIZATION}
        _decide(row.key, _ids(_ASTRAY, asked))
    return found


def work(slot: str) -> None:
    """Do the job of one upload: `slot` is `<id of the list> <when>`. Twice is once."""
    run = jobs.start_run(kind=RUN_KIND, slot=slot)
    if run is None:
        return
    segment_id = int(slot.partition(" ")[0])
    if not Segment.objects.filter(pk=segment_id).exists():
        jobs.fail(run.pk, error="the list was deleted")
        return
    try:
        found = resolve(segment_id, since=run.params.get("since"), run=run)
    except Cancelled:
        raise
    except Exception as error:
        jobs.fail(run.pk, error=f"{type(error).__name__}: {error}")
        raise
    jobs.succeed(run.pk, result={"found": found})


def follow(source_id: int, target_id: int) -> None:
    """Have lines follow their customers when two are merged or parted: a merge hook."""
    _owners("m.customer_id = ANY(%s)", [[source_id, target_id]])


# --- Lines ---


def _values(lines: Iterable[str], told: Upload) -> Iterator[str]:
    """Yield the ids of a file; note what is bad."""
    reader = csv.reader(_counted(lines, told), skipinitialspace=True)
    column: int | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            told.refuse(reader.line_num, f"is no CSV: {error}"[:200])
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if column is None:
            column = _header(cells)
            if column is not None:
                continue
            column = 0
        problem = _problem(cells, column)
        if problem:
            told.refuse(reader.line_num, problem)
        else:
            yield cells[column].strip()


def _counted(lines: Iterable[str], told: Upload) -> Iterator[str]:
    for line in lines:
        told.lines += 1
        if told.lines > MAX_LINES:
            msg = f"more than {MAX_LINES} lines; send several lists"
            raise errors.ListInvalid(msg)
        # a lone NUL would end the reading
        yield line.removeprefix("\ufeff").replace("\0", "\ufffd")


def _header(cells: Sequence[str]) -> int | None:
    """Return the column of the ids when this is a header."""
    names = [cell.strip().lower() for cell in cells]
    return next((names.index(name) for name in _COLUMNS if name in names), None)


def _problem(cells: Sequence[str], column: int) -> str:
    if column >= len(cells):
        return f"has {len(cells)} columns; the id is in column {column + 1}"
    value = cells[column].strip()
    if not value:
        return "has no id"
    if len(value) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    if "\ufffd" in value or not value.isprintable():
        return "holds characters that no id has; save the file as UTF-8"
    if not usable(value):
        return f"{value!r} stands for nobody"
    return ""


# --- Rows ---


@transaction.atomic
def _list_row(key: str, title: str, actor: str) -> Segment:
    services.check_key(key)
    hold(Segment._meta.db_table, key)
    row = Segment.objects.select_for_update().filter(key=key).first()
    if row is not None and row.kind != Segment.Kind.LIST:
        msg = f"{key!r} is a segment with a rule; take another key for the list"
        raise errors.SegmentTaken(msg)
    if row is None:
        now = clock.now()
        row = Segment.objects.create(
            key=key,
            title=title or key,
            kind=Segment.Kind.LIST,
            created_at=now,
            updated_at=now,
        )
        audit(actor=actor, action="create", obj=row, after=state(row))
    elif title and title != row.title:
        services.update_segment(key=key, values={"title": title}, actor=actor)
        row.refresh_from_db()
    return row


@transaction.atomic
def _publish(row: Segment, actor: str) -> None:
    """Let the list decide, where no version does or is about to."""
    hold(Segment._meta.db_table, row.key)
    if row.versions.filter(status__in=selectors.LIVE).exists():
        return
    rule = {"kind": "list", "key": row.key}
    services.save_draft(key=row.key, rule=rule, actor=actor)
    services.publish_segment(key=row.key, actor=actor)


@transaction.atomic
def _add(segment_id: int, values: Sequence[str], now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [segment_id, now, list(values)])
        return int(cursor.rowcount)


def _remove_others(segment_id: int, keep: frozenset[str]) -> tuple[int, list[int]]:
    """Delete the lines that are not to be kept; return how many, and the customers they named."""
    last, gone = 0, 0
    customers: list[int] = []
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_AFTER, [segment_id, last, CHUNK])
            rows = cursor.fetchall()
            others = [(its_id, who) for its_id, value, who in rows if value not in keep]
            if others:
                cursor.execute(_REMOVE, [[its_id for its_id, _ in others]])
        if not rows:
            return gone, customers
        last, gone = rows[-1][0], gone + len(others)
        customers += [who for _, who in others if who is not None]


def _look_up(row: Segment, told: Upload, now: datetime) -> None:
    """Look the new ids up at once, or have a job do it."""
    if told.added <= INLINE:
        resolve(row.pk, since=now.isoformat())
        return
    run = jobs.request_run(
        kind=RUN_KIND,
        slot=f"{row.pk} {now.isoformat()}",
        params={"list": row.key, "since": now.isoformat()},
        total=told.added,
    )
    told.run = run.pk


def _decide(key: str, customers: Sequence[int]) -> None:
    """Decide again, for some customers, every rule that names the list."""
    if customers:
        backfilling.redecide_all(
            set(customers),
            places=lambda live: live.program.reading("list", [key]),
            cause="list",
        )


@transaction.atomic
def _owners(which: str, params: list[Any]) -> list[int]:
    """Bring lines to whom they name now; return the customers that were found."""
    return _ids(_OWNERS.format(which=which), params)


def _chunks(values: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _ids(statement: str, params: list[Any] | dict[str, Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [row[0] for row in cursor.fetchall()]


def _counts(segment_id: int) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [segment_id])
        members, resolved = cursor.fetchone()
    return members, resolved
