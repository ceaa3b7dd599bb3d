"""Writes of the access room: keys are created, and revoked."""

import secrets
from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import transaction

from personalization.access.audit import audit, state
from personalization.access.engine import keys
from personalization.access.models import ApiKey
from personalization.lib import clock
from personalization.lib.errors import Problem, Unprocessable
from personalization.ops.services import publish

__all__ = ["audit", "create_key", "revoke_key"]

# The hash says nothing to a reader of the trail and is what an attacker would compare against.
_UNTOLD = frozenset({"sha256"})


def create_key(
    *,
    name: str,
    kind: str,
    actor: str,
    scopes: Iterable[str] = (),
    origins: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key known; return its row and the key itself, which is never stored.

    One transaction: row, audit, publication. Not idempotent: each call makes another key.

    Raises
    ------
    Unprocessable
        Names every fault of name, kind, scopes, origins and expiry.
    """
    scopes, origins = sorted(set(scopes)), sorted(set(origins))
    now = clock.now()
    problems = key_problems(
        name=name, kind=kind, scopes=scopes, origins=origins, expires_at=expires_at
    )
    if problems:
        msg = "the key cannot be created"
        raise Unprocessable(msg, details=problems)
    key = keys.PREFIXES[kind] + secrets.token_urlsafe(32)
    with transaction.atomic():
        row = ApiKey.objects.create(
            name=name.strip(),
            kind=kind,
            sha256=keys.digest(key),
            last4=key[-4:],
            scopes=scopes,
            origins=[keys.origin(origin) for origin in origins],
            created_at=now,
            expires_at=expires_at,
        )
        audit(actor=actor, action="create", obj=row, after=state(row, without=_UNTOLD))
        publish(actor=actor, note=f"API key “{row.name}” created")
    return row, key


def revoke_key(*, key_id: int, actor: str) -> ApiKey:
    """Make a key useless everywhere within a second. Revoking again changes nothing.

    Raises
    ------
    ApiKey.DoesNotExist
        No such key.
    """
    with transaction.atomic():
        row = ApiKey.objects.select_for_update().get(pk=key_id)
        if row.revoked_at is not None:
            return row
        before = state(row, without=_UNTOLD)
        row.revoked_at = clock.now()
        row.save(update_fields=["revoked_at"])
        audit(
            actor=actor, action="revoke", obj=row, before=before, after=state(row, without=_UNTOLD)
        )
        publish(actor=actor, note=f"API key “{row.name}” revoked")
    return row


def key_problems(
    *,
    name: str,
    kind: str,
    scopes: Collection[str],
    origins: Collection[str],
    expires_at: datetime | None,
) -> list[Problem]:
    """Return what is wrong with a key that is about to be made; a form asks before it saves."""
    problems = []
    if not name.strip() or len(name) > 100:  # noqa: PLR2004 -- the column's length
        problems.append(Problem("name", "needs 1 to 100 characters"))
    if kind not in keys.PREFIXES:
        problems.append(Problem("kind", f"is one of {', '.join(keys.PREFIXES)}"))
    allowed = keys.PUBLIC_SCOPES if kind == keys.PUBLIC else keys.SCOPES.keys()
    problems += [
        Problem("scopes", f"{scope!r} is not one of {', '.join(sorted(allowed))}")
        for scope in scopes
        if scope not in allowed
    ]
    problems += [
        Problem("origins", f"{origin!r} is not like https://shop.example")
        for origin in origins
        if not keys.origin(origin)
    ]
    if kind == keys.SECRET and origins:
        problems.append(Problem("origins", "a secret key is never used in a browser"))
    if expires_at is not None and expires_at <= clock.now():
        problems.append(Problem("expires_at", "lies in the past"))
    return problems
