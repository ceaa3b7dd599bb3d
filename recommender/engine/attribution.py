"""Which click a purchase is counted for: the last one on that item before it, within a window."""

from collections.abc import Iterable
from typing import NamedTuple


class Moment(NamedTuple):
    """A click or a purchase: its row, a key that settles ties, and its time in microseconds."""

    row: int
    tie: str
    at_us: int


def attributed(
    clicks: Iterable[Moment], lines: Iterable[Moment], *, window_us: int
) -> dict[int, int | None]:
    """Return row of each purchase -> row of its click, None for none.

    All of one customer and one item. A click counts for what is bought at its moment or less than
    `window_us` after it; of several the last, of equal times the one with the greatest tie. Does
    not depend on order.
    """
    ordered = sorted(clicks, key=lambda one: (one.at_us, one.tie))
    found: dict[int, int | None] = {}
    for line in lines:
        before = [one.row for one in ordered if line.at_us - window_us < one.at_us <= line.at_us]
        found[line.row] = before[-1] if before else None
    return found
