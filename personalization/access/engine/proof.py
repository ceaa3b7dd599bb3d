"""Identity tokens: the shop's server vouches that a browser belongs to a user id.

Format: base64url(HMAC-SHA256(secret, `userId|exp`)) without padding, a dot, `exp` in Unix seconds.
`exp` is the text after the last bar, so that a bar inside a user id makes no second reading.
"""

import base64
import hashlib
import hmac

# Longest expiry that is read: 12 digits reach the year 33658.
_EXPIRY_DIGITS = 12


def make(*, secret: str, user_id: str, expires_at_s: int) -> str:
    """Return the identity token of `user_id`, good until `expires_at_s`."""
    return f"{_signature(secret, user_id, expires_at_s)}.{expires_at_s}"


def holds(*, secret: str, user_id: str, token: str, now_s: float) -> bool:
    """Whether `token` proves `user_id` at `now_s`. Malformed tokens prove nothing; never raises."""
    if not secret or not user_id:
        return False
    signature, _, expiry = token.rpartition(".")
    if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= _EXPIRY_DIGITS):
        return False
    expected = _signature(secret, user_id, int(expiry))
    given = signature.rstrip("=").encode("utf-8", "surrogatepass")
    # Compared before the expiry is looked at: a guess learns nothing from the time it takes.
    matches = hmac.compare_digest(expected.encode(), given)
    return matches and int(expiry) > now_s


def _signature(secret: str, user_id: str, expires_at_s: int) -> str:
    message = f"{user_id}|{expires_at_s}".encode("utf-8", "surrogatepass")
    mac = hmac.new(secret.encode(), message, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
