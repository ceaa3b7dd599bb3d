"""Fitting in a process of its own: started for a run's tasks, waited for one by one, ended with it.

Threads of OpenMP hang in a forked child once they have run in the parent, and a Celery worker
forks; in `python -m MODULE FOLDER TASK...` nothing was forked, no table is loaded, memory is given
back at the end, and a run is cancelled by ending the process. Linux ends it, too, when the worker
is killed. The folder holds one folder a task, whose `result.json` is written last, all at once.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from personalization.lib.errors import AppError
from personalization.lib.supervisor import child
from personalization.ops import programs

# How often the process is asked after: heartbeat, and the longest that a cancel waits.
_POLL_S = 0.5
_RESULT = "result.json"
_KILLED = (
    "the fitting process was killed (SIGKILL), by somebody or by the system when memory ran out:"
    " give the machine more of it, or lower TRAIN_MODEL_GB"
)
# What their names begin with; beside them lies the lock that whoever makes or looks at them takes.
_FOLDERS = "fit-"
_LOCK = "fits.lock"
Wait = Callable[[str, Callable[[], None]], None]


class FittingError(AppError):
    """The fitting process ended without a result."""

    code = "fitting_failed"


@contextmanager
def started(module: str, folder: Path, names: Sequence[str]) -> Iterator[Wait]:
    """Have a process work on the tasks `names` of a folder; yield `wait(name, beat)`.

    `wait` returns when that task is done and calls `beat` meanwhile; what `beat` raises ends the
    process, as does leaving the block.

    Raises
    ------
    FittingError
        From `wait`: the process ended without this task's result.
    """
    command = [sys.executable, "-m", module, str(folder), *names]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command,
            env={**os.environ, **programs.importable()},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            preexec_fn=child.end_with(os.getpid()),  # noqa: PLW1509 -- two calls of the C library
        )

        def wait(name: str, beat: Callable[[], None]) -> None:
            while not is_done(folder / name):
                try:
                    code = process.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    beat()
                    continue
                if not is_done(folder / name):
                    raise FittingError(_words(folder, code))

        try:
            yield wait
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


@contextmanager
def folder() -> Iterator[Path]:
    """Hold a folder for a fitting process, gone after the block; those of killed ones go first."""
    root = Path(settings.LOCAL_DIR)
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / _LOCK):
        _drop_left(root)
        made = Path(tempfile.mkdtemp(prefix=_FOLDERS, dir=root))
        # ends with this process, however that ends
        held = _hold(made)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if held is not None:
            os.close(held)


def drop_left() -> int:
    """Remove the folders that killed processes left on this node; return how many."""
    root = Path(settings.LOCAL_DIR)
    if not root.is_dir():
        return 0
    with _locked(root / _LOCK):
        return _drop_left(root)


def _drop_left(root: Path) -> int:
    gone = 0
    for path in root.glob(f"{_FOLDERS}*"):
        held = _hold(path)
        if held is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)
            gone += 1
    return gone


def _hold(path: Path) -> int | None:
    """Return a descriptor that holds the lock of a folder; None where another process does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_done(folder: Path) -> bool:
    """Return whether a task's result is there."""
    return (folder / _RESULT).exists()


def _words(folder: Path, code: int) -> str:
    if code == -signal.SIGKILL:
        return _KILLED
    if code < 0:
        return f"the fitting process was ended by {signal.Signals(-code).name}"
    tail = (folder / "stderr").read_text(errors="replace").strip().splitlines()[-1:]
    return f"the fitting process ended with {code}: {''.join(tail) or 'it said nothing'}"
