"""Documents: what serving reads of a customer, kept in Redis as a copy of what PostgreSQL holds.

Keys live in a space of their own per run of the Redis server, PostgreSQL cluster and deny epoch:
after a restart of Redis (empty or from an old dump), a restore of the database, or a withdrawal
that could not reach Redis, nothing written before can be found any more. Old spaces fall to their
TTL.

    p13n:<space>:a:<digest>        -> customer id; the digest of <kind>:<value> (`alias_key`)
    p13n:<space>:d:<customer id>   -> version (16 digits) and JSON; no JSON: read PostgreSQL
    p13n:<space>:complete          -> what Redis had evicted when all was written: while that has
                                      not grown, a missing alias means a stranger
"""

import hashlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson
import redis
import structlog
from django.db import Error, connection

from personalization.customers import profiles, traits
from personalization.customers.engine import profile
from personalization.lib import clock, redisclient
from personalization.lib.registries import cache_epochs, document_parts

log = structlog.get_logger("customers")

# A document that nobody renews is gone after a week; `warm` renews all at half of it.
TTL_S = 7 * 24 * 3600
VERSION_DIGITS = 16
_COMPLETE_TTL_S = 30
# One processor warms at a time; one that dies in the middle leaves it to another after this. It
# renews the mark, and `complete`, as often as `_TEND_EVERY_S` says.
_WARMING_TTL_S = 60
_TEND_EVERY_S = 1.0
# After an eviction all is written again, but not more often than this: a Redis that is too small
# evicts for ever.
_REWARM_AFTER_S = 600
# Part of the space's name: other code's keys are read by nobody. 2: aliases by digest.
_LAYOUT = "2"
# A mark of `forget` outlives every writer that read before the change.
_FORGOTTEN_TTL_S = 60
# How long a process believes the cache epochs that it has read; a withdrawal past Redis holds
# everywhere after it.
EPOCH_LEASE_S = 1.0
# One script over this many documents blocks Redis for about 3 ms.
_CHUNK = 200
# Rows younger than this are about to be written by whoever changed them.
SWEEP_AGE = timedelta(seconds=1)
_SWEEP_MOST = 5000

_WRITE = """
local ttl, at, prefix = ARGV[1], 3, ARGV[2]
while ARGV[at] do
    local id, version, body, aliases = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
    local key = prefix .. 'd:' .. id
    if redis.call('GETRANGE', key, 0, 15) <= version then
        redis.call('SET', key, version .. body, 'EX', ttl)
        for i = at + 4, at + 3 + aliases do
            redis.call('SET', prefix .. 'a:' .. ARGV[i], id, 'EX', ttl)
        end
    end
    at = at + 4 + aliases
end
return 1
"""
_DIRTY = """
SELECT customer_id, version FROM customers_profile_dirty WHERE at <= %s ORDER BY at LIMIT %s
"""
# Rows that a fold holds are left to it: waiting for them here, in any order, would deadlock.
_CLEAN = """
WITH written AS MATERIALIZED (
    SELECT d.customer_id FROM customers_profile_dirty d
    JOIN unnest(%s::bigint[], %s::bigint[]) AS w (id, version) ON w.id = d.customer_id
    WHERE d.version <= w.version ORDER BY d.customer_id FOR UPDATE OF d SKIP LOCKED
)
DELETE FROM customers_profile_dirty d USING written WHERE d.customer_id = written.customer_id
"""
_HEADS = """
SELECT c.id, c.version, c.assignment_key,
       array_agg(i.kind || ':' || i.value) FILTER (WHERE i.id IS NOT NULL)
FROM customers_customer c
LEFT JOIN customers_identity i ON i.customer_id = c.id AND i.ended_at IS NULL
WHERE c.id = ANY(%s) GROUP BY c.id
"""


