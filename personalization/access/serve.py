"""Who calls, from memory: no query, no write. Every `/v1` and `/api` request passes here first."""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings

from personalization.access import errors
from personalization.access.engine import keys, proof
from personalization.lib import clock
from personalization.lib.errors import Unavailable
from personalization.ops import serve as config


class Request(Protocol):
    """What is read of a request: Django's and DRF's both have it."""

    META: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a known key."""

    key_id: int
    kind: str
    scopes: frozenset[str]
    name: str

    @property
    def secret(self) -> bool:
        """Whether a server of the shop calls."""
        return self.kind == keys.SECRET

    @property
    def actor(self) -> str:
        """The name that the audit trail gives this caller."""
        return f"key:{self.key_id}"

    def allows(self, scope: str) -> bool:
        """Whether the key may do `scope`."""
        return keys.allows(kind=self.kind, scopes=self.scopes, scope=scope)

    def require(self, scope: str) -> None:
        """Raise ScopeMissing unless the key may do `scope`."""
        if not self.allows(scope):
            msg = f"this key may not do {scope!r}; create one with that scope"
            raise errors.ScopeMissing(msg)


def authenticate(request: Request, *, body_key: str = "") -> Caller:
    """Return who calls.

    Parameters
    ----------
    request
        The key is looked for in `Authorization` (Bearer, then Basic user name) and `X-API-Key`.
    body_key
        `writeKey` of the body, for beacons, which cannot set headers.

    Raises
    ------
    KeyMissing, KeyInvalid
        No key; one that is unknown, revoked or expired.
    Unavailable
        A secret or new key, and this process has only what its node's disk remembers.
    SecretKeyInBrowser, OriginNotAllowed
        A secret key with an Origin header; a public key on a site that it is not for.
    """
    meta = request.META
    key = keys.presented(
        authorization=meta.get("HTTP_AUTHORIZATION", ""),
        x_api_key=meta.get("HTTP_X_API_KEY", ""),
        body_key=body_key,
    )
    if not key:
        msg = "no key: send Authorization: Bearer KEY"
        raise errors.KeyMissing(msg)
    record = _record(key)
    _check_origin(record, meta)
    return Caller(record.id, record.kind, record.scopes, record.name)


def address_of(request: Request) -> str:
    """Return the caller's address: the peer's, or what TRUSTED_PROXIES proxies of ours say it is.

    Each proxy appends the address that it saw, so that with n of them the n-th entry from the
    right is the first that a stranger cannot have written. Anything that is no address gives the
    peer's; "" for Unix sockets.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    hops: int = settings.TRUSTED_PROXIES
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if hops <= 0 or not forwarded:
        return peer
    entries = [entry.strip() for entry in forwarded.split(",")]
    return _address(entries[-min(hops, len(entries))]) or peer


def proven(caller: Caller, user_id: str, user_token: str | None, *, now: datetime) -> bool:
    """Whether `user_id` counts: a secret key, proof switched off, or a token that holds."""
    if caller.secret or settings.IDENTITY_PROOF == "off":
        return True
    if not isinstance(user_token, str) or not user_token:
        return False
    return proof.holds(
        secret=settings.IDENTITY_SECRET, user_id=user_id, token=user_token, now_s=now.timestamp()
    )


def identity_token(user_id: str, *, expires_at: datetime) -> str:
    """Return the token with which a browser proves `user_id` until `expires_at`."""
    return proof.make(
        secret=settings.IDENTITY_SECRET, user_id=user_id, expires_at_s=int(expires_at.timestamp())
    )


def _record(key: str) -> keys.KeyRecord:
    snapshot = config.current()
    known: Mapping[str, keys.KeyRecord] = snapshot.parts["access"]
    hashed = keys.digest(key)
    record = known.get(hashed)
    if record is None or not hmac.compare_digest(record.sha256, hashed):
        if snapshot.remembered:
            msg = "keys cannot be looked up yet; send it again"
            raise Unavailable(msg)
        msg = "this key is not known, revoked or expired"
        raise errors.KeyInvalid(msg)
    if record.expires_at_s is not None and record.expires_at_s <= clock.now().timestamp():
        msg = "this key is not known, revoked or expired"
        raise errors.KeyInvalid(msg)
    return record


def _check_origin(record: keys.KeyRecord, meta: Mapping[str, Any]) -> None:
    sent = meta.get("HTTP_ORIGIN", "")
    if record.kind == keys.SECRET:
        if sent:
            msg = "a secret key came from a browser; revoke it and use a public key there"
            raise errors.SecretKeyInBrowser(msg)
        return
    if not record.origins:
        return
    # Images (the pixel) carry no Origin; their Referer names the site.
    # Neither: not the script of a foreign page.
    page = sent or meta.get("HTTP_REFERER", "")
    if page and keys.origin(page) not in record.origins:
        msg = "this key is not for this site; add the origin to the key"
        raise errors.OriginNotAllowed(msg)


def _address(entry: str) -> str:
    """Return the address in one X-Forwarded-For entry, without a port; "" for anything else."""
    host = entry
    if entry.startswith("["):
        host = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        host = entry.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""
