"""For whom a model does well: the questions by the shop's groups and by length of history.

A part is told beside what chance makes of it: how far from everybody's figure it would lie with the
same questions dealt out at random. What comes back holds labels and counts, nobody's id.

References
----------
Cochran, "Sampling Techniques", 3rd ed. 1977, theorem 2.2 (mean of a sample, nothing drawn twice).
Westfall and Young, "Resampling-Based Multiple Testing", 1993, chapter 2 (the largest of all parts,
by permutation: most questions find nothing, which no normal curve describes). Kish, "Survey
Sampling", 1965 (questions of one customer stand for fewer).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.cases import Cases
from recommender.engine.measures import AIM, COUNT, SAMPLES, Values, means

FIGURES = (f"Recall@{COUNT}", AIM)
# Parts of fewer customers tell chance, and come near to telling of somebody.
LEAST = 30
# Groups that are told, those of most questions first: what a page can show.
MOST = 20
# Share of nights on which chance alone makes no part look unlike everybody.
_SURE = 0.95
_SEED = 42

Parts = Mapping[str, NDArray[np.bool_]]


def bands(cases: Cases) -> dict[str, NDArray[np.bool_]]:
    """Return the cases by length of their history, and the lightest and heaviest fifth."""
    lengths = np.diff(cases.starts)
    edges = ((1, 4), (5, 9), (10, 19), (20, 49), (50, None))
    found = {"history 0": lengths == 0}
    for low, high in edges:
        name = f"history {low}-{high}" if high else f"history {low}+"
        found[name] = (lengths >= low) & (lengths <= (high or np.inf))
    light, heavy = np.quantile(lengths, (0.2, 0.8)) if len(lengths) else (0, 0)
    found |= {"light fifth": lengths <= light, "heavy fifth": lengths >= heavy}
    return {name: mask for name, mask in found.items() if mask.any()}


def groups(of_users: Sequence[Sequence[str]], users: NDArray[np.integer[Any]]) -> Parts:
    """Return the cases of each group; `of_users` by user row, `users` (n,) the row of each case."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, user in enumerate(users.tolist() if len(of_users) else []):
        for label in of_users[user]:
            places[label].append(place)
    found = {}
    for label in sorted(places):
        found[label] = np.zeros(len(users), np.bool_)
        found[label][places[label]] = True
    return found


def told(
    values: Values, by_group: Parts, by_band: Parts, users: NDArray[np.integer[Any]]
) -> dict[str, Any] | None:
    """Return the figures of parts, `users` (n,) saying whose the cases are.

    None without any, or where nothing was asked.

    `groups`, most questions first, and `bands`: rows of `part`, `customers`, `users` (questions),
    the FIGURES, `difference` of NDCG@20 to everybody's, and `chance`: were all parts alike, one
    night in twenty would have a row whose difference is larger. A part of all questions says
    nothing and is left out. `few`: groups of fewer than LEAST customers; `further`: beyond MOST.
    """
    asked = ~np.isnan(values[AIM])
    if not asked.any():
        return None
    some, few = _large(by_group, asked, users)
    largest = sorted(some, key=lambda name: (-int(some[name].sum()), name))[:MOST]
    lengths, _ = _large(by_band, asked, users)
    parts = [(name, some[name]) for name in largest] + list(lengths.items())
    if not parts and not few:
        return None
    aim = values[AIM][asked]
    masks = np.array([mask[asked] for _, mask in parts]).reshape(len(parts), len(aim))
    rows = [
        {
            "part": name,
            "customers": int(np.unique(users[mask]).size),
            **means({figure: values[figure] for figure in FIGURES}, mask),
            "difference": round(float(values[AIM][mask].mean() - aim.mean()), 6),
            "chance": round(float(chance), 6),
        }
        for (name, mask), chance in zip(parts, _chance(aim, masks, users[asked]), strict=True)
    ]
    return {
        "groups": rows[: len(largest)],
        "bands": rows[len(largest) :],
        "few": few,
        "further": len(some) - len(largest),
    }


def _large(
    parts: Parts, asked: NDArray[np.bool_], users: NDArray[np.integer[Any]]
) -> tuple[dict[str, NDArray[np.bool_]], int]:
    """Return the parts of enough customers and not of everything, and how many are of too few."""
    found, few = {}, 0
    for name, mask in parts.items():
        one = mask & asked
        if np.unique(users[one]).size < LEAST:
            few += 1
        elif one.sum() < asked.sum():
            found[name] = one
    return found, few


def _chance(
    values: NDArray[np.float64], masks: NDArray[np.bool_], users: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Return how far from the mean of `values` (n,) that of each of `masks` (m, n) may lie.

    The values are dealt out anew SAMPLES times; of each time the part that lies farthest counts, in
    standard errors. Questions of one customer are worth as few as if they all said the same.
    """
    sizes = masks.sum(axis=1)
    errors: NDArray[np.float64] = values.std(ddof=1) * np.sqrt(1 / sizes - 1 / len(values))
    if not errors.any():
        return errors
    rng, weights = np.random.default_rng(_SEED), masks / sizes[:, None]
    centred = values - values.mean()
    farthest = [np.abs(weights @ rng.permutation(centred) / errors).max() for _ in range(SAMPLES)]
    counts = [np.unique(users[mask], return_counts=True)[1] for mask in masks]
    crowding = np.array([np.sqrt((one**2).sum() / one.sum()) for one in counts])
    found: NDArray[np.float64] = np.quantile(farthest, _SURE) * errors * crowding
    return found