class _Space:
    """What this process knows of the numbers that name the space of keys."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.watched = False
        self.look_at = 0.0
        self.truth: str | None = None
        # another object each time that an epoch is raised here
        self.raised = object()


_space = _Space()


def reset() -> None:
    """Forget what this process has learnt. For tests, whose database is another each time."""
    _space.watched, _space.look_at, _space.truth = False, 0.0, None


def watch_epochs() -> None:
    """Read the cache epochs anew. Once it runs each second, reads ask PostgreSQL no more."""
    _space.watched = True
    learn_epochs()


def learn_epochs() -> None:
    """Read cluster and epochs from PostgreSQL.

    While it is away nothing can change and the last ones hold.
    """
    raised = _space.raised
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        cluster = cursor.fetchone()[0]
    name = ":".join(
        [_LAYOUT, cluster, connection.settings_dict["NAME"]]
        + [str(e()) for _, e in cache_epochs.items()]
    )
    _space.truth = hashlib.blake2b(name.encode(), digest_size=5).hexdigest()
    _space.look_at = float("inf") if _space.watched else time.monotonic() + EPOCH_LEASE_S
    if _space.raised is not raised:
        # while these were read
        _space.look_at = 0.0


def look_again() -> None:
    """Have the next read of this process ask for the epochs first: one has just been raised."""
    _space.raised = object()
    _space.look_at = 0.0


def prefix() -> str | None:
    """Return the prefix of keys that may be believed now.

    None while this process cannot know it.
    """
    space = _space
    if time.monotonic() >= space.look_at:
        with space.lock:
            if time.monotonic() >= space.look_at:
                try:
                    learn_epochs()
                except Error:  # PostgreSQL is away: nothing changes there, what is known holds
                    space.look_at = time.monotonic() + EPOCH_LEASE_S
    run = redisclient.run_id()
    if not run:
        redisclient.call(lambda client: client.ping())
        run = redisclient.run_id()
    return f"p13n:{space.truth}{run[:10]}:" if space.truth and run else None


def alias_key(alias: str) -> str:
    """Return what stands for `<kind>:<value>` in the names of keys.

    A user id may be an address; names of keys turn up in logs, dumps and monitors.
    """
    return hashlib.blake2b(alias.encode(), digest_size=16).hexdigest()


def build(customer_ids: Sequence[int]) -> dict[int, tuple[int, list[str], bytes]]:
    """Return {customer: (version, aliases, JSON)}; versions are read before what they stand for."""
    with connection.cursor() as cursor:
        cursor.execute(_HEADS, [list(customer_ids)])
        heads = cursor.fetchall()
    ids = [head[0] for head in heads]
    parts: dict[str, Mapping[int, Any]] = {"profile": _profiles(ids)}
    parts |= {name: part(ids) for name, part in document_parts.items()}
    return {
        customer_id: (
            version,
            aliases or [],
            orjson.dumps(
                {
                    "v": version,
                    "a": assignment_key,
                    "i": aliases or [],
                    "p": {
                        name: held[customer_id]
                        for name, held in parts.items()
                        if customer_id in held
                    },
                }
            ),
        )
        for customer_id, version, assignment_key, aliases in heads
    }


def write_now(customer_ids: Collection[int]) -> bool:
    """Write the customers' documents to Redis; return False when it is away.

    Call it after the commit.

    Their dirty rows are removed when what was written is as new. Idempotent; an older version never
    wins.
    """
    ordered = sorted(set(customer_ids))
    return all(_put(chunk) for chunk in _chunks(ordered))


def put(built: Mapping[int, tuple[int, list[str], bytes]]) -> None:
    """Write built documents by compare-and-set. Raises redisclient.Away."""
    head = prefix()
    if head is None:
        raise redisclient.Away
    arguments: list[Any] = [TTL_S, head]
    for customer_id, (version, aliases, body) in built.items():
        keys = map(alias_key, aliases)
        arguments += [customer_id, f"{version:016d}", body, len(aliases), *keys]

    def send(client: redis.Redis) -> None:
        client.register_script(_WRITE)(args=arguments)

    redisclient.call_bulk(send)
    if prefix() != head:  # Redis restarted meanwhile: this went into a space that nobody reads
        raise redisclient.Away


def offer(built: Mapping[int, tuple[int, list[str], bytes]]) -> None:
    """Fill the cache with what a reader had to build; if Redis is away, do without."""
    try:
        put(built)
    except redisclient.Away:
        return


def forget(customer_ids: Collection[int]) -> bool:
    """Make serving read PostgreSQL for these customers and those they absorbed.

    Return False when Redis is away.

    Call it inside the transaction of the change, after `touch`: the mark carries the new version,
    so that a writer that has read the old state cannot bring it back.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, version FROM customers_customer "
            "WHERE id = ANY(%s) OR merged_into_id = ANY(%s)",
            [list(customer_ids), list(customer_ids)],
        )
        versions = cursor.fetchall()
    try:
        head = prefix()
        if head is None:
            return False

        def send(client: redis.Redis) -> None:
            pipe = client.pipeline(transaction=False)
            for customer_id, version in versions:
                pipe.set(f"{head}d:{customer_id}", f"{version:016d}", ex=_FORGOTTEN_TTL_S)
            pipe.execute()

        redisclient.call(send)
    except redisclient.Away:
        return False
    return prefix() == head


