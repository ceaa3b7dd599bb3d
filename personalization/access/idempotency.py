"""Idempotency-Key: a write that is sent again is answered again, and not done again.

The answer is stored in the transaction of the write, so that a process that dies leaves both or
neither. Two at once: an advisory lock says who came first; the other gets 409 and tries again.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from personalization.access import errors
from personalization.access.models import IdempotentWrite
from personalization.lib.errors import Malformed

# Clients that retry later than this have given up.
KEPT = timedelta(hours=24)
_MAX_LENGTH = 200
# A few old rows go with each new one, so that the table needs no sweeper.
_FORGET = """
DELETE FROM access_idempotentwrite WHERE id IN (
    SELECT id FROM access_idempotentwrite WHERE at < %s ORDER BY at LIMIT 20 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Slot:
    """One Idempotency-Key of one caller, with the digest of the request that it came with."""

    actor: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered the first time."""

    status: int
    body: str


def slot(*, actor: str, key: str, method: str, path: str, body: bytes) -> Slot:
    """Return the slot of a request.

    Raises
    ------
    Malformed
        The key is longer than 200 characters or not printable ASCII.
    """
    if len(key) > _MAX_LENGTH or not key.isascii() or not key.isprintable():
        msg = f"Idempotency-Key takes 1 to {_MAX_LENGTH} printable ASCII characters"
        raise Malformed(msg)
    digest = hashlib.sha256(f"{method} {path}\n".encode() + body).hexdigest()
    return Slot(actor, key, digest)


def claim(wanted: Slot) -> Answer | None:
    """Return the stored answer, or None: the caller works, and calls `keep` in this transaction.

    Raises
    ------
    IdempotencyInFlight
        The same slot is being worked on.
    IdempotencyMismatch
        The key came with another request before.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_lock_id(wanted)])
        (locked,) = cursor.fetchone()
    if not locked:
        msg = "a request with this Idempotency-Key is being worked on; send it again"
        raise errors.IdempotencyInFlight(msg)
    stored = IdempotentWrite.objects.filter(actor=wanted.actor, key=wanted.key).first()
    if stored is None:
        return None
    if stored.digest != wanted.digest:
        msg = "this Idempotency-Key came with another request before; take a new one"
        raise errors.IdempotencyMismatch(msg)
    return Answer(stored.status, stored.body)


def keep(used: Slot, *, status: int, body: str, now: datetime) -> None:
    """Store what was answered, in the transaction of the write."""
    IdempotentWrite.objects.create(
        actor=used.actor, key=used.key, digest=used.digest, status=status, body=body, at=now
    )
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [now - KEPT])


def _lock_id(wanted: Slot) -> int:
    named = f"idempotency|{wanted.actor}|{wanted.key}".encode()
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big", signed=True)
