"""How good lists are: accuracy a case, intervals over users, and what lies beyond accuracy.

Full ranking, no sampled negatives. Undefined is None, never 0.

References
----------
Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002 (NDCG,
binary). Herlocker et al., "Evaluating collaborative filtering recommender systems", TOIS 2004
(coverage). Vargas and Castells, "Rank and relevance in novelty and diversity metrics", RecSys 2011,
sections 3.1 and 3.2 (novelty as self-information, intra-list distance). Recall divides by all that
was relevant; dividing by min(n, relevant) would flatter.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine.cases import Cases
from recommender.engine.lists import Lists

CUTS = (10, 20)
# What models are chosen by, and how long the lists are that are measured.
AIM, COUNT = "NDCG@20", 20
NAMES = tuple(f"{what}@{cut}" for cut in CUTS for what in ("Recall", "NDCG", "HR", "MRR", "MAP"))
# Samples of the bootstrap; the ends of a 95 % interval rest on 12 of them each.
SAMPLES = 500
# Lists that diversity is measured on.
_PAIRED = 1_000

Values = Mapping[str, NDArray[np.float64]]


def each(lists: Lists, cases: Cases) -> dict[str, NDArray[np.float64]]:
    """Return every metric of `NAMES` for each case (n,); a case asked for nothing is nan."""
    n = len(cases)
    counts = np.diff(cases.truth_starts)
    width = max(CUTS)
    rows = np.full((n, width), -1, np.int64)
    rows[:, : min(width, lists.rows.shape[1])] = lists.rows[:, :width]
    key = np.arange(n)[:, None] * cases.n_items + rows
    relevant = np.sort(cases.truth_owners() * cases.n_items + cases.truth)
    hits = (rows >= 0) & np.isin(key, relevant)
    undefined = np.where(counts > 0, 0.0, np.nan)
    found: dict[str, NDArray[np.float64]] = {}
    for cut in CUTS:
        for name, values in _at(hits[:, :cut], counts, cut).items():
            found[f"{name}@{cut}"] = values + undefined
    return found


def _at(
    hits: NDArray[np.bool_], counts: NDArray[np.int64], cut: int
) -> dict[str, NDArray[np.float64]]:
    discounts = 1.0 / np.log2(np.arange(2, cut + 2))
    ideal = np.concatenate([[1.0], np.cumsum(discounts)])
    reachable = np.minimum(counts, cut)
    found = hits.sum(axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, cut + 1)
    first = np.argmax(hits, axis=1) + 1.0
    return {
        "Recall": found / np.maximum(counts, 1),
        "NDCG": (hits @ discounts) / ideal[reachable],
        "HR": (found > 0).astype(np.float64),
        "MRR": np.where(found > 0, 1.0 / first, 0.0),
        "MAP": (precision * hits).sum(axis=1) / np.maximum(reachable, 1),
    }


def means(values: Values, mask: NDArray[np.bool_] | None = None) -> dict[str, float | int | None]:
    """Return the mean of each metric over the cases (of `mask`) that it is defined for."""
    found: dict[str, float | int | None] = {}
    users = 0
    for name, all_values in values.items():
        one = all_values if mask is None else all_values[mask]
        one = one[~np.isnan(one)]
        users = len(one)
        found[name] = round(float(one.mean()), 6) if users else None
    return found | {"users": users}


def intervals(
    values: Values, rng: np.random.Generator, users: NDArray[np.int64], samples: int = SAMPLES
) -> dict[str, tuple[float, float] | None]:
    """Return the 95 % interval of each mean by bootstrap over users (percentiles).

    `users` (n,): whose case each is. One user's cases are alike, so that drawing them apart would
    promise more than is known.
    """
    names = list(values)
    table = np.stack([values[name] for name in names], axis=1) if names else np.zeros((0, 0))
    defined = ~np.isnan(table).any(axis=1)
    if not defined.any():
        return dict.fromkeys(names)
    drawn = resampled(table[defined], users[defined], rng, samples)
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    pairs = zip(names, low.tolist(), high.tolist(), strict=True)
    return {name: (round(a, 6), round(b, 6)) for name, a, b in pairs}


def resampled(
    table: NDArray[np.float64], users: NDArray[np.int64], rng: np.random.Generator, samples: int
) -> NDArray[np.float64]:
    """Return means (samples, m) of `table` (n, m): users (n,) drawn with all their rows.

    As many users as there are, with replacement.
    """
    _, whose, counts = np.unique(users, return_inverse=True, return_counts=True)
    n = len(counts)
    sums = np.zeros((n, table.shape[1]))
    np.add.at(sums, whose, table)
    found = np.empty((samples, table.shape[1]))
    for sample in range(samples):
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        found[sample] = times @ sums / (times @ counts)
    return found


def standard_error(values: NDArray[np.float64], users: NDArray[np.int64]) -> float:
    """Return the standard error of the mean of values (n,), infinite for fewer than two users.

    One user's values (`users` (n,): whose each is) err together: the cluster-robust estimate with
    the factor G / (G - 1) for G users (Cameron & Miller 2015, section II); where each user has one
    value it is the usual s / sqrt(n).
    """
    _, whose = np.unique(users, return_inverse=True)
    sums = np.bincount(whose, values - values.mean()) if len(values) else np.zeros(0)
    groups = len(sums)
    if groups < 2:  # noqa: PLR2004 -- no deviation of one
        return math.inf
    return math.sqrt(groups / (groups - 1) * float(sums @ sums)) / len(values)


def beyond(
    lists: Lists, user_items: csr_matrix, rng: np.random.Generator, cut: int = 20
) -> dict[str, float | None]:
    """Return coverage, Gini, novelty and diversity of the first `cut` of all lists.

    `coverage`: share of the catalogue in anybody's list. `Gini`: 0 all items shown alike, 1 one
    item alone. `novelty`: mean of -log2 of the share of users who met an item (what nobody met
    counts as met by one). `diversity`: mean of 1 - cosine of two items of a list, by who met them,
    over 1,000 lists. `user_items` (n_users, n_items): what is known.
    """
    rows = lists.rows[:, :cut]
    n_items = user_items.shape[1]
    shown = np.bincount(rows[rows >= 0], minlength=n_items)
    if not shown.sum():
        return dict.fromkeys(
            (f"coverage@{cut}", f"Gini@{cut}", f"novelty@{cut}", f"diversity@{cut}")
        )
    met = np.maximum(np.bincount(user_items.indices, minlength=n_items), 1)
    rarity = -np.log2(np.minimum(met / max(user_items.shape[0], 1), 1.0))
    return {
        f"coverage@{cut}": round(float((shown > 0).mean()), 6),
        f"Gini@{cut}": round(gini(shown), 6),
        f"novelty@{cut}": round(float(rarity[rows[rows >= 0]].mean()), 6),
        f"diversity@{cut}": _diversity(rows, user_items, rng),
    }


def gini(counts: NDArray[np.integer]) -> float:
    """Return the Gini index of counts (n,): 0 for all alike, (n - 1) / n where one has all."""
    ordered = np.sort(counts).astype(np.float64)
    n = len(ordered)
    ranks = np.arange(1, n + 1)
    return float(((2 * ranks - n - 1) @ ordered) / (n * ordered.sum()))


def _diversity(
    rows: NDArray[np.int32], user_items: csr_matrix, rng: np.random.Generator
) -> float | None:
    full = np.flatnonzero((rows >= 0).sum(axis=1) > 1)
    if not len(full):
        return None
    some = rng.choice(full, min(_PAIRED, len(full)), replace=False)
    items = csr_matrix(user_items.T)
    items.data = np.ones_like(items.data, np.float32)
    norms = np.sqrt(np.maximum(np.diff(items.indptr), 1))
    total = 0.0
    for place in some.tolist():
        shown = rows[place][rows[place] >= 0]
        part = items[shown]
        # the sum over all pairs of cosines is the squared length of the sum of unit vectors
        whole = (
            np.bincount(
                part.indices, np.repeat(1 / norms[shown], np.diff(part.indptr)), user_items.shape[0]
            )
            if part.nnz
            else np.zeros(1)
        )
        own = float((np.diff(part.indptr) > 0).sum())
        pairs = len(shown) * (len(shown) - 1)
        total += 1.0 - (float(whole @ whole) - own) / pairs
    return round(total / len(some), 6)
