"""One supervised process with all that it starts: a session of its own, ended as a whole."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from personalization.lib.supervisor.plan import Program

# Every process below a supervisor carries NAME=<LOCAL_DIR>: the next start finds leftovers by it.
MARK = "P13N_SUPERVISED_IN"
_PR_SET_PDEATHSIG = 1


def spawn(program: Program, mark: str) -> int:
    """Start the program and return its process id, which is also that of its process group.

    Linux ends it by SIGTERM when the supervisor dies, even by kill -9. The caller reaps it with
    `os.waitpid`; the Popen object is given up on purpose.
    """
    environment: Mapping[str, str] = {**os.environ, **program.environment, MARK: mark}
    process = subprocess.Popen(
        list(program.command),
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=end_with(os.getpid()),  # noqa: PLW1509 -- the supervisor has one thread
    )
    # Popen would wait for it when collected, and take the status that the supervisor's loop reads.
    process.returncode = 0
    return process.pid


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the program and all that it started in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def reap() -> list[tuple[int, int]]:
    """Return (process id, wait status) of every child that has ended since the last call.

    That includes orphans which came to this process because it is the first of a container.
    """
    ended = []
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended.append((pid, status))
    return ended


def exit_code(status: int) -> int | None:
    """Return the exit code in a wait status; None for a process that was killed."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else None


def in_words(status: int) -> str:
    """Say how a process ended."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.WEXITSTATUS(status)}"


def end_with(parent: int) -> Callable[[], None]:
    """Return what a new process calls to be sent SIGTERM when the thread that made it ends.

    On Linux; elsewhere it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return ask
