"""Signed decision tokens: what was shown to whom, brought back by exposure and click events.

A token is one URL-safe string of about 150 characters. It carries no personal data: the unit and
the shown list are digests. It knows nothing about events or experiments.
"""

import binascii
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b, sha256
from uuid import UUID

from django.conf import settings

from personalization.lib.errors import Unprocessable

# format, key id, expiry (s), unit digest, decision, propensity, model version, digest of the items
_HEAD = struct.Struct(">B4sI8s16sfI8s")
_FORMAT = 2
# 128 bits keep the token short; docs/decisions/0028 says why not HMAC.
_SIGNATURE_BYTES = 16
_MAX_CHARS = 1000
_MAX_FIELD_BYTES = 255


class TokenInvalid(Unprocessable):
    """A token that was not signed by us, is too old, or belongs to another unit."""

    code = "token_invalid"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. `items_digest` is that of the shown (item, source) list."""

    decision_id: UUID
    placement: str
    experiment: str = ""
    arm: str = ""
    propensity: float = 1.0
    strategy: str = ""
    model_version: int = 0
    items_digest: bytes = bytes(8)


def sign(claims: Claims, *, unit: str, now: datetime) -> str:
    """Return the token of `claims` for `unit`, good for DECISION_TOKEN_TTL_S from `now`."""
    key_id, key = _keys(settings.SECRET_KEY)
    body = _HEAD.pack(
        _FORMAT,
        key_id,
        int(now.timestamp()) + settings.DECISION_TOKEN_TTL_S,
        _digest(unit),
        claims.decision_id.bytes,
        claims.propensity,
        claims.model_version,
        claims.items_digest,
    ) + _pack((claims.placement, claims.experiment, claims.arm, claims.strategy))
    return urlsafe_b64encode(_signature(key, body) + body).rstrip(b"=").decode()


def verify(token: str, *, unit: str, now: datetime) -> Claims:
    """Return the claims of a token that we signed for `unit` and that is not too old.

    Raises
    ------
    TokenInvalid
        Its code is `token_invalid` (forged or garbled), `token_expired` or `token_foreign`.
    """
    body = _authentic_body(token)
    head = _HEAD.unpack_from(body)
    _, _, expires_s, unit_digest, decision, propensity, model_version, items_digest = head
    if now.timestamp() >= expires_s:
        raise TokenInvalid("the token has expired", code="token_expired")
    if not hmac.compare_digest(unit_digest, _digest(unit)):
        raise TokenInvalid("the token belongs to another unit", code="token_foreign")
    placement, experiment, arm, strategy = _unpack(body[_HEAD.size :])
    return Claims(
        decision_id=UUID(bytes=decision),
        placement=placement,
        experiment=experiment,
        arm=arm,
        propensity=propensity,
        strategy=strategy,
        model_version=model_version,
        items_digest=items_digest,
    )


def items_digest(shown: Iterable[tuple[str, str]]) -> bytes:
    """Return the digest of a shown list of (item id, source), in the order shown."""
    return _digest("\x1e".join(f"{item}\x1f{source}" for item, source in shown))


def _authentic_body(token: str) -> bytes:
    if len(token) > _MAX_CHARS:
        raise TokenInvalid("not a decision token")
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (binascii.Error, ValueError) as error:
        raise TokenInvalid("not a decision token") from error
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if len(body) < _HEAD.size or body[0] != _FORMAT:
        raise TokenInvalid("not a decision token")
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        key_id, key = _keys(secret)
        if key_id != body[1:5]:
            continue
        if hmac.compare_digest(_signature(key, body), signature):
            return body
    raise TokenInvalid("the token was not signed here")


@lru_cache(maxsize=16)
def _keys(secret: str) -> tuple[bytes, bytes]:
    """(public id, signing key) derived from a secret for this purpose alone."""
    key = hmac.digest(str(secret).encode(), b"personalization.lib.tokens:decision:2", "sha256")
    return sha256(b"key id:" + key).digest()[:4], key


def _signature(key: bytes, body: bytes) -> bytes:
    return blake2b(body, key=key, digest_size=_SIGNATURE_BYTES).digest()


def _digest(text: str) -> bytes:
    # surrogates can come out of JSON escapes; they must not break a digest
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


@lru_cache(maxsize=1024)
def _pack(fields: tuple[str, ...]) -> bytes:
    packed = [field.encode() for field in fields]
    if max(map(len, packed)) > _MAX_FIELD_BYTES:
        msg = f"a token field is longer than {_MAX_FIELD_BYTES} bytes; shorten the key"
        raise ValueError(msg)
    return b"".join(bytes((len(field),)) + field for field in packed)


def _unpack(body: bytes) -> list[str]:
    fields, at = [], 0
    while at < len(body):
        end = at + 1 + body[at]
        fields.append(body[at + 1 : end].decode())
        at = end
    return fields
