"""The loop that keeps programs running: one state line for each change, backoff, a clean end."""

import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from personalization.lib.embedded import processes
from personalization.lib.supervisor import child
from personalization.lib.supervisor.plan import Program, delay_s, failures_after

# What PR_SET_PDEATHSIG told to end gets this long before the next start kills it.
_LEFTOVER_GRACE_S = 5.0
_LONGEST_NAP_S = 0.5


class AlreadyRunningError(RuntimeError):
    """Another supervisor runs in this LOCAL_DIR."""


@dataclass(slots=True)
class _Held:
    program: Program
    pid: int = 0
    started_at_s: float = 0.0
    start_at_s: float = 0.0
    failures: int = 0
    exit_code: int | None = None
    done: bool = False


class Supervisor:
    """Runs programs until told to stop. Times are monotonic seconds."""

    def __init__(self, local_dir: Path, say: Callable[[str, str], None]) -> None:
        self._local = local_dir.resolve()
        self._say = say
        self._held: dict[str, _Held] = {}
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)

    @property
    def stopping(self) -> bool:
        """Whether somebody asked for the end (Ctrl-C, SIGTERM)."""
        return self._stopping

    def stop(self) -> None:
        """Ask for a clean end."""
        self._stopping = True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only supervisor of LOCAL_DIR; end what a killed one left behind.

        Raises
        ------
        AlreadyRunningError
            Naming the process id of the other.
        """
        with held(self._local):
            self._end_leftovers()
            self._watch_signals()
            self._write_state()
            try:
                yield
            finally:
                (self._local / "up.json").unlink(missing_ok=True)

    def run(self, programs: Iterable[Program], *, tick: Callable[[], None] = lambda: None) -> None:
        """Start the programs and keep them running until `stop`; then end them all.

        `tick` is called about twice a second, for what waits on the programs.
        """
        for program in programs:
            self._held[program.name] = _Held(program)
        while not self._stopping:
            self._start_due()
            self._nap()
            self._note_ends()
            tick()
        self._end_all()

    def run_one(self, program: Program, *, give_up_on: int | None = None) -> bool:
        """Run a program until it ends well, again with backoff; return whether it did.

        It did not when somebody asked to stop, or when it ended with the exit code `give_up_on`.
        """
        held = self._held[program.name] = _Held(program)
        while (
            not self._stopping
            and not held.done
            and (give_up_on is None or held.exit_code != give_up_on)
        ):
            self._start_due()
            self._nap()
            self._note_ends()
        self._end_all()
        del self._held[program.name]
        return held.done

    def _start_due(self) -> None:
        for held in self._held.values():
            if held.pid or held.done or time.monotonic() < held.start_at_s:
                continue
            held.pid = child.spawn(held.program, str(self._local))
            held.started_at_s = time.monotonic()
            self._say(held.program.name, f"started (process {held.pid})")
            self._write_state()

    def _note_ends(self) -> None:
        ended = dict(child.reap())
        for held in self._held.values():
            if held.pid in ended:
                self._note_end(held, ended[held.pid])
                self._write_state()

    def _note_end(self, held: _Held, status: int) -> None:
        # Workers of a killed web server would go on holding its port.
        child.signal_group(held.pid, signal.SIGKILL)
        held.pid = 0
        held.exit_code = child.exit_code(status)
        if held.program.once and status == 0:
            held.done = True
            self._say(held.program.name, "done")
            return
        if self._stopping:
            self._say(held.program.name, f"stopped ({child.in_words(status)})")
            return
        ran_s = time.monotonic() - held.started_at_s
        held.failures = failures_after(held.failures, ran_s=ran_s)
        wait_s = delay_s(held.failures)
        held.start_at_s = time.monotonic() + wait_s
        self._say(
            held.program.name, f"ended ({child.in_words(status)}), starts again in {wait_s:.1f} s"
        )

    def _end_all(self) -> None:
        """End every program in the reverse order of its start, killing what takes too long."""
        self._stopping = self._stopping or any(held.pid for held in self._held.values())
        running = [held for held in reversed(self._held.values()) if held.pid]
        for held in running:
            with suppress(ProcessLookupError):
                os.kill(held.pid, signal.SIGTERM)
        if running:
            names = ", ".join(held.program.name for held in running)
            longest_s = max(held.program.stop_timeout_s for held in running)
            self._say("up", f"stopping {names}: {longest_s:.0f} s at most")
        begun = time.monotonic()
        due = sorted(running, key=lambda held: held.program.stop_timeout_s)
        while any(held.pid for held in running):
            self._nap()
            self._note_ends()
            while due and time.monotonic() - begun > due[0].program.stop_timeout_s:
                self._kill(due.pop(0))

    def _kill(self, held: _Held) -> None:
        """End at once what did not stop in its time; until it is reaped that is not said again."""
        if held.pid:
            self._say(held.program.name, "does not stop: killed")
            child.signal_group(held.pid, signal.SIGKILL)

    def _end_leftovers(self) -> None:
        mark = f"{child.MARK}={self._local}"
        left = processes.wait_gone(processes.marked(mark), _LEFTOVER_GRACE_S)
        if left:
            self._say("up", f"ending {len(left)} processes that a killed supervisor left")
            processes.send(left, signal.SIGKILL)
            processes.wait_gone(left, _LEFTOVER_GRACE_S)

    def _watch_signals(self) -> None:
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop())

    def _nap(self) -> None:
        """Sleep until a signal, the next start that is due, or half a second."""
        now = time.monotonic()
        waiting = [] if self._stopping else self._held.values()
        due = [held.start_at_s - now for held in waiting if not held.pid and not held.done]
        select.select([self._wake_read], [], [], max(0.0, min([_LONGEST_NAP_S, *due])))
        with suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _write_state(self) -> None:
        """Say in LOCAL_DIR/up.json which process is which, for doctor and for people."""
        state = {"supervisor": os.getpid()}
        state |= {name: held.pid for name, held in self._held.items() if held.pid}
        file = self._local / "up.json"
        made = file.with_suffix(".new")
        made.write_text(json.dumps(state), encoding="utf-8")
        made.replace(file)


@contextmanager
def held(local_dir: Path) -> Iterator[None]:
    """Hold the lock of LOCAL_DIR's supervisor, so that none runs there meanwhile.

    Raises
    ------
    AlreadyRunningError
        Naming the process id of the one that runs, and how it is stopped.
    """
    local_dir.mkdir(parents=True, exist_ok=True)
    # `make clean` takes the same lock where no virtual environment is left
    with (local_dir / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = read_state(local_dir).get("supervisor", "unknown")
            msg = (
                f"`manage.py up` or `make demo` runs in {local_dir} (process {pid}): "
                "stop it first, with Ctrl-C where it was started or by `kill` and that number"
            )
            raise AlreadyRunningError(msg) from None
        yield


def runs_in(local_dir: Path) -> bool:
    """Whether anything lives that a supervisor of LOCAL_DIR started; always no without /proc."""
    return bool(processes.marked(f"{child.MARK}={local_dir.resolve()}"))


def read_state(local_dir: Path) -> dict[str, int]:
    """Return {program: process id} of the running supervisor of LOCAL_DIR, or nothing."""
    try:
        state = json.loads((local_dir / "up.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): int(pid) for name, pid in state.items()}
