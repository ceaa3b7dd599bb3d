"""Loading many events by COPY: importers, backfills, the demo. Rows as ingestion writes them.

Chunks are transactions of their own, short enough not to hold up the processor's horizon. Loading
the same events again writes nothing, so an import that was cut short is simply run again.
"""

import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
from django.db import DatabaseError, connection, transaction

from personalization.catalog import serve as catalogue
from personalization.consent import serve as consent
from personalization.consent.selectors import Resolved, resolved
from personalization.events import log, partitions
from personalization.events.attribution import Gate, Key, Known, Person, person_with
from personalization.events.engine import flags as bits
from personalization.events.engine import times
from personalization.events.engine.facts import product_keys
from personalization.events.logins import Due, apart, perform_in_bulk
from personalization.events.models import Event
from personalization.lib import clock

# About 100 ms a transaction; larger ones gain nothing (measured 500, 2,000, 5,000).
CHUNK = 2_000
_ATTEMPTS = 4
# A range of history gets partitions of its own; events of a few months only, not of every odd
# clock.
_ENOUGH_FOR_A_PARTITION = 100
_MOST_OWNERS = 100_000
_REMEMBERED = timedelta(seconds=5)

# A crash may lose the last chunks, which are loaded again; whoever notes how far a load came (the
# checkpoint of an import) does so in a later commit, which waits for the disk and these with it.
_UNHURRIED = "SET LOCAL synchronous_commit = off"
_COLUMNS = "d, t, m, s, i, v, k, n, o, r, p, f, pr, tr, cx"
_TEMPORARY = """
CREATE TEMPORARY TABLE IF NOT EXISTS events_bulk (
    d date, t smallint, m text, s smallint, i bigint, v text, k text, n text, o timestamptz,
    r timestamptz, p smallint, f smallint, pr jsonb, tr jsonb, cx jsonb) ON COMMIT DELETE ROWS
"""
# Numbered in the order of the source, which tells events of one moment apart and keeps a visit
# together; written in the order of keys, in which loads wait for each other.
_INSERT = f"""
INSERT INTO events_event (day, trust, message_id, epoch, shard, identity_id, device_id, type, name,
    occurred_at, received_at, purposes, flags, properties, traits, context, seq)
SELECT d, t, m, {log.EPOCH_SQL}, s, i, v, k, n, o, r, p, f, pr, tr, cx, seq
FROM (SELECT *, nextval('events_event_seq') AS seq FROM events_bulk) b
ORDER BY d, t, m ON CONFLICT DO NOTHING
"""  # noqa: S608 -- constants of these modules


class BulkEvent(NamedTuple):
    """One event of history. Times are aware; ids are taken as proven, since staff loads them.

    `message_id` must be a function of the source row, so that loading twice writes once.
    """

    message_id: str
    name: str
    occurred_at: datetime
    user_id: str | None = None
    anonymous_id: str | None = None
    type: str = "track"
    properties: Mapping[str, Any] = MappingProxyType({})
    traits: Mapping[str, Any] | None = None
    context: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)
class Counts:
    """How a load went so far. `withheld`: customers who have refused analytics."""

    read: int = 0
    written: int = 0
    duplicates: int = 0
    withheld: int = 0


class _Load:
    """What all chunks of one load share."""

    def __init__(self, received_at: datetime, flags: int) -> None:
        self.at = received_at
        self.flags = flags
        self.at_text = received_at.isoformat()
        self._owners: dict[tuple[str | None, str | None], Person] = {}
        self._known: dict[Key, Resolved] = {}
        self._known_until = self.at

    def known(self, people: Collection[Person]) -> Known:
        """Return what stands behind the ids of a chunk, new ones created and log-ins done.

        Remembered for a few seconds: a withdrawal in between is honoured when the events are
        processed.
        """
        if clock.now() >= self._known_until or len(self._known) >= _MOST_OWNERS:
            self._known = {}
            self._known_until = clock.now() + _REMEMBERED
        keys = {key for owner in people for key in owner.keys}
        self._known |= resolved(keys - self._known.keys())
        pairs = frozenset(
            (owner.user, owner.device)
            for owner in people
            if owner.user is not None
            and owner.device is not None
            and apart(owner.user, owner.device, self._known, self.at)
        )
        due = Due(frozenset(keys - self._known.keys()), pairs)
        if due:
            self._known |= perform_in_bulk(due, keys, now=self.at)
        return self._known

    def forget(self) -> None:
        """Forget what stands behind ids: the transaction that found or made it was rolled back."""
        self._known = {}

    def owner(self, user: str | None, device: str | None) -> Person:
        """Return whose the ids are; sources go by time, so owners come back soon."""
        owner = self._owners.get((user, device))
        if owner is None:
            if len(self._owners) >= _MOST_OWNERS:
                self._owners.clear()
            owner = self._owners[user, device] = person_with(user, device, claimed=None)
        return owner


