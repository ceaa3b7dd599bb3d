"""The fitting process: started for a run's tasks, waited for one by one, ended with the run."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from segments.learning import fitting
from segments.learning.errors import FittingError

# How often the process is asked after: heartbeat, and the longest that a cancel waits.
_POLL_S = 0.5
Wait = Callable[[str, Callable[[], None]], None]


@contextmanager
def started(folder: Path, names: Sequence[str]) -> Iterator[Wait]:
    """Have a process work on the tasks `names` of a folder; yield `wait(name, beat)`.

    `wait` returns when that task is done and calls `beat` meanwhile; what `beat` raises ends the
    process, as does leaving the block.

    Raises
    ------
    FittingError
        From `wait`: the process ended without this task's result.
    """
    command = [sys.executable, "-m", "segments.learning.fitting", str(folder), *names]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL, stderr=stderr
        )

        def wait(name: str, beat: Callable[[], None]) -> None:
            while not fitting.is_done(folder / name):
                try:
                    code = process.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    beat()
                    continue
                if not fitting.is_done(folder / name):
                    raise FittingError(_words(folder, code))

        try:
            yield wait
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _words(folder: Path, code: int) -> str:
    tail = (folder / "stderr").read_text(errors="replace").strip().splitlines()[-1:]
    return f"the fitting process ended with {code}: {''.join(tail)}"
