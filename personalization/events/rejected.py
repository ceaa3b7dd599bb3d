"""Events that could not be accepted: kept, as far as consent allows, for replay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from personalization.consent.serve import ANALYTICS, PERSONALIZATION
from personalization.events import agents, log, places
from personalization.events.attribution import NOBODY, Gate, People, Person
from personalization.events.engine import message_ids, times, wire
from personalization.events.sending import Rejected, Sending
from personalization.lib.errors import Problem

# Longer bodies are cut: they were refused for their size, which no replay mends.
MAX_BODY = wire.MAX_BYTES
# A credential, and what differs between retries.
_NOT_KEPT = frozenset({"userToken", "writeKey", "sentAt"})
_PERSONAL = frozenset({"traits", "context"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that is not accepted, why, and whose it seems to be."""

    index: int
    item: Any
    problems: tuple[Problem, ...]
    person: Person | None

    def answer(self) -> Rejected:
        """Return what the caller is told."""
        return Rejected(
            self.index, _text(self.item, "messageId", wire.MAX_MESSAGE_ID), self.problems
        )


def person_of(item: Any, people: People) -> Person | None:
    """Whose a malformed event seems to be; None when it names nobody that could be looked up."""
    if type(item) is not dict:
        return None
    user, device = (_id(item.get(key)) for key in ("userId", "anonymousId"))
    if user is None and device is None:
        return None
    token = item.get("userToken")
    return people.of(user, device, token if type(token) is str else None)


def keep(refusals: Sequence[Refusal], gate: Gate, sending: Sending) -> None:
    """Store the refusals that consent lets us store. Joins the caller's transaction."""
    rows = [row for refusal in refusals if (row := _row(refusal, gate, sending)) is not None]
    if rows:
        log.insert_rejected(rows, sending)


def _row(refusal: Refusal, gate: Gate, sending: Sending) -> log.Row | None:
    item, person = refusal.item, refusal.person
    given = item.get("context") if type(item) is dict else None
    context = {**sending.context, **given} if type(given) is dict else sending.context
    mask = gate.mask(person or NOBODY, context)
    if not mask & ANALYTICS:
        return None
    kept = _scrubbed(item, context, sending.kind, minimal=not mask & PERSONALIZATION)
    body = orjson.dumps(kept)
    digest = sha256(sending.kind.encode() + b"\n" + body).hexdigest()
    return {
        "m": _text(item, "messageId", wire.MAX_MESSAGE_ID),
        "n": _text(item, "event", 200) or _text(item, "type", 200) or sending.kind,
        "b": body[:MAX_BODY].decode(errors="ignore"),
        "e": _envelope(refusal, context, sending),
        "p": [{"path": p.path, "problem": p.problem} for p in refusal.problems],
        "d": digest,
    }


def _scrubbed(item: Any, context: Mapping[str, Any], kind: str, *, minimal: bool) -> Any:
    """Return the event on its own: no credentials, no `sentAt`, batch context merged in.

    It carries the message id that the event would have got, so that a retry of the original after a
    replay is a duplicate.
    """
    if type(item) is not dict:
        return item
    left_out = _NOT_KEPT | _PERSONAL if minimal else _NOT_KEPT
    kept = {key: value for key, value in item.items() if key not in left_out}
    if not item.get("messageId") and times.parsed(_original(item)) is not None:
        kept["messageId"] = message_ids.derived(item, kind or _text(item, "type", 10))
    if context and not minimal:
        kept["context"] = dict(context)
        kept["context"].pop("userAgent", None)  # the envelope says what it told
        if "ip" in context:
            kept["context"]["ip"] = places.truncated(str(context["ip"]))
    return kept


def _original(item: Mapping[str, Any]) -> object:
    return item.get("originalTimestamp") or item.get("timestamp")


def _envelope(refusal: Refusal, context: Mapping[str, Any], sending: Sending) -> dict[str, Any]:
    """Return what replay needs to know of the call besides the body.

    A user agent tells visitors apart: only what it says of bots and devices is kept.
    """
    bot, device = agents.classified(_agent(context, sending))
    sent = refusal.item.get("sentAt") if type(refusal.item) is dict else None
    return {
        "kind": sending.kind,
        "proven": refusal.person is not None and refusal.person.user is not None,
        "gpc": sending.gpc,
        "sentAt": sent if type(sent) is str and "\0" not in sent else sending.sent_text,
        "receivedAt": sending.received_at,
        "address": places.truncated(sending.address),
        "bot": bot,
        "device": device,
        "country": sending.country,
        "region": sending.region,
        "idsRequired": sending.ids_required,
        "key": sending.caller.key_id,
    }


def _agent(context: Mapping[str, Any], sending: Sending) -> str:
    given = context.get("userAgent")
    own = given[: agents.MAX_LENGTH] if type(given) is str else ""
    return own if sending.caller.secret else sending.user_agent or own


def _id(value: object) -> str | None:
    usable = type(value) is str and 0 < len(value) <= wire.MAX_ID and "\0" not in value
    return str(value) if usable else None


def _text(item: object, key: str, limit: int) -> str:
    value = item.get(key) if type(item) is dict else None
    return value.replace("\0", "")[:limit] if type(value) is str else ""
