"""The candidates of a shelf as arrays, each once, with the tier and the source that named it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from recommender.columns import Rows
from recommender.engine.base import Query, Scores, isin_few
from recommender.engine.rulemasks import ProductRule
from recommender.engine.strategies import Source
from recommender.live import Live, LiveBlend


@dataclass(frozen=True, slots=True)
class Asked:
    """Who named candidates: the source as told, the model and its query, a title for the words."""

    source: str
    model: Live | None = None
    query: Query | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """Sources asked together. `among`: only these products; `told`: a source's name to show.

    `learned`: the blend of their weights, where that has a re-ranker.
    """

    sources: tuple[Source, ...]
    among: ProductRule | None = None
    told: str = ""
    title: str | None = None
    learned: LiveBlend | None = None


@dataclass(slots=True)
class Pool:
    """Candidates, each once: rows of the catalogue, scores, the tier and who named them.

    `reranked`: tier -> the blend whose re-ranker put it in order.
    """

    rows: Rows = field(default_factory=lambda: np.zeros(0, np.int64))
    scores: Scores = field(default_factory=lambda: np.zeros(0, np.float32))
    tiers: Rows = field(default_factory=lambda: np.zeros(0, np.int64))
    origins: Rows = field(default_factory=lambda: np.zeros(0, np.int64))
    asked: list[Asked] = field(default_factory=list)
    tier: int = 0
    reranked: dict[int, LiveBlend] = field(default_factory=dict)

    def add(
        self, rows: Rows, scores: Scores, origins: Rows, *, reranked: LiveBlend | None = None
    ) -> None:
        """Take in what is not there yet, as a tier of its own."""
        if len(self.rows):
            fresh = ~isin_few(rows, self.rows)
            rows, scores, origins = rows[fresh], scores[fresh], origins[fresh]
        if not len(rows):
            return
        tiers = np.full(len(rows), self.tier, np.int64)
        if len(self.rows):
            rows = np.concatenate([self.rows, rows])
            scores = np.concatenate([self.scores, scores])
            origins = np.concatenate([self.origins, origins])
            tiers = np.concatenate([self.tiers, tiers])
        self.rows, self.scores, self.origins, self.tiers = rows, scores, origins, tiers
        if reranked is not None:
            self.reranked[self.tier] = reranked
        self.tier += 1

    def add_plain(self, source: str, rows: Sequence[int] | Rows) -> None:
        """Take in rows that no model scored, in their order."""
        unique = np.array(list(dict.fromkeys(int(row) for row in rows)), np.int64)
        self.asked.append(Asked(source))
        origins = np.full(len(unique), len(self.asked) - 1, np.int64)
        self.add(unique, np.zeros(len(unique), np.float32), origins)