def sweep(*, older_than: timedelta = timedelta(0)) -> int:
    """Write the documents that nobody has written; return how many were found."""
    with connection.cursor() as cursor:
        cursor.execute(_DIRTY, [clock.now() - older_than, _SWEEP_MOST])
        due = [row[0] for row in cursor.fetchall()]
    for chunk in _chunks(due):
        if not _put(chunk):
            break
    return len(due)


def keep() -> None:
    """Sweep, keep the mark `complete` true, and warm when it is time: each second's work."""
    sweep(older_than=SWEEP_AGE)
    try:
        if _keep_complete() and _may_warm():
            warm()
    except redisclient.Away:
        return


def warm() -> bool:
    """Write the documents of all customers and set the mark `complete`.

    Return False when Redis went away. Meanwhile it does what `keep` does, and says that it lives.
    """
    head = prefix()
    if head is None:
        return False
    try:
        before = redisclient.call(_evicted)
        tend_at = time.monotonic() + _TEND_EVERY_S
        for chunk in _all_customers():
            put(build(chunk))
            if time.monotonic() >= tend_at:
                _tend(head)
                tend_at = time.monotonic() + _TEND_EVERY_S
        if prefix() != head:
            return False
        mark = orjson.dumps({"at": clock.now().timestamp(), "evicted": before})
        redisclient.call(lambda client: client.set(f"{head}warmed", mark, ex=TTL_S))
        redisclient.call(lambda client: client.delete(f"{head}warming"))
        _keep_complete()
    except redisclient.Away:
        return False
    log.info("documents.warmed")
    return True


def _may_warm() -> bool:
    """Whether no other processor is warming; if so, it is this one from now on."""
    head = prefix()
    return head is not None and bool(
        redisclient.call(lambda c: c.set(f"{head}warming", 1, nx=True, ex=_WARMING_TTL_S))
    )


def _tend(head: str) -> None:
    """Do in the middle of a warming, which may take minutes, what cannot wait for its end."""
    redisclient.call(lambda client: client.expire(f"{head}warming", _WARMING_TTL_S))
    sweep(older_than=SWEEP_AGE)
    _keep_complete()


def _keep_complete() -> bool:
    """Set or drop `complete`; return whether it is time to write all documents anew.

    It is set while all documents were written and Redis has evicted nothing since; its value is
    what Redis had evicted by then, so that a reader need not wait for this to notice an eviction.
    """
    head = prefix()
    if head is None:
        return False
    text = redisclient.call(lambda client: client.get(f"{head}warmed"))
    if not text:
        return True
    warmed = orjson.loads(text)
    age_s = clock.now().timestamp() - warmed["at"]
    if redisclient.call(_evicted) > warmed["evicted"]:
        if redisclient.call(lambda client: client.delete(f"{head}complete")):
            log.warning("documents.evicted", hint="give the cache Redis more memory")
        return bool(age_s > _REWARM_AFTER_S)
    redisclient.call(
        lambda client: client.set(f"{head}complete", warmed["evicted"], ex=_COMPLETE_TTL_S)
    )
    return bool(age_s > TTL_S / 2)


def _evicted(client: redis.Redis) -> int:
    return int(client.info("stats")["evicted_keys"])


def _all_customers() -> Iterator[list[int]]:
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM customers_customer WHERE id > %s ORDER BY id LIMIT %s",
                [last, _CHUNK],
            )
            ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return
        yield ids
        last = ids[-1]


def _put(customer_ids: Sequence[int]) -> bool:
    built = build(customer_ids)
    try:
        put(built)
    except redisclient.Away:
        return False
    with connection.cursor() as cursor:
        cursor.execute(_CLEAN, [list(built), [version for version, _, _ in built.values()]])
    return True


def _profiles(customer_ids: Sequence[int]) -> dict[int, Any]:
    declared = {trait.key: trait.personal for trait in traits.declared().values()}
    return {
        customer_id: profile.document(state, declared=declared)
        for customer_id, state in profiles.states(customer_ids).items()
    }


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
