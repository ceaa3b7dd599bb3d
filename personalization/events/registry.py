"""The event types that the shop knows, and the second chance of events that did not fit them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction

from personalization.access.audit import audit, state
from personalization.access.engine import keys
from personalization.access.serve import Caller
from personalization.events.engine import schema, times
from personalization.events.engine.taxonomy import FACTS
from personalization.events.errors import EventTypeInvalid
from personalization.events.ingestion import ingest
from personalization.events.models import Event, EventSchema, RejectedEvent
from personalization.events.sending import Sending
from personalization.lib.errors import Problem
from personalization.lib.locks import hold
from personalization.ops.services import publish

_REPLAYED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a replay went: events that are in the log now, and those that still do not fit."""

    accepted: int
    still_rejected: int


def check_type(*, name: str, fact: str, properties: Any) -> None:
    """Raise EventTypeInvalid naming every fault of a description."""
    problems = schema.spec_problems(properties)
    if not name.strip():
        problems.append(Problem("name", "is missing; write it as the event is sent"))
    if fact not in FACTS:
        problems.append(Problem("fact", f"is not known; use one of: {', '.join(FACTS[1:])}"))
    _refuse(problems)


def save_type(row: EventSchema, *, actor: str) -> None:
    """Store an event type, with its audit row, and publish it, in one transaction.

    Raises EventTypeInvalid naming every fault, or the name as that of another type: who saves one
    at the same time is waited for.
    """
    check_type(name=row.name, fact=row.fact, properties=row.properties)
    with transaction.atomic():
        hold(EventSchema._meta.db_table, row.name)
        if EventSchema.objects.filter(name=row.name).exclude(pk=row.pk).exists():
            _refuse([Problem("name", "is that of another event type")])
        stored = EventSchema.objects.select_for_update().filter(pk=row.pk).first()
        before = state(stored) if stored else None
        row.save()
        action = "update" if before else "create"
        if state(row) != before:
            audit(actor=actor, action=action, obj=row, before=before, after=state(row))
        publish(actor=actor, note=f"{action} event type {row.name}"[:200])


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise EventTypeInvalid("this event type cannot be used", details=problems)


def delete_type(row: EventSchema, *, actor: str) -> None:
    """Forget an event type of the shop's own and publish: its events are taken as they come again.

    Raises EventTypeInvalid for a built-in one.
    """
    if row.built_in:
        raise EventTypeInvalid(f"{row.name} is built in; it cannot be deleted")
    with transaction.atomic():
        name = row.name
        audit(actor=actor, action="delete", obj=row, before=state(row))
        row.delete()
        publish(actor=actor, note=f"delete event type {name}"[:200])


def replay(
    rejected_ids: list[int],
    *,
    actor: str,
    now: datetime,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Ingest rejected events again, each as of when and whence it came; return how it went.

    Idempotent: message ids decide, and an event that was replayed is not taken twice. What still
    does not fit keeps its row, with the reasons of today. Transactions of one event each, with its
    audit row.
    """
    accepted = still = 0
    for start in range(0, len(rejected_ids), _REPLAYED_AT_ONCE):
        chunk = rejected_ids[start : start + _REPLAYED_AT_ONCE]
        for row_id in chunk:
            done = _replay_one(row_id, actor, now)
            accepted += done is True
            still += done is False
        if progress is not None:
            progress(start + len(chunk))
    return Replayed(accepted, still)


def forget_rejected(*, now: datetime) -> int:
    """Delete rejected events that are older than REJECTED_RETENTION_DAYS; return how many."""
    cutoff = now - timedelta(days=settings.REJECTED_RETENTION_DAYS)
    deleted, _ = RejectedEvent.objects.filter(received_at__lt=cutoff).delete()
    return deleted


def _replay_one(row_id: int, actor: str, now: datetime) -> bool | None:
    """Whether the event is in the log now; None when the row is gone or was replayed before."""
    with transaction.atomic():
        row = RejectedEvent.objects.select_for_update().filter(pk=row_id, replayed_at=None).first()
        if row is None:
            return None
        item = _body(row.body)
        if item is None:
            return False
        outcome = ingest([item], _sending(row))
        if outcome.rejected:
            faults = [{"path": p.path, "problem": p.problem} for p in outcome.rejected[0].problems]
            RejectedEvent.objects.filter(pk=row.pk).update(
                problems=faults, count=row.count, received_at=row.received_at
            )
            return False
        row.replayed_at = now
        row.save(update_fields=["replayed_at"])
        audit(actor=actor, action="replay", obj=row, after={"replayed": True})
        return True


def _body(text: str) -> dict[str, Any] | None:
    """Return the event, None when its body was cut or is no object."""
    try:
        item = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return item if type(item) is dict else None


def _sending(row: RejectedEvent) -> Sending:
    """Return the call that brought the event, as far as it was kept."""
    known: Mapping[str, Any] = row.envelope
    secret = row.trust == Event.Trust.SECRET
    kind = keys.SECRET if secret else keys.PUBLIC
    sent_text = known.get("sentAt")
    return Sending(
        caller=Caller(known.get("key", 0), kind, frozenset(), "replay"),
        received_at=times.parsed(known.get("receivedAt")) or row.received_at,
        kind=known.get("kind", ""),
        sent_at=times.parsed(sent_text) if sent_text else None,
        sent_text=sent_text,
        gpc=known.get("gpc", False),
        address=known.get("address", ""),
        country=known.get("country", ""),
        region=known.get("region", ""),
        ids_required=known.get("idsRequired", True),
        proven=True if secret else known.get("proven", False),
        classified=(known.get("bot", False), known.get("device", "")),
    )
