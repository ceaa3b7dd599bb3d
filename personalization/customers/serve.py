"""The one profile read of a decision.

Alias to document in one Redis call, PostgreSQL behind it, never an error.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import orjson
import redis
from django.db import Error, connection

from personalization.customers import documents
from personalization.customers.models import Identity
from personalization.customers.traits import Trait, declared
from personalization.lib import redisclient

__all__ = ["Document", "Read", "Source", "Trait", "read", "traits"]

Source = Literal["redis", "postgres", "stranger", "unavailable"]

# Reads of PostgreSQL a second and process, with as many in a burst: what a database that also
# ingests can give away when Redis is cold. Beyond it the answer is the anonymous one.
_POSTGRES_PER_S = 200

_READ = """
for i = 2, #ARGV do
    local id = redis.call('GET', ARGV[1] .. 'a:' .. ARGV[i])
    if id then return {i, id, redis.call('GET', ARGV[1] .. 'd:' .. id)} end
end
return {0, redis.call('EXISTS', ARGV[1] .. 'complete')}
"""
_WHO = """
SELECT i.kind, i.customer_id FROM unnest(%s::smallint[], %s::text[]) AS k (kind, value)
JOIN customers_identity i ON i.value = k.value AND i.kind = k.kind AND i.ended_at IS NULL
ORDER BY i.kind
"""


@dataclass(frozen=True, slots=True)
class Document:
    """What is known of one customer.

    `parts["profile"]` and `parts["consent"]` are described in docs/architecture.md.
    """

    customer_id: int
    version: int
    assignment_key: str
    parts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """A document, or why there is none: a stranger, or nobody could be asked."""

    document: Document | None
    source: Source


class _Bucket:
    """A token bucket: `rate` a second, as many at once.

    Not exact between threads, and need not be.
    """

    def __init__(self, rate: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._monotonic = rate, monotonic
        self._level, self._at = rate, monotonic()

    def take(self) -> bool:
        now = self._monotonic()
        self._level = min(self._rate, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


_bucket = _Bucket(_POSTGRES_PER_S)
_STRANGER = Read(None, "stranger")
_UNAVAILABLE = Read(None, "unavailable")
_SHA = hashlib.sha1(_READ.encode(), usedforsecurity=False).hexdigest()


def traits() -> Mapping[str, Trait]:
    """Return the declared traits by key, from the published configuration."""
    return declared()


def read(*, user_id: str | None, anonymous_id: str | None) -> Read:
    """Return the document of the customer behind the ids. Never raises.

    `user_id` must be proven. It decides; the anonymous id counts when the user is a stranger and
    the device is nobody else's.
    """
    aliases = _aliases(user_id, anonymous_id)
    if not aliases:
        return _STRANGER
    found = _from_redis(aliases)
    if found is not None:
        return found
    if not _bucket.take():
        return _UNAVAILABLE
    try:
        return _from_postgres(aliases)
    except Error:
        return _UNAVAILABLE


def _aliases(user_id: str | None, anonymous_id: str | None) -> list[str]:
    pairs = ((Identity.Kind.USER, user_id), (Identity.Kind.ANONYMOUS, anonymous_id))
    return [f"{kind.value}:{value}" for kind, value in pairs if value]


def _from_redis(aliases: list[str]) -> Read | None:  # noqa: PLR0911 -- each is a reason not to believe
    """Answer from Redis, or None when PostgreSQL must be asked."""
    try:
        head = documents.prefix()
        if head is None:
            return None
        answer = redisclient.call(lambda client: _ask(client, [head, *aliases]))
        if documents.prefix() != head:  # it restarted under us: the answer may be from an old dump
            return None
    except (redisclient.Away, redis.ResponseError, UnicodeEncodeError):
        return None
    if answer[0] == 0:
        return _STRANGER if answer[1] else None
    text = answer[2]
    if text is None or len(text) <= documents.VERSION_DIGITS:
        return None
    data = orjson.loads(text[documents.VERSION_DIGITS :])
    alias = aliases[answer[0] - 2]
    if alias not in data["i"]:
        return None  # the identity has moved since this was written
    return _judged(_document(int(answer[1]), data), data["i"], alias, aliases, source="redis")


def _judged(
    found: Document, held: list[str], alias: str, aliases: list[str], *, source: Source
) -> Read:
    """Refuse the document of a device that is another user's to a user who is a stranger."""
    if (
        aliases[0].startswith("1:")
        and alias.startswith("2:")
        and any(key.startswith("1:") for key in held)
    ):
        return _STRANGER
    return Read(found, source)


def _document(customer_id: int, data: Mapping[str, Any]) -> Document:
    return Document(customer_id, data["v"], data["a"], MappingProxyType(data["p"]))


def _from_postgres(aliases: list[str]) -> Read:
    pairs = [alias.split(":", 1) for alias in aliases]
    with connection.cursor() as cursor:
        cursor.execute(_WHO, [[int(kind) for kind, _ in pairs], [value for _, value in pairs]])
        row = cursor.fetchone()
    if row is None:
        return _STRANGER
    built = documents.build([row[1]])
    if row[1] not in built:
        return _STRANGER
    _, held, body = built[row[1]]
    documents.offer(built)
    alias = next(alias for alias in aliases if alias.startswith(f"{row[0]}:"))
    return _judged(_document(row[1], orjson.loads(body)), held, alias, aliases, source="postgres")


def _ask(client: redis.Redis, arguments: list[str]) -> Any:
    try:
        return client.evalsha(_SHA, 0, *arguments)
    except redis.exceptions.NoScriptError:
        return client.eval(_READ, 0, *arguments)
