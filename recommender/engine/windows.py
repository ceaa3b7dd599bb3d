"""How the last days differ from those before: what models learned from is not what shops see now.

Population stability index of three spreads, as for learned segments
(`segments.learning.engine.drift`, where the bounds of its verdicts come from).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Interactions
from segments.learning.engine import drift

# Products in groups that had the same interest before, from the most wanted on; one of new ones.
_GROUPS = 10
_HOURS = 8
# Below it a spread over eleven groups differs by chance alone.
LEAST = 500
_HALVES = 2
# Knuth's multiplicative hash: customers in a row may have something in common, as their parity has.
_SCATTER = np.uint32(2_654_435_761)


def moved(data: Interactions, kinds: NDArray[np.int8], cut_s: float) -> list[dict[str, Any]] | None:
    """Return `feature`, `psi` and `verdict` of what spread otherwise after `cut_s` than before it.

    `products`: over groups of them by earlier interest, and new ones, where half of the customers
    are enough; `kinds` of events (len(data), small integers); `hours` of the day (UTC). The largest
    first; None where either side is small.
    """
    late = data.at_s > cut_s
    if min(int(late.sum()), int((~late).sum())) < LEAST:
        return None
    hours = (data.at_s % 86_400 // (86_400 / _HOURS)).astype(np.int64)
    found = {
        "products": _products(data, late),
        "kinds": _psi(kinds.astype(np.int64), late),
        "hours": _psi(hours, late),
    }
    told = [(name, psi) for name, psi in found.items() if psi is not None]
    return [
        {"feature": name, "psi": round(psi, 4), "verdict": drift.verdict(psi)}
        for name, psi in sorted(told, key=lambda pair: -pair[1])
    ]


def _products(data: Interactions, late: NDArray[np.bool_]) -> float | None:
    """Return the index over groups of products; None where half of the customers did too little.

    One half makes the groups, the other is compared, and the other way round. Compared on what they
    were made of, products that few want would look new, by chance alone: 1.6 where nothing moved
    and each was bought seven times.
    """
    half = (data.users.astype(np.uint32) * _SCATTER) >> np.uint32(31)
    found = []
    for at in range(_HALVES):
        asked = half == at
        if min(int((asked & late).sum()), int((asked & ~late).sum())) < LEAST:
            return None
        group = _groups(data.items[~asked & ~late], data.n_items)
        found.append(_psi(group[data.items[asked]], late[asked]))
    return sum(found) / _HALVES


def _groups(items: NDArray[np.int32], n_items: int) -> NDArray[np.int64]:
    """Return the group of each product (n_items,) by how often it is among `items`."""
    wanted = np.bincount(items, minlength=n_items)
    order = np.argsort(-wanted, kind="stable")
    above = np.cumsum(wanted[order]) - wanted[order]
    group = np.empty(n_items, np.int64)
    group[order] = above * _GROUPS // max(int(wanted.sum()), 1)
    group[wanted == 0] = _GROUPS
    return group


def _psi(spread: NDArray[np.int64], late: NDArray[np.bool_]) -> float:
    size = int(spread.max()) + 1
    now, then = (np.bincount(spread[mask], minlength=size) for mask in (late, ~late))
    return float(drift.psi(now / now.sum(), then / then.sum()))
