"""The shared metric files of one machine: read together, tidied when their process is gone.

A counter must never fall, so what a dead process counted is added to one file before its own goes;
its gauges say nothing any more and go at once. It does not know what the metrics mean.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

# No process has this id: the file that keeps the counts of those who have ended.
_ENDED = "0"


@contextmanager
def read(folder: Path) -> Iterator[CollectorRegistry]:
    """Give a registry of all files; meanwhile none is tidied, so that nothing counts twice."""
    with _lock(folder, fcntl.LOCK_SH):
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]  # untyped in prometheus_client
        yield registry


def tidy(folder: Path) -> int:
    """Keep the counts of processes that have ended, drop their files; return how many went."""
    with _lock(folder, fcntl.LOCK_EX):
        ended = [file for file in folder.glob("*_*.db") if _is_ended(file)]
        for file in ended:
            kind = file.stem.rpartition("_")[0]
            if not kind.startswith("gauge"):
                _add(file, folder / f"{kind}_{_ENDED}.db")
            file.unlink()
        return len(ended)


def _add(file: Path, kept: Path) -> None:
    """Add every value of a file to those kept. A kill between this and `unlink` counts it twice."""
    total = MmapedDict(str(kept))  # type: ignore[no-untyped-call]  # untyped in prometheus_client
    try:
        for key, value, at, _ in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]  # untyped in prometheus_client
            before, _at = total.read_value(key)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
            total.write_value(key, before + value, at)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
    finally:
        total.close()  # type: ignore[no-untyped-call]  # untyped in prometheus_client


def _is_ended(file: Path) -> bool:
    """Whether the process in the file's name, `<kind>_<process id>.db`, is gone."""
    pid = file.stem.rpartition("_")[2]
    if pid == _ENDED or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, and alive
        return False
    return False


@contextmanager
def _lock(folder: Path, how: int) -> Iterator[None]:
    with (folder / "lock").open("a") as held:
        fcntl.flock(held, how)
        yield
