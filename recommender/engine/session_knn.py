"""Neighbours among visits or customers: what those who met the same met besides.

Two methods in one form. With `ordered`, VSTAN on visits: the newer an item of the query, the more
its match counts; items of a neighbour count the more, the nearer they stand to the match; rare
items say more. Without, user-based neighbours by cosine on whole histories.

References
----------
Ludewig and Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 2018, section
3.3 (V-SKNN). Garg et al., "Sequence and time aware neighborhood for session-based recommendations",
SIGIR 2019, equations 3 to 6 (STAN). Ludewig et al., "Empirical analysis of session-based
recommendation algorithms", UMUAI 2021, section 3.1 (VSTAN). Herlocker et al., "An algorithmic
framework for performing collaborative filtering", SIGIR 1999 (user neighbours).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine.base import (
    Algorithm,
    Arrays,
    Config,
    Cost,
    Interactions,
    Query,
    Rows,
    Scores,
    SideInfo,
    newest_once,
)
from recommender.engine.gather import check_csr, spans, summed
from recommender.engine.matrix import aged, last_met

# More of a query's items cost time and hardly change who is near.
_ASKED = 50


@dataclass(frozen=True, slots=True)
class SessionKnnConfig(Config):
    """Who is near, and what counts of what they met.

    `neighbours`: how many are asked. `sample`: the newest visits (or customers) of an item that are
    looked at. `ordered`: whether places count; then `query_decay` is the weight of the n-th newest
    item of the query, and `near` the number of places after which an item of a neighbour counts
    1/e of the match. `rare`: power of the inverse frequency of an item. `cap`: items of one visit.
    """

    neighbours: int = 500
    sample: int = 2000
    ordered: bool = True
    query_decay: float = 0.7
    near: float = 3.0
    rare: float = 1.0
    half_life_days: float = 90.0
    cap: int = 200


class _Near(NamedTuple):
    """Neighbours: their rows, how near each is, its place and the query's place of the match."""

    visits: NDArray[np.int64]
    weights: Scores
    places: Rows
    matches: Rows


