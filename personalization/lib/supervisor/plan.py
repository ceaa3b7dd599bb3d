"""What is supervised, and how long to wait before starting it again. Pure: no process, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# First try almost at once; never longer than a few seconds, so that service is back soon after
# whatever kept a program down: within 30 s.
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0
# A program that ran this long was well: its next end counts as the first.
_WELL_AFTER_S = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised program. With `once`, a clean end is its end and not a fault."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_timeout_s: float = 15.0
    once: bool = False


def delay_s(failures: int) -> float:
    """Seconds to wait before the next start after `failures` ends in a row; 0 before the first.

    It doubles up to a ceiling and never gives up: what is down may be the database.
    """
    if failures == 0:
        return 0.0
    return min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(failures - 1, 20))


def failures_after(failures: int, *, ran_s: float) -> int:
    """Return how many ends in a row there were, after one more end after `ran_s` seconds."""
    return 1 if ran_s >= _WELL_AFTER_S else failures + 1