def copy_events(
    events: Iterable[BulkEvent],
    *,
    progress: Callable[[Counts], None] | None = None,
    received_at: datetime | None = None,
    flags: int = bits.IMPORTED,
) -> Counts:
    """Write events to the log, each under what its customer allows; return the counts.

    Creates identities and partitions as needed, logs users in on the devices that they come with.
    Idempotent by message id. `progress` is called after each chunk, outside of any transaction;
    what it raises
    (`ops.services.Cancelled`) ends the load between two chunks.
    """
    counts, prepared = Counts(), partitions.months()
    load = _Load(received_at or clock.now(), flags)
    for chunk in _chunks(events):
        _prepare(chunk, prepared)
        counts.read += len(chunk)
        kept, written = _with_retries(chunk, load)
        counts.written += written
        counts.duplicates += kept - written
        counts.withheld += len(chunk) - kept
        if progress is not None:
            progress(counts)
    return counts


def _chunks(events: Iterable[BulkEvent]) -> Iterator[list[BulkEvent]]:
    rest = iter(events)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _prepare(chunk: list[BulkEvent], prepared: set[date]) -> None:
    """Make the partitions of the months that this chunk has many rows of."""
    counted: dict[date, int] = {}
    for event in chunk:
        day = times.day_of(event.occurred_at)
        month = day.replace(day=1)
        if day != times.SENTINEL and month not in prepared:
            counted[month] = counted.get(month, 0) + 1
    due = [month for month, count in counted.items() if count >= _ENOUGH_FOR_A_PARTITION]
    if due:
        partitions.ensure(due)
        prepared.update(due)


def _with_retries(chunk: list[BulkEvent], load: _Load) -> tuple[int, int]:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return _load(chunk, load)
        except DatabaseError as error:
            if attempt == _ATTEMPTS or not log.repaired(error):
                raise
            load.forget()
    raise AssertionError  # the last attempt returns or raises


def _load(chunk: list[BulkEvent], load: _Load) -> tuple[int, int]:
    """Write one chunk; return (rows that consent lets in, rows written)."""
    people = [load.owner(event.user_id, event.anonymous_id) for event in chunk]
    known = load.known(set(people))
    gate = Gate(consent.purposes(), known, gpc=False)
    lines = []
    for event, owner in zip(chunk, people, strict=True):
        mask = gate.mask(owner, {})
        if mask & consent.ANALYTICS:
            lines.append(_line(event, owner, known, mask, load))
    if not lines:
        return 0, 0
    with connection.cursor() as cursor:
        cursor.execute(_UNHURRIED)
        cursor.execute(_TEMPORARY)
        cursor.copy_expert(f"COPY events_bulk ({_COLUMNS}) FROM STDIN", io.StringIO("".join(lines)))
        cursor.execute(_INSERT)
        return len(lines), cursor.rowcount


def _line(event: BulkEvent, owner: Person, known: Known, mask: int, load: _Load) -> str:
    """One line of COPY's text format."""
    at, device, traits, context = event.occurred_at, _NULL, _NULL, _EMPTY
    flags, identity = load.flags | bits.MINIMISED, _NULL
    if mask & consent.PERSONALIZATION:
        flags = load.flags
        if owner.user and owner.device:
            device = _text(owner.device)
        if event.traits:
            traits = _json(event.traits)
        stamps = catalogue.view().stamps(product_keys(event.properties))
        context = _json({**event.context, "products": stamps} if stamps else event.context)
    if owner.key is not None:
        identity = str(known[owner.key].identity_id)
    return (
        f"{times.day_of(at)}\t{_TRUST}\t{_text(event.message_id)}\t{owner.shard}\t{identity}\t"
        f"{device}\t{event.type}\t{_text(event.name)}\t{at}\t{load.at_text}\t{mask}\t{flags}\t"
        f"{_json(event.properties)}\t{traits}\t{context}\n"
    )


def _json(value: Mapping[str, Any]) -> str:
    text = orjson.dumps(value if type(value) is dict else dict(value)).decode()
    if "\\" not in text:
        return text
    if "\\u0000" in text:
        text = orjson.dumps(_without_nul(value)).decode()
    # Control characters are escaped in JSON already: only the backslash means something to COPY.
    return text.replace("\\", "\\\\")


def _without_nul(value: Any) -> Any:
    """History is loaded without the NUL characters that PostgreSQL cannot hold."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(inner) for inner in value]
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(inner) for key, inner in value.items()}
    return value


def _text(value: str) -> str:
    return value.translate(_ESCAPES) if _SPECIAL.search(value) else value


_SPECIAL = re.compile(r"[\x00\\\t\n\r]")
_ESCAPES = str.maketrans({"\0": "", "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"
_EMPTY = "{}"
_TRUST = str(int(Event.Trust.SECRET))
