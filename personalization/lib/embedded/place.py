"""Makes the place where embedded servers can live: owned directories, reachable programs."""

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from personalization.lib.embedded import paths

# Other users must neither connect (the servers ask for no password) nor read the data.
_PRIVATE = 0o700
_MAX_LOG_BYTES = 20 * 1024 * 1024


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot run; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the servers of one LOCAL_DIR live; `uid` runs them when that is not the caller."""

    data: Path
    sockets: Path
    uid: int | None

    def spawn(self, command: Sequence[str | Path], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own as the servers' user; it outlives the caller."""
        return subprocess.Popen(
            [str(part) for part in command],
            user=self.uid,
            group=self._gid,
            extra_groups=None if self.uid is None else [],
            cwd="/",
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def directory(self, name: str) -> Path:
        """Return the private directory `name` of the servers' user, made if need be."""
        made = self.data / name
        made.mkdir(parents=True, exist_ok=True)
        self.own(made)
        return made

    def log_file(self, name: str) -> Path:
        """Return the log of one server, begun anew when it has grown large."""
        log = self.data / f"{name}.log"
        if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        log.touch()
        if self.uid is not None:
            os.chown(log, self.uid, self._gid or 0)
        return log

    def own(self, path: Path) -> None:
        """Give `path` and what lies in it to the servers' user, closed to others."""
        if self.uid is None:
            path.chmod(_PRIVATE)
            return
        if path.stat().st_uid != self.uid:
            for below in path.rglob("*"):
                os.chown(below, self.uid, self._gid or 0, follow_symlinks=False)
            os.chown(path, self.uid, self._gid or 0)
        path.chmod(_PRIVATE)

    def reachable(self, program: Path, root: Path, parts: Sequence[str]) -> Path:
        """Return `program`, or a copy of it when the servers' user cannot walk down to it.

        `root` / each of `parts` is copied, so that the program finds its libraries beside it.
        """
        if paths.passable(program, self.uid) and paths.passable(program.resolve(), self.uid):
            return program
        copies = self.data / "programs"
        wanted = copies / program.relative_to(root)
        if not _same_file(program, wanted):
            for part in parts:
                shutil.rmtree(copies / part, ignore_errors=True)
                _copy(root / part, copies / part)
            copies.chmod(0o755)
        return wanted

    @property
    def _gid(self) -> int | None:
        return None if self.uid is None else pwd.getpwuid(self.uid).pw_gid


def settle(local_dir: Path) -> Place:
    """Make LOCAL_DIR, the sockets' directory and, where needed, a home outside of it."""
    local_dir.mkdir(parents=True, exist_ok=True)
    uid = paths.runner(local_dir)
    data = paths.data_dir(local_dir)
    if uid is not None and not data.is_dir():
        data.mkdir(parents=True, exist_ok=True)
    if uid is not None and not paths.passable(data, uid):
        data = _home_outside(local_dir)
    if uid is not None:
        data.chmod(stat.S_IMODE(data.stat().st_mode) | 0o011)
    place = Place(data=data, sockets=paths.socket_dir(local_dir), uid=uid)
    place.sockets.mkdir(parents=True, exist_ok=True)
    _refuse_foreign(place)
    place.own(place.sockets)
    return place


@contextmanager
def locked(local_dir: Path, *, timeout_s: float = 600) -> Iterator[None]:
    """Hold the lock under which servers are started and stopped: two processes start one server."""
    local_dir.mkdir(parents=True, exist_ok=True)
    with (local_dir / "servers.lock").open("w") as handle:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    msg = f"another process holds {handle.name} for more than {timeout_s:.0f} s"
                    raise EmbeddedServerError(msg) from None
                time.sleep(0.05)
        yield


def remove(local_dir: Path) -> None:
    """Delete the servers' data for good. They must be stopped."""
    data, sockets = paths.data_dir(local_dir), paths.socket_dir(local_dir)
    shutil.rmtree(sockets, ignore_errors=True)
    for name in ("postgres", "postgres.making", "redis-cache", "redis-broker", "programs"):
        shutil.rmtree(data / name, ignore_errors=True)
    if data != local_dir.resolve():
        shutil.rmtree(data, ignore_errors=True)
        (local_dir / "servers-at").unlink(missing_ok=True)


def _home_outside(local_dir: Path) -> Path:
    """Make a directory the servers' user can reach, and remember it in LOCAL_DIR.

    /var/lib first: temporary directories are swept.
    """
    parent = Path("/var/lib")
    if not os.access(parent, os.W_OK):
        parent = Path(tempfile.gettempdir())
    home = Path(tempfile.mkdtemp(prefix="p13n-", dir=parent))
    home.chmod(0o711)
    (local_dir / "servers-at").write_text(f"{home}\n", encoding="utf-8")
    return home


def _refuse_foreign(place: Place) -> None:
    """Raise when somebody else made the sockets' directory or the data: he could read all."""
    allowed = {os.geteuid()} | ({place.uid} if place.uid is not None else set())
    for path in (place.sockets, place.data / "postgres"):
        if path.exists() and path.stat().st_uid not in allowed:
            owner = path.stat().st_uid
            msg = (
                f"{path} belongs to user id {owner}: run as that user or as root, or set LOCAL_DIR"
            )
            raise EmbeddedServerError(msg)


def _clean_environment() -> dict[str, str]:
    """Return an environment without PG* defaults and the mark by which `up` finds leftovers."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _same_file(program: Path, copy: Path) -> bool:
    if not copy.exists():
        return False
    ours, theirs = program.stat(), copy.stat()
    return (ours.st_size, int(ours.st_mtime)) == (theirs.st_size, int(theirs.st_mtime))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(
            source, target, symlinks=True, ignore=shutil.ignore_patterns("*.a", "include")
        )
    else:
        shutil.copy2(source, target)
