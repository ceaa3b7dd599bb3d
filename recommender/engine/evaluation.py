"""How well a ranking finds what people turned to next. Full ranking, no sampled negatives.

References
----------
Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002 (NDCG,
binary). Recall@n = hits / min(n, relevant) would flatter; ours divides by all that was relevant.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Algorithm, Query


@dataclass(frozen=True, slots=True)
class Case:
    """One test user: what was known (query) and what came (`truth`: distinct item rows)."""

    query: Query
    truth: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Means over users; `coverage`: share of items in anybody's list. None without users."""

    users: int
    recall: float | None
    ndcg: float | None
    hit_rate: float | None
    mrr: float | None
    coverage: float | None

    def to_json(self, count: int) -> dict[str, float | int | None]:
        """Return the figures under their usual names (`Recall@20`)."""
        return {
            f"Recall@{count}": self.recall,
            f"NDCG@{count}": self.ndcg,
            f"HR@{count}": self.hit_rate,
            f"MRR@{count}": self.mrr,
            f"coverage@{count}": self.coverage,
            "users": self.users,
        }


def evaluate(
    model: Algorithm, cases: Iterable[Case], *, count: int = 20, own: bool = True
) -> Metrics:
    """Return the metrics of the model's first `count` items for each case.

    Parameters
    ----------
    own
        Whether items of the query may be recommended (and found) again. False measures discovery:
        a case's truth then leaves out the query's items, and cases left empty drop out.
    """
    discounts = 1.0 / np.log2(np.arange(2, count + 2))
    ideal = np.cumsum(discounts)
    sums = np.zeros(4)
    users = 0
    shown = np.zeros(model.n_items, np.bool_)
    for case in cases:
        truth = case.truth if own else np.setdiff1d(case.truth, case.query.rows)
        if not len(truth):
            continue
        users += 1
        rows = model.recommend(case.query, count, own=own).rows
        shown[rows] = True
        hits = np.isin(rows, truth)
        found = int(hits.sum())
        if found:
            gain = float(discounts[: len(rows)][hits].sum() / ideal[min(len(truth), count) - 1])
            sums += (found / len(truth), gain, 1.0, 1.0 / (1 + int(np.argmax(hits))))
    if not users:
        return Metrics(0, None, None, None, None, None)
    recall, ndcg, hit_rate, mrr = (float(value) for value in sums / users)
    coverage = float(shown.mean()) if model.n_items else None
    return Metrics(users, recall, ndcg, hit_rate, mrr, coverage)
