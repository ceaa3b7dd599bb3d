"""Fitting in a process of its own: started for a run's tasks, waited for one by one, ended with it.

Threads of OpenMP hang in a forked child once they have run in the parent, and a Celery worker
forks; in `python -m MODULE FOLDER TASK...` nothing was forked, no table is loaded, memory is given
back at the end, and a run is cancelled by ending the process. Linux ends it, too, when the worker
is killed. The folder holds one folder a task, whose `result.json` is written last, all at once.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from personalization.lib.errors import AppError
from personalization.lib.supervisor import child

# How often the process is asked after: heartbeat, and the longest that a cancel waits.
_POLL_S = 0.5
_RESULT = "result.json"
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
            cwd=settings.BASE_DIR,
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


def is_done(folder: Path) -> bool:
    """Return whether a task's result is there."""
    return (folder / _RESULT).exists()


def _words(folder: Path, code: int) -> str:
    tail = (folder / "stderr").read_text(errors="replace").strip().splitlines()[-1:]
    return f"the fitting process ended with {code}: {''.join(tail)}"
