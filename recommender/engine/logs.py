"""Interaction logs as arrays: what the readers of files hand on to the splits."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Interactions, Rows


class Table:
    """Rows given to names in the order of their appearance."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self.rows.setdefault(name, len(self.rows))

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Log:
    """Interactions in the order of time (or of the file), one an entry of parallel arrays.

    `users` and `items` int32 rows of the tables; `weights` float32 > 0; `at_s` float64 seconds, or
    places in the user's line where the file has no times. `timed`: `at_s` is of a clock.
    `ordered`: the order within a user means something. `ratings`: weights are opinions, not counts.
    `left_out` counts the lines that do not count, by reason.
    """

    users: Rows
    items: Rows
    weights: NDArray[np.float32]
    at_s: NDArray[np.float64]
    timed: bool
    ordered: bool
    ratings: bool = False
    left_out: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.users)

    def where(self, mask: NDArray[np.bool_]) -> "Log":
        """Return the entries of `mask` (len(self),)."""
        return Log(
            self.users[mask],
            self.items[mask],
            self.weights[mask],
            self.at_s[mask],
            self.timed,
            self.ordered,
            self.ratings,
            self.left_out,
        )

    def interactions(self, n_users: int, n_items: int) -> Interactions:
        """Return what a model is fitted on."""
        return Interactions(self.users, self.items, self.weights, self.at_s, n_users, n_items)


@dataclass(frozen=True, slots=True)
class Asked:
    """Test questions of a file: what came before (oldest first) and the one item that came next."""

    before: tuple[tuple[int, ...], ...]
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """What the files hold. `test` and `asked`: the test file's content, None where there is none.

    `baskets`: users of `log` are baskets or sessions, so that nobody comes back.
    """

    log: Log
    users: Table
    items: Table
    test: Log | None = None
    asked: Asked | None = None
    baskets: bool = False


# Levels of the widest scale in use (half stars of 5, or 1 to 10), and the most that a rating says.
_LEVELS, _HIGHEST = 20, 10.0


def are_ratings(weights: NDArray[np.float32]) -> bool:
    """Whether weights look like opinions: a few half steps up to 10, most of them above the least.

    Counts pile up at 1; ratings at the upper end.
    """
    levels = np.unique(weights[:100_000])
    if not 2 < len(levels) <= _LEVELS or levels.max() > _HIGHEST:  # noqa: PLR2004 -- yes and no
        return False
    in_halves = bool(np.all(levels * 2 == np.round(levels * 2)))
    return in_halves and float(np.median(weights)) > float(levels[0])


def merged_log(log: Log) -> Log:
    """Return the log with one entry a (user, item, moment); counts add up, ratings do not."""
    if not len(log):
        return log
    moments, moment = np.unique(log.at_s, return_inverse=True)
    pair = log.users.astype(np.int64) * (int(log.items.max()) + 1) + log.items
    if log.timed:
        _, pair = np.unique(pair, return_inverse=True)
        pair = pair * len(moments) + moment
    _, first, place = np.unique(pair, return_index=True, return_inverse=True)
    summed = np.bincount(place, log.weights).astype(np.float32)
    keep = np.sort(first)
    if len(keep) == len(log):
        return log
    weights = log.weights.copy()
    if not log.ratings:
        weights[first] = summed
    kept = np.zeros(len(log), np.bool_)
    kept[keep] = True
    left_out = log.left_out | {"repeated line": len(log) - len(keep)}
    whole = Log(
        log.users,
        log.items,
        weights,
        log.at_s,
        log.timed,
        log.ordered,
        log.ratings,
        left_out,
    )
    return whole.where(kept)


def in_order(log: Log) -> Log:
    """Return the entries by user and time, those of one moment as the file has them."""
    order = np.lexsort((log.at_s, log.users))
    return Log(
        log.users[order],
        log.items[order],
        log.weights[order],
        log.at_s[order],
        log.timed,
        log.ordered,
        log.ratings,
        log.left_out,
    )