class SessionKnn(Algorithm):
    """Visits as CSR both ways.

    `indptr` (n_visits + 1,), `indices` and `values` (n_pairs,): items of a visit in their order,
    what each counts; rows of visits oldest first. `starts` (n_items + 1,), `visits`, `shares` and
    `places` (n_kept,): visits of an item, what a match counts, the item's place in the visit.
    """

    key = "session_knn"
    config_type = SessionKnnConfig

    def __init__(self, arrays: Mapping[str, NDArray[Any]], config: SessionKnnConfig) -> None:
        self.config = config
        self._indptr, self._indices = arrays["indptr"], arrays["indices"]
        self._values = arrays["values"]
        self._starts, self._visits = arrays["starts"], arrays["visits"]
        self._shares, self._places = arrays["shares"], arrays["places"]
        self.n_items = len(self._starts) - 1

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model; user rows of `data` are the visits or customers."""
        assert isinstance(config, SessionKnnConfig)  # noqa: S101 -- narrows the type
        visits, items, weights = _pairs(data, config, as_of_s)
        n_visits = int(visits[-1]) + 1 if len(visits) else 0
        lengths = np.bincount(visits, minlength=n_visits)
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = (np.arange(len(visits)) - indptr[visits]).astype(np.int32)
        met = np.bincount(items, minlength=data.n_items)
        rare = (np.log1p(n_visits / np.maximum(met, 1)) ** config.rare).astype(np.float32)
        if config.ordered:
            shares = (rare[items] / np.sqrt(lengths[visits])).astype(np.float32)
            values = rare[items] * weights
        else:
            norms = np.sqrt(np.bincount(visits, (rare[items] * weights) ** 2, minlength=n_visits))
            # what is too old to weigh anything has no share
            norms[norms == 0] = 1.0
            shares = (rare[items] ** 2 * weights / norms[visits]).astype(np.float32)
            values = weights
        order = np.lexsort((-visits, items))
        newest = np.arange(len(order)) - np.concatenate([[0], np.cumsum(met)])[items[order]]
        kept = order[newest < config.sample]
        starts = np.concatenate([[0], np.cumsum(np.minimum(met, config.sample))])
        arrays = {
            "indptr": indptr,
            "indices": items,
            "values": values.astype(np.float32),
            "starts": starts.astype(np.int64),
            "visits": visits[kept].astype(np.int32),
            "shares": shares[kept],
            "places": places[kept],
        }
        return cls(arrays, config)

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of sorting the pairs twice."""
        return Cost(1e-6 * nnz, 120.0 * nnz + 16.0 * n_items)

    def score(self, query: Query) -> Scores:
        """Return what the neighbours met, weighted by how near they are."""
        scores = np.zeros(self.n_items, np.float32)
        near = self._near(query)
        at, lengths = spans(self._indptr, near.visits)
        rows, found = summed(self._indices[at], self._said(near, at, lengths), self.n_items)
        scores[rows] = found
        return scores

    def reasons(self, query: Query, rows: Rows) -> Rows:
        """Return the query's items by which most of those who met each of `rows` were found."""
        asked, _ = self._asked(query)
        near = self._near(query)
        causes = np.full(len(rows), -1, np.int32)
        if not len(near.visits) or not len(rows):
            return causes
        at, lengths = spans(self._indptr, near.visits)
        said = self._said(near, at, lengths)
        order = np.argsort(rows, kind="stable")
        place = np.minimum(np.searchsorted(rows[order], self._indices[at]), len(rows) - 1)
        meant = order[place]
        hit = rows[meant] == self._indices[at]
        shares = np.zeros((len(rows), len(asked)), np.float64)
        np.add.at(shares, (meant[hit], np.repeat(near.matches, lengths)[hit]), said[hit])
        told = shares.max(axis=1) > 0
        causes[told] = asked[shares.argmax(axis=1)[told]]
        return causes

    def to_arrays(self) -> Arrays:
        """Return both directions."""
        return {
            "indptr": self._indptr,
            "indices": self._indices,
            "values": self._values,
            "starts": self._starts,
            "visits": self._visits,
            "shares": self._shares,
            "places": self._places,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: Config) -> Self:
        """Return the stored model, reading the arrays in place."""
        assert isinstance(config, SessionKnnConfig)  # noqa: S101 -- narrows the type
        n_items, n_visits = len(arrays["starts"]) - 1, len(arrays["indptr"]) - 1
        for starts, keys, values, width in (
            ("indptr", "indices", "values", n_items),
            ("starts", "visits", "shares", n_visits),
            ("starts", "visits", "places", n_visits),
        ):
            check_csr(cls.key, arrays[starts], arrays[keys], arrays[values], n_columns=width)
        return cls(arrays, config)

    def _asked(self, query: Query) -> tuple[Rows, Scores]:
        """Return the query's items and weights, the heaviest first."""
        if self.config.ordered:
            rows, weights = newest_once(query, self.config.query_decay)
        else:
            order = np.argsort(-query.weights, kind="stable")
            rows, weights = query.rows[order], query.weights[order]
        return rows[:_ASKED], weights[:_ASKED]

    def _near(self, query: Query) -> _Near:
        """Return the nearest visits."""
        rows, weights = self._asked(query)
        at, lengths = spans(self._starts, rows)
        visits = self._visits[at]
        # sorted, not summed in a vector: that would be as long as all visits, in each thread
        found, whose = np.unique(visits, return_inverse=True)
        shares = self._shares[at] * np.repeat(weights, lengths)
        near: Scores = np.bincount(whose, shares, len(found)).astype(np.float32)
        count = self.config.neighbours
        if len(found) > count:
            # by nearness, then the newer: whatever the order in which they were found
            order = np.lexsort((-found, -near))[:count]
            found, near = found[order], near[order]
        matches = np.repeat(np.arange(len(rows), dtype=np.int32), lengths)
        # of several matches the newest item's counts: the first in the order asked
        order = np.argsort(found)
        place = np.minimum(np.searchsorted(found[order], visits), max(len(found) - 1, 0))
        meant = order[place] if len(found) else place
        hit = np.flatnonzero(found[meant] == visits)[::-1] if len(found) else place
        match = np.zeros(len(found), np.int32)
        places = np.zeros(len(found), np.int32)
        match[meant[hit]] = matches[hit]
        places[meant[hit]] = self._places[at][hit]
        return _Near(found.astype(np.int64), near, places, match)

    def _said(self, near: _Near, at: NDArray[np.int64], lengths: NDArray[np.int64]) -> Scores:
        """Return what each entry `at` of the neighbours' items adds."""
        said = self._values[at] * np.repeat(near.weights, lengths)
        if self.config.ordered and self.config.near > 0:
            place = at - np.repeat(self._indptr[near.visits], lengths)
            away = np.abs(place - np.repeat(near.places, lengths))
            said = said * np.exp(-away / self.config.near)
        return said.astype(np.float32)


def _pairs(
    data: Interactions, config: SessionKnnConfig, as_of_s: float
) -> tuple[NDArray[np.int64], Rows, Scores]:
    """Return (visit, item, weight) in the order of visits, each pair once, where it was last met.

    Visits are numbered by their end, the newest highest; of more than `cap` items the newest stay.
    """
    weights = aged(data, config.half_life_days, as_of_s)
    shape = (data.n_users, data.n_items)
    totals = csr_matrix((weights, (data.users, data.items)), shape=shape)
    totals.sum_duplicates()
    # as the entries of `totals`
    users, items, at_s = last_met(data)
    ends = np.full(data.n_users, -np.inf)
    np.maximum.at(ends, users, at_s)
    rank = np.empty(data.n_users, np.int64)
    rank[np.argsort(ends, kind="stable")] = np.arange(data.n_users)
    rank -= np.count_nonzero(np.isinf(ends))
    visits = rank[users]
    order = np.lexsort((items, -at_s, visits))
    place = np.arange(len(order)) - np.searchsorted(visits[order], visits[order])
    order = order[place < config.cap]
    order = order[np.lexsort((items[order], at_s[order], visits[order]))]
    return visits[order], items[order], totals.data[order]
