"""Who asks: proven identity, document and what consent allows. One profile read, no query here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from personalization.access.serve import Caller, proven
from personalization.consent.serve import PERSONALIZATION, purposes
from personalization.customers import serve as customers
from personalization.customers.engine.ids import usable
from personalization.decisions.wire import Ask

log = structlog.get_logger("decisions")

# Why an answer is contextual only.
NO_CONSENT = "no_consent"
PROFILE_UNAVAILABLE = "profile_unavailable"
PERSONAL = "personal"
_NOTHING = (0, 0)
_NOBODY = customers.Read(None, "nobody")
_UNREADABLE = customers.Read(None, "unavailable")


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person that an answer is for.

    `unit` is what experiments and tokens are about, "" when there is none. `reason` says whether
    the answer may be personal, and else why not.
    """

    unit: str
    customer_id: int | None
    profile: Mapping[str, Any]
    mask: int
    source: str
    reason: str
    # The whole document, for what other rooms keep in it; empty where nothing may be personal.
    parts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def personal(self) -> bool:
        """Whether history and session may count."""
        return self.reason == PERSONAL


def visitor(ask: Ask, caller: Caller | None, *, gpc: bool, now: datetime) -> Visitor:
    """Return who asks; never raises. A profile that cannot be read makes the answer contextual.

    `caller` None: staff, whose word about a user id counts.
    """
    user_id = ask.user_id if _counts(ask, caller, now) else ""
    anonymous_id = ask.anonymous_id if usable(ask.anonymous_id) else ""
    read = _read(user_id, anonymous_id)
    document, source = read.document, read.source
    granted, denied = _said(document)
    # the device is another customer's still: which of both said the latest word is known once they
    # are one, until then a withdrawal holds (as at ingestion)
    denied |= _said(read.beside)[1]
    mask = purposes().in_force(granted, denied, gpc=gpc, restrict=ask.restrict)
    reason = PERSONAL
    if source == "unavailable":
        # what this customer said about consent is not known now
        reason = PROFILE_UNAVAILABLE
    elif not mask & PERSONALIZATION:
        reason = NO_CONSENT
    parts: Mapping[str, Any] = document.parts if document and reason == PERSONAL else {}
    return Visitor(
        unit=document.assignment_key if document else anonymous_id or user_id,
        customer_id=document.customer_id if document else None,
        profile=parts.get("profile", {}),
        mask=mask,
        source=source,
        reason=reason,
        parts=parts,
    )


def _counts(ask: Ask, caller: Caller | None, now: datetime) -> bool:
    if not ask.user_id or not usable(ask.user_id):
        return False
    return caller is None or proven(caller, ask.user_id, ask.user_token, now=now)


def _said(document: customers.Document | None) -> Sequence[int]:
    """Return (granted, denied) of a document."""
    said: Sequence[int] = document.parts.get("consent", _NOTHING) if document else _NOTHING
    return said


def _read(user_id: str, anonymous_id: str) -> customers.Read:
    if not user_id and not anonymous_id:
        return _NOBODY
    try:
        return customers.read(user_id=user_id or None, anonymous_id=anonymous_id or None)
    except Exception:
        # fallback edge: no fault of a store may cost the shop its page
        log.exception("profile.read_failed")
        return _UNREADABLE
