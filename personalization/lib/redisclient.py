"""The process's one way to the cache Redis.

Pooled, short timeouts, and a breaker when Redis is away.

Redis is a cache: whoever calls must have an answer without it. `call` raises `Away` and nothing
else.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger("lib")

T = TypeVar("T")

# Failures in a row that open the breaker, and how long it stays open. One timeout is a hiccup;
# three are an outage that would cost each request REDIS_TIMEOUT_MS.
FAILURES = 3
OPEN_S = 0.5
# Pipelines of thousands of documents, and scripts over them, take longer than one look-up may.
BULK_TIMEOUT_S = 5.0
_POOL_SIZE = 64
# By itself redis-py tries three times more, for seconds: too long for all who can do without.
ONE_TRY = Retry(NoBackoff(), 0)


class Away(Exception):  # noqa: N818 -- a state of the world, not a fault of the caller
    """Redis cannot be reached, or was not a moment ago."""


class Breaker:
    """Counts failures in a row.

    While open, one caller per OPEN_S tries and the others are refused at once.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0

    def allows(self) -> bool:
        """Whether to try. A true answer of an open breaker counts as the one try."""
        if self._failures < FAILURES:
            return True
        with self._lock:
            now = self._monotonic()
            if now < self._retry_at:
                return False
            self._retry_at = now + OPEN_S
            return True

    def succeeded(self) -> None:
        """Close it."""
        if self._failures:
            with self._lock:
                if self._failures >= FAILURES:
                    log.info("redis.returned")
                self._failures = 0

    def failed(self) -> None:
        """Count one failure."""
        with self._lock:
            self._failures += 1
            if self._failures == FAILURES:
                log.warning("redis.away", retry_s=OPEN_S)
            if self._failures >= FAILURES:
                self._retry_at = self._monotonic() + OPEN_S


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script of the request path."""

    source: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)


class _State:
    """What the process shares: clients by timeout, the breaker, and the server's run id."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.clients: dict[tuple[str, float], redis.Redis] = {}
        self.breaker = Breaker()
        self.run_id = ""
        self.own = threading.local()


_state = _State()


def reset() -> None:
    """Forget clients, breaker and run id: after a fork, and in tests that stop Redis."""
    global _state  # noqa: PLW0603 -- one process, one state
    _state = _State()


# A child that used its parent's sockets would read the parent's answers.
os.register_at_fork(after_in_child=reset)


def call(operation: Callable[[redis.Redis], T]) -> T:
    """Return `operation(client)`; raise Away when Redis is away or slower than REDIS_TIMEOUT_MS."""
    timeout_s = settings.REDIS_TIMEOUT_MS / 1000
    return _guarded(lambda state: operation(_client(state, timeout_s)))


def run(script: Script, *arguments: str | bytes | float, keys: int = 0) -> Any:
    """Return what `script` answers; the first `keys` arguments are its keys. Raises like `call`.

    By a connection that this thread keeps: taking one from the pool and giving it back costs more
    than the trip. The script may run twice when the server closed the connection meanwhile.
    """
    return _guarded(lambda state: _evaluated(_own(state), script, keys, arguments))


def call_bulk(operation: Callable[[redis.Redis], T]) -> T:
    """Like `call` for work off the request path: pipelines may take BULK_TIMEOUT_S."""
    return _guarded(lambda state: operation(_client(state, BULK_TIMEOUT_S)))


def run_id() -> str:
    """Id of the running server, new after each of its restarts; "" before the first connection.

    Every new connection asks for it, and a restart ends all connections: a changed id is known here
    before the first answer of the restarted server is used.
    """
    return _state.run_id


def _guarded(operation: Callable[[_State], T]) -> T:
    state = _state
    if not state.breaker.allows():
        raise Away
    try:
        done = operation(state)
    except redis.ResponseError:
        raise
    except (redis.RedisError, OSError) as error:
        state.breaker.failed()
        raise Away from error
    state.breaker.succeeded()
    return done


def _client(state: _State, timeout_s: float) -> redis.Redis:
    key = (settings.CACHE_REDIS_URL, timeout_s)
    client = state.clients.get(key)
    if client is None:
        with state.lock:
            client = state.clients.setdefault(key, _connect(state, *key))
    return client


def _own(state: _State) -> Any:
    """Return the connection of this thread; it connects when first used, and again when lost."""
    key = (settings.CACHE_REDIS_URL, settings.REDIS_TIMEOUT_MS / 1000)
    if getattr(state.own, "key", None) != key:
        pool = _client(state, key[1]).connection_pool
        state.own.connection = pool.connection_class(**pool.connection_kwargs)
        state.own.key = key
    return state.own.connection


def _evaluated(connection: Any, script: Script, keys: int, arguments: tuple[Any, ...]) -> Any:
    kept = connection.is_connected
    try:
        return _asked(connection, script, keys, arguments)
    except redis.ConnectionError:
        # Closed while it lay idle (a restart, CLIENT KILL) tells nothing of the server now.
        if not kept:
            raise
    return _asked(connection, script, keys, arguments)


def _asked(connection: Any, script: Script, keys: int, arguments: tuple[Any, ...]) -> Any:
    connection.send_command("EVALSHA", script.sha, keys, *arguments)
    try:
        return connection.read_response()
    except redis.exceptions.NoScriptError:
        connection.send_command("EVAL", script.source, keys, *arguments)
        return connection.read_response()


def _connect(state: _State, url: str, timeout_s: float) -> redis.Redis:
    def learn_run_id(connection: Any) -> None:
        connection.on_connect()
        connection.send_command("INFO", "server")
        facts = connection.read_response(disable_decoding=False)
        text = facts.decode() if isinstance(facts, bytes) else str(facts)
        state.run_id = text.partition("run_id:")[2].split("\r", 1)[0].strip()

    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=_POOL_SIZE,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=ONE_TRY,
        redis_connect_func=learn_run_id,
    )
    return redis.Redis(connection_pool=pool)
