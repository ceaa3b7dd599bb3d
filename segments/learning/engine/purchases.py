"""What later events say about customers at an earlier time: labels, and purchase histories."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine.features import DAY_US, Events, Floats, Ints


@dataclass(frozen=True, slots=True)
class Histories:
    """Purchase histories of buyers, (n,) each: what BG/NBD and Gamma-Gamma need.

    `repeats` days with an order after the first one; `recency` and `age` days from the first order
    to the last one, and to the end of observation; `mean_minor` mean worth of a repeat day's
    orders, nan without a repeat; `paid_minor` worth of all orders.
    """

    customers: Ints
    repeats: Floats
    recency: Floats
    age: Floats
    mean_minor: Floats
    paid_minor: Floats


def histories(events: Events, *, as_of_us: int) -> Histories:
    """Return the histories of all who ordered at or before `as_of_us`, by ascending id.

    Several orders of one day are one purchase (Fader, Hardie, Lee 2005, section 4: daily data).
    """
    orders = events.until(as_of_us).of("order")
    day = orders.at_us // DAY_US
    pairs, place = np.unique(
        np.column_stack([orders.customer, day]).reshape(-1, 2), axis=0, return_inverse=True
    )
    paid = np.bincount(place.ravel(), np.nan_to_num(orders.value_minor), minlength=len(pairs))
    customers, starts, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    first, last = pairs[starts, 1], pairs[starts + counts - 1, 1]
    if not len(customers):
        nothing = np.zeros(0)
        return Histories(customers, nothing, nothing, nothing, nothing, nothing)
    total = np.add.reduceat(paid, starts)
    repeats = (counts - 1).astype(np.float64)
    mean = np.full(len(customers), np.nan)
    np.divide(total - paid[starts], repeats, out=mean, where=repeats > 0)
    return Histories(
        customers,
        repeats,
        (last - first).astype(np.float64),
        (as_of_us // DAY_US - first).astype(np.float64),
        mean,
        total,
    )


def did(events: Events, customers: Ints, *, after_us: int, until_us: int) -> NDArray[np.bool_]:
    """Return whether each customer has one of `events` in (after_us, until_us]."""
    found: NDArray[np.bool_] = np.isin(
        customers, events.until(until_us, after_us=after_us).customer
    )
    return found


def worth(
    events: Events, customers: Ints, *, after_us: int, until_us: int
) -> tuple[Floats, Floats]:
    """Return (days with an order, worth of orders in minor units) of each customer in the window.

    `customers` ascending and unique.
    """
    later = events.until(until_us, after_us=after_us).of("order")
    later = later.take(np.isin(later.customer, customers))
    row = np.searchsorted(customers, later.customer)
    days = np.unique(np.column_stack([row, later.at_us // DAY_US]).reshape(-1, 2), axis=0)
    return (
        np.bincount(days[:, 0], minlength=len(customers)).astype(np.float64),
        np.bincount(row, np.nan_to_num(later.value_minor), minlength=len(customers)).astype(
            np.float64
        ),
    )
