"""When a process looks for news of what it holds in memory: by its watcher, else by readers."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# How stale a process without the background watcher may be (commands, tests).
UNWATCHED_S = 1.0


class Looks:
    """The looks of one process for one thing.

    Whoever reads during the very first look waits for it, rather than be told of nothing: a process
    serves before its watcher has turned once.
    """

    def __init__(self) -> None:
        self._first = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Start anew, as a fresh process would."""
        self.watched = self._ended = False
        self._at = -UNWATCHED_S

    @contextmanager
    def one(self) -> Iterator[None]:
        """Look, in the block: that it ends counts, not how."""
        # stamped first: a database that is away is asked once a second, not once a request
        self._at = time.monotonic()
        try:
            yield
        finally:
            self._ended = True

    def by_reader(self, look: Callable[[], object]) -> None:
        """Have a reader look where nobody else does; `look` uses `one`, its errors are raised.

        Costs one attribute read where the watcher runs; elsewhere once a second.
        """
        if self.watched:
            return
        if not self._ended:
            with self._first:
                if not self._ended:
                    look()
        elif time.monotonic() - self._at >= UNWATCHED_S:
            look()

    def by_watcher(self, look: Callable[[], object]) -> None:
        """Have the watcher look; from the end of its first look on readers rely on it."""
        try:
            # readers of a process that has just started wait for this look, and make none after it
            with self._first:
                look()
        finally:
            self.watched = True
