"""What an evaluation may take of time and memory, and how it stays within.

Two clocks that are passed in: one of work, which forgives a busy machine, and the wall's, which
forgives nothing. What would take longer is refused by its estimate; what takes longer than it said
is stopped.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from recommender.engine.base import SideInfo

# Part of the wall's limit that the choice leaves to the refit on everything.
_FOR_REFITS = 0.3


class OutOfTimeError(Exception):
    """The time that a step may take is over; whoever started the step goes on without it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an evaluation may take: seconds in all, for the settings of one model, and bytes.

    `search_s`: for a search of the leading models' settings, beside `seconds`. `wall_s`: seconds by
    the wall's clock for everything together, whatever others take of the machine.
    """

    seconds: float = 720.0
    tuning_s: float = 60.0
    bytes: float = 5e9
    search_s: float = 0.0
    wall_s: float = float("inf")


def _unstopped(_seconds: float) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(slots=True)
class Session:
    """The means of one evaluation: data, side information, clocks, limits, and who is told.

    `clock`: seconds of work; `wall`: seconds by the wall, `clock` where nobody says. `stopping`: a
    block that raises OutOfTimeError when so many seconds by the wall are over.
    """

    n_users: int
    n_items: int
    clock: Callable[[], float]
    report: Callable[[str], None]
    side: SideInfo | None = None
    limits: Limits = field(default_factory=Limits)
    wall: Callable[[], float] | None = None
    stopping: Callable[[float], AbstractContextManager[None]] = _unstopped
    began: float = 0.0
    wall_began: float = 0.0

    def __post_init__(self) -> None:
        """Start the clocks."""
        self.wall = self.wall or self.clock
        self.began, self.wall_began = self.clock(), self.wall()

    def left_s(self) -> float:
        """Return what is left of the budget, in seconds of work at the pace so far."""
        whole = self.limits.seconds + self.limits.search_s
        spent, waited = self.clock() - self.began, self._waited_s()
        pace = min(spent / waited, 1.0) if waited > 1 else 1.0
        return min(whole - spent, pace * self.wall_left_s())

    def wall_left_s(self) -> float:
        """Return the seconds that the wall's limit leaves."""
        return self.limits.wall_s - self._waited_s()

    def choosing_left_s(self) -> float:
        """Return the seconds by the wall until the choice must be made: refits need the rest."""
        return (1 - _FOR_REFITS) * self.limits.wall_s - self._waited_s()

    def _waited_s(self) -> float:
        return (self.wall or self.clock)() - self.wall_began
