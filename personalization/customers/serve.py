"""The one profile read of a decision.

Alias to document in one Redis call, PostgreSQL behind it, never an error.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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

Source = Literal["redis", "postgres", "stranger", "unavailable", "nobody"]

# Reads of PostgreSQL a second and process, with as many in a burst: what a database that also
# ingests can give away when Redis is cold. Beyond it the answer is the anonymous one.
_POSTGRES_PER_S = 200

# Answers whether what is missing is a stranger's, then id and document of each alias; false for
# what is not there, and for a document that has been answered before. An eviction may have taken an
# alias this very moment, of somebody who has denied consent: `complete` holds what had been evicted
# when all was there, and is compared with the count of now. Only strangers pay for that.
_READ = redisclient.Script(
    """
local head, before, missing = ARGV[1], false, false
local answer = {0}
for i = 2, #ARGV do
    local id = redis.call('GET', head .. 'a:' .. ARGV[i])
    answer[#answer + 1] = id
    answer[#answer + 1] = id and id ~= before and redis.call('GET', head .. 'd:' .. id)
    before = id
    missing = missing or not id
end
local evicted = missing and redis.call('GET', head .. 'complete')
if evicted then
    local now = string.match(redis.call('INFO', 'stats'), 'evicted_keys:(%d+)')
    if now and tonumber(now) <= tonumber(evicted) then answer[1] = 1 end
end
return answer
"""
)
_WHO = """
SELECT i.kind, i.value, i.customer_id FROM unnest(%s::smallint[], %s::text[]) AS k (kind, value)
JOIN customers_identity i ON i.value = k.value AND i.kind = k.kind AND i.ended_at IS NULL
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
    """A document, or why there is none: a stranger, or nobody could be asked.

    `beside` is the document of the device where that is another customer's (not merged, or another
    user's): what it denies holds as well, nothing else of it counts.
    """

    document: Document | None
    source: Source
    beside: Document | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """One alias that is somebody's, and all the aliases of that customer."""

    alias: str
    document: Document
    held: Sequence[str]


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


def traits() -> Mapping[str, Trait]:
    """Return the declared traits by key, from the published configuration."""
    return declared()


def read(*, user_id: str | None, anonymous_id: str | None) -> Read:
    """Return the document of the customer behind the ids. Never raises.

    `user_id` must be proven. It decides; the anonymous id counts when the user is a stranger and
    the device is nobody else's. Both are looked up, so that `beside` misses no withdrawal.
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


def _from_redis(aliases: list[str]) -> Read | None:
    """Answer from Redis, or None when PostgreSQL must be asked."""
    try:
        head = documents.prefix()
        if head is None:
            return None
        answer = redisclient.run(_READ, head, *map(documents.alias_key, aliases))
        if documents.prefix() != head:  # it restarted under us: the answer may be from an old dump
            return None
    except (redisclient.Away, redis.ResponseError, UnicodeEncodeError):
        return None
    found = list(_believed(aliases, answer))
    return None if None in found else _judged([one for one in found if one], aliases, "redis")


def _believed(aliases: list[str], answer: Sequence[Any]) -> Iterator[_Found | None]:
    """Yield what Redis has of each alias that is somebody's; None for what it cannot tell."""
    complete, *pairs = answer
    before: _Found | None = None
    for alias, key, text in zip(aliases, pairs[::2], pairs[1::2], strict=True):
        if key is None:
            if not complete:
                yield None
            continue
        customer_id = int(key)
        if before is not None and before.document.customer_id == customer_id:
            document, held = before.document, before.held
        elif text is None or len(text) <= documents.VERSION_DIGITS:
            yield None
            continue
        else:
            data = orjson.loads(text[documents.VERSION_DIGITS :])
            document, held = _document(customer_id, data), data["i"]
        # an alias that its document does not name has moved since this was written
        before = _Found(alias, document, held) if alias in held else None
        yield before


def _judged(found: Sequence[_Found], aliases: list[str], source: Source) -> Read:
    """Put the user first.

    The document of a device that is another user's is refused to a user who is a stranger.
    """
    if not found:
        return _STRANGER
    first = found[0]
    if first.alias == aliases[0]:
        other = found[-1].document
        same = other.customer_id == first.document.customer_id
        return Read(first.document, source, None if same else other)
    if any(key.startswith("1:") for key in first.held):
        return Read(None, "stranger", first.document)
    return Read(first.document, source)


def _document(customer_id: int, data: Mapping[str, Any]) -> Document:
    return Document(customer_id, data["v"], data["a"], MappingProxyType(data["p"]))


def _from_postgres(aliases: list[str]) -> Read:
    pairs = [alias.split(":", 1) for alias in aliases]
    with connection.cursor() as cursor:
        cursor.execute(_WHO, [[int(kind) for kind, _ in pairs], [value for _, value in pairs]])
        owners = {f"{kind}:{value}": customer_id for kind, value, customer_id in cursor.fetchall()}
    if not owners:
        return _STRANGER
    built = documents.build(sorted(set(owners.values())))
    documents.offer(built)
    found = [
        _Found(alias, _document(owners[alias], orjson.loads(body)), held)
        for alias in aliases
        if owners.get(alias) in built
        for _, held, body in [built[owners[alias]]]
    ]
    return _judged(found, aliases, "postgres")
