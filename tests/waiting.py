"""Waiting for what other processes and threads do."""

import time
from collections.abc import Callable

_GAP_S = 0.05


def wait_for(
    what: str,
    holds: Callable[[], object],
    timeout_s: float = 20.0,
    told: Callable[[], str] = str,
) -> float:
    """Wait until `holds()`; return how long that took in seconds.

    `told`: what the others said, for whoever reads that it did not.
    """
    begun = time.monotonic()
    while not holds():
        waited_s = time.monotonic() - begun
        assert waited_s < timeout_s, f"no {what} within {timeout_s:.0f} s\n{told()}"
        time.sleep(_GAP_S)
    return time.monotonic() - begun
