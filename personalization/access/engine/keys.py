"""API keys as plain values: what a key may do, how one is found in a request, how it is hashed.

Knows nothing of HTTP frameworks, tables or the clock.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PUBLIC = "public"
SECRET = "secret"  # noqa: S105 -- the kind of a key, no key
PREFIXES: Mapping[str, str] = {PUBLIC: "pk_", SECRET: "sk_"}

# Scope -> what it opens, for help texts. The first three are all that a public key can ever do.
SCOPES: Mapping[str, str] = {
    "events:write": "send events",
    "decide": "ask for decisions and recommendations",
    "consent": "read and set consent",
    "catalog:write": "read and write products",
    "customers:read": "read customers",
    "admin": "everything under /api",
    "*": "everything",
}
PUBLIC_SCOPES = frozenset({"events:write", "decide", "consent"})


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One usable key. Empty `scopes` or `origins`: no restriction beyond the kind's own."""

    id: int
    sha256: str
    kind: str
    name: str
    scopes: frozenset[str]
    origins: frozenset[str]
    expires_at_s: int | None


def digest(key: str) -> str:
    """SHA-256 of a key in hex. Keys carry 256 random bits: a slow hash would add nothing."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def presented(*, authorization: str, x_api_key: str, body_key: str) -> str:
    """Return the key that a request carries, or "": Bearer, Basic user name, X-API-Key, body."""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    if scheme.lower() == "basic":
        user = _basic_user(rest.strip())
        if user:
            return user
    return x_api_key.strip() or body_key.strip()


def allows(*, kind: str, scopes: frozenset[str], scope: str) -> bool:
    """Whether a key of this kind with these scopes may do `scope`."""
    if kind == PUBLIC and scope not in PUBLIC_SCOPES:
        return False
    return not scopes or "*" in scopes or scope in scopes


def records(data: Any) -> dict[str, KeyRecord]:
    """Parse the published list of keys into {sha256: KeyRecord}.

    Raises
    ------
    ValueError
        An entry is not of the published shape, or two share a hash.
    """
    found: dict[str, KeyRecord] = {}
    for entry in data["keys"]:
        record = KeyRecord(
            id=int(entry["id"]),
            sha256=str(entry["sha256"]),
            kind=str(entry["kind"]),
            name=str(entry["name"]),
            scopes=frozenset(entry["scopes"]),
            origins=frozenset(entry["origins"]),
            expires_at_s=None if entry["expires_at_s"] is None else int(entry["expires_at_s"]),
        )
        if record.kind not in PREFIXES or record.sha256 in found:
            msg = f"key {record.id} has an unknown kind or a hash that another key has"
            raise ValueError(msg)
        found[record.sha256] = record
    return found


def origin(value: str) -> str:
    """`scheme://host[:port]` of a URL or origin, in lower case; "" for anything else."""
    scheme, sep, rest = value.strip().partition("://")
    host = rest.split("/", 1)[0].split("?", 1)[0]
    return f"{scheme}://{host}".lower() if sep and scheme and host else ""


def _basic_user(encoded: str) -> str:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
    return decoded.partition(":")[0].strip()
