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


def moved(data: Interactions, kinds: NDArray[np.int8], cut_s: float) -> list[dict[str, Any]] | None:
    """Return `feature`, `psi` and `verdict` of what spread otherwise after `cut_s` than before it.

    `products`: over groups of them by earlier interest, and new ones; `kinds` of events (len(data),
    small integers); `hours` of the day (UTC). The largest first; None where either side is small.
    """
    late = data.at_s > cut_s
    if min(int(late.sum()), int((~late).sum())) < LEAST:
        return None
    spreads = {
        "products": _groups(data, late),
        "kinds": kinds.astype(np.int64),
        "hours": (data.at_s % 86_400 // (86_400 / _HOURS)).astype(np.int64),
    }
    found = {name: _psi(spread, late) for name, spread in spreads.items()}
    return [
        {"feature": name, "psi": round(psi, 4), "verdict": drift.verdict(psi)}
        for name, psi in sorted(found.items(), key=lambda pair: -pair[1])
    ]


def _groups(data: Interactions, late: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the group of each interaction's product."""
    before = np.bincount(data.items[~late], minlength=data.n_items)
    order = np.argsort(-before, kind="stable")
    above = np.cumsum(before[order]) - before[order]
    group = np.empty(data.n_items, np.int64)
    group[order] = above * _GROUPS // max(int(before.sum()), 1)
    group[before == 0] = _GROUPS
    return group[data.items]


def _psi(spread: NDArray[np.int64], late: NDArray[np.bool_]) -> float:
    size = int(spread.max()) + 1
    now, then = (np.bincount(spread[mask], minlength=size) for mask in (late, ~late))
    return float(drift.psi(now / now.sum(), then / then.sum()))
