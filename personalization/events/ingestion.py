"""Accepting events: the whole way from parsed JSON to committed rows.

No Redis here. A call that succeeds has committed everything that it says; one that fails, nothing.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from personalization.consent import serve as consent
from personalization.consent.selectors import resolved
from personalization.events import fates, log, logins, rejected
from personalization.events.attribution import Gate, Known, People, Person
from personalization.events.engine import wire
from personalization.events.engine.flags import BOT, MINIMISED
from personalization.events.engine.schema import Schema
from personalization.events.models import Fate
from personalization.events.rejected import Refusal
from personalization.events.rows import Candidate, row_of
from personalization.events.sending import Outcome, Sending
from personalization.events.serve import schema
from personalization.lib import metrics

# Two batches may deadlock over customers that log in, and a partition may move under an INSERT.
_ATTEMPTS = 4
# Of one call; a storm of duplicates says the same thing over and over.
_MOST_NOTES = 20


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a call says, before anything is looked up."""

    schema: Schema
    people: People
    drafts: tuple[tuple[wire.Draft, Person], ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class _Done:
    """What was committed."""

    rows: Sequence[log.Row]
    written: set[str]
    kept: int
    dropped: Sequence[wire.Draft]
    refusals: Sequence[Refusal]


def ingest(items: Sequence[Any], sending: Sending) -> Outcome:
    """Accept what can be accepted of one call, and say what became of the rest.

    One transaction. Idempotent: the same messages again are duplicates, whatever the clock says.
    New ids get identities, proven users absorb the devices that they are seen on.

    Raises
    ------
    django.db.OperationalError
        PostgreSQL is away; nothing was written.
    """
    batch = _read(items, sending)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            done = _store(batch, sending)
            break
        except DatabaseError as error:
            if attempt == _ATTEMPTS or not log.repaired(error):
                raise
    return _answered(done, sending)


def _read(items: Sequence[Any], sending: Sending) -> _Batch:
    types = schema()
    frame = wire.Frame(
        schema=types,
        received_at=sending.received_at,
        sent_at=sending.sent_at,
        context=sending.context,
        retention=timedelta(days=settings.EVENT_RETENTION_DAYS),
        ids_required=sending.ids_required,
    )
    people = People(sending)
    drafts: list[tuple[wire.Draft, Person]] = []
    refusals: list[Refusal] = []
    for index, item in enumerate(items):
        draft = wire.read(item, index, sending.kind, frame)
        if isinstance(draft, list):
            person = rejected.person_of(item, people)
            refusals.append(Refusal(index, item, tuple(draft), person))
        else:
            token = item.get("userToken")
            drafts.append((draft, people.of(draft.user_id, draft.anonymous_id, token)))
    return _Batch(types, people, tuple(drafts), tuple(refusals))


def _store(batch: _Batch, sending: Sending) -> _Done:
    known: Known = resolved(batch.people.keys())
    gate = Gate(consent.purposes(), known, gpc=sending.gpc)
    kept, dropped = _let_in(batch.drafts, gate)
    now, secret = sending.received_at, sending.caller.secret
    due, aliases = logins.due(kept, known, now=now), logins.aliases(kept)
    # nothing to look up first: what the rows are tells how many statements will write
    settled = None if due else _rows(kept, known, batch.schema, sending)
    refused = bool(batch.refusals or (settled is not None and settled[1]))
    several = due or aliases or refused or connection.in_atomic_block
    # one INSERT alone commits by itself, which saves two trips to the database
    with transaction.atomic() if several else nullcontext():
        if settled is None:
            known = logins.perform(due, batch.people.keys(), now=now)
            settled = _rows(kept, known, batch.schema, sending)
        rows, late = settled
        written = log.insert(rows, sending) if rows else set()
        refusals = (*batch.refusals, *late)
        rejected.keep(refusals, gate, sending)
        if aliases:
            logins.perform_aliases(aliases, written, secret=secret, now=now)
    return _Done(rows, written, len(kept) - len(late), dropped, refusals)


def _let_in(
    drafts: Sequence[tuple[wire.Draft, Person]], gate: Gate
) -> tuple[list[Candidate], list[wire.Draft]]:
    """Part the drafts that analytics consent lets in from those that leave no trace."""
    kept, dropped = [], []
    for draft, person in drafts:
        mask = gate.mask(person, draft.context)
        if mask & consent.ANALYTICS:
            kept.append(Candidate(draft, person, mask))
        else:
            dropped.append(draft)
    return kept, dropped


def _rows(
    kept: Sequence[Candidate], known: Known, types: Schema, sending: Sending
) -> tuple[list[log.Row], list[Refusal]]:
    """Rows in key order, each key once, and what turned out not to hold."""
    by_key: dict[tuple[Any, str], log.Row] = {}
    refusals = []
    for candidate in kept:
        row = row_of(candidate, known, types, sending)
        if isinstance(row, list):
            draft = candidate.draft
            refusals.append(Refusal(draft.index, draft.item, tuple(row), candidate.person))
        else:
            by_key.setdefault((row["d"], row["m"]), row)
    return [by_key[key] for key in sorted(by_key)], refusals


def _answered(done: _Done, sending: Sending) -> Outcome:
    written = len(done.written)
    minimised = sum(1 for row in done.rows if row["f"] & MINIMISED and row["m"] in done.written)
    outcome = Outcome(
        accepted=written - minimised,
        duplicates=done.kept - written,
        withheld=minimised + len(done.dropped),
        rejected=tuple(sorted((r.answer() for r in done.refusals), key=lambda r: r.index)),
        bots=sum(1 for row in done.rows if row["f"] & BOT),
    )
    _count(outcome)
    _note(done, sending)
    return outcome


def _count(outcome: Outcome) -> None:
    for counter, number in (
        (metrics.EVENTS_ACCEPTED, outcome.accepted),
        (metrics.EVENTS_DUPLICATE, outcome.duplicates),
        (metrics.EVENTS_WITHHELD, outcome.withheld),
        (metrics.EVENTS_REJECTED, len(outcome.rejected)),
    ):
        if number:
            counter.inc(number)


def _note(done: _Done, sending: Sending) -> None:
    """Tell the debugger of events that left no row."""
    for draft in done.dropped[:_MOST_NOTES]:
        fates.note(
            Fate.Kind.WITHHELD,
            at=sending.received_at,
            name=draft.name,
            reason="no analytics consent",
        )
    if len(done.written) == done.kept:
        return
    repeated = [row for row in done.rows if row["m"] not in done.written]
    for row in repeated[:_MOST_NOTES]:
        fates.note(Fate.Kind.DUPLICATE, at=sending.received_at, name=row["n"], message_id=row["m"])
