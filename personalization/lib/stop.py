"""Told to stop by a signal: what `threading.Event` cannot be."""

from contextlib import suppress
from queue import Empty, SimpleQueue


class Stop:
    """Set once, by a signal handler or by any thread, and waited for by as many as like.

    A handler runs in the main thread between any two of its steps. `Event.set` then asks for the
    lock that this very thread may hold inside `Event.wait`, and waits for ever.
    """

    __slots__ = ("_is_set", "_told")

    def __init__(self) -> None:
        self._is_set = False
        # its `put` is made for handlers
        self._told: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Tell all who wait, and who will."""
        self._is_set = True
        self._told.put(None)

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is set, so long at most; return whether it is."""
        if not self._is_set:
            with suppress(Empty):
                self._told.get(timeout=timeout_s)
                # for whoever else waits
                self._told.put(None)
        return self._is_set
