"""Rate limits: a bucket per key and, for public keys, one per address; too fast is TooManyRequests.

Shared buckets live in Redis; a worker takes small leases from them, so that most calls cost no
trip. Redis away: each worker fills buckets of its own at the full rate, so that nothing is refused
because a cache is down. A burst can pass the shared rate by one lease a worker.
"""

import hashlib
import ipaddress
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

from django.conf import settings

from personalization.access.engine.buckets import LEASE_TTL_S, Bucket, Rate, full
from personalization.access.serve import Caller
from personalization.lib import clock, redisclient
from personalization.lib.errors import TooManyRequests

# Buckets that a worker remembers; the one unused for longest goes first. About 10 MB when full.
_REMEMBERED = 50_000

# One trip: refill by Redis's own clock (workers' clocks differ), take up to ARGV[3] tokens.
# Returns {taken, milliseconds until the next token}. The key dies when the bucket would be full
# anyway.
_TAKE = redisclient.Script(
    """
local rate, capacity, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(held[1]) or capacity, tonumber(held[2]) or now
tokens = math.min(capacity, tokens + math.max(0, now - at) * rate / 1000)
local taken = math.min(wanted, math.floor(tokens))
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens - taken), 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / rate * 1000) + 1000)
if taken > 0 then return {taken, 0} end
return {0, math.ceil((1 - tokens) * 1000 / rate)}
"""
)


@dataclass(slots=True)
class _Lease:
    """Tokens taken from a shared bucket and not used yet; or until when it is known to be empty."""

    tokens: int = 0
    until_s: float = 0.0
    empty_until_s: float = 0.0
    alone: Bucket | None = None


class Limiter:
    """The buckets of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: OrderedDict[str, _Lease] = OrderedDict()

    def wait_s(self, name: str, rate: Rate, *, now_s: float) -> float:
        """Take a token of bucket `name`; return 0.0, or the seconds until there is one."""
        with self._lock:
            lease = self._remembered(name)
            if lease.empty_until_s > now_s:
                return lease.empty_until_s - now_s
            if lease.tokens > 0 and lease.until_s > now_s:
                lease.tokens -= 1
                return 0.0
        try:
            taken, wait_ms = _take(name, rate)
        except redisclient.Away:
            return self._alone(lease, rate, now_s)
        with self._lock:
            lease.alone = None
            if taken == 0:
                lease.empty_until_s = now_s + wait_ms / 1000
                return wait_ms / 1000
            # another thread may have taken a lease meanwhile; what is left of an old one is void
            left = lease.tokens if lease.until_s > now_s else 0
            lease.tokens, lease.until_s = left + taken - 1, now_s + LEASE_TTL_S
        return 0.0

    def _remembered(self, name: str) -> _Lease:
        lease = self._leases.get(name)
        if lease is None:
            lease = self._leases[name] = _Lease()
            if len(self._leases) > _REMEMBERED:
                self._leases.popitem(last=False)
            return lease
        self._leases.move_to_end(name)
        return lease

    def _alone(self, lease: _Lease, rate: Rate, now_s: float) -> float:
        with self._lock:
            if lease.alone is None or lease.alone.rate != rate:
                lease.alone = full(rate, now_s)
            return lease.alone.take(now_s)


_limiter = Limiter()


def check(caller: Caller, address: str) -> None:
    """Count one call of `caller` from `address`.

    Raises
    ------
    TooManyRequests
        A bucket is empty; `retry_after_s` says when there is a token again.
    """
    now_s = clock.now().timestamp()
    for name, per_s in _limits(caller, address):
        if per_s <= 0:
            continue
        wait_s = _limiter.wait_s(name, Rate(per_s), now_s=now_s)
        if wait_s > 0:
            msg = "too many requests; slow down"
            raise TooManyRequests(msg, retry_after_s=max(1, math.ceil(wait_s)))


def reset() -> None:
    """Forget what this process counted."""
    global _limiter  # noqa: PLW0603 -- one process, one limiter
    _limiter = Limiter()


def _limits(caller: Caller, address: str) -> list[tuple[str, int]]:
    if caller.secret:
        return [(f"k:{caller.key_id}", settings.RATE_SECRET_KEY_PER_S)]
    found = [(f"k:{caller.key_id}", settings.RATE_PUBLIC_KEY_PER_S)]
    if address:
        # Before the key's: one address must not empty the bucket that all browsers share.
        found.insert(0, (f"a:{_neighbourhood(address)}", settings.RATE_ADDRESS_PER_S))
    return found


def _neighbourhood(address: str) -> str:
    """Return the address itself; of IPv6 the /64, since one household owns that many."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def _take(name: str, rate: Rate) -> tuple[int, int]:
    # names of keys turn up in logs and dumps, and an address is personal
    key = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    taken, wait_ms = redisclient.run(
        _TAKE, f"p13n:r:{key}", rate.per_s, rate.capacity, rate.lease, keys=1
    )
    return int(taken), int(wait_ms)
