"""Test cases from interactions: what came after a moment, asked of what was known before it.

By time, never at random: a random split lets a model learn from the future and under-rates what is
new (research on the Gowalla split).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Interactions, Query
from recommender.engine.evaluation import Case
from recommender.engine.queries import MAX_RECENT, recency_weights

# Longest test window; shorter data gives up its last fifth.
TEST_DAYS = 7.0
TEST_SHARE = 0.2
# More users narrow the interval no further that anybody would act on it (standard error below
# .004).
MAX_CASES = 20_000


def cut_s(at_s: NDArray[np.float64]) -> float:
    """Return the moment that splits training from test; infinity without a span of time."""
    if not len(at_s) or at_s.max() <= at_s.min():
        return np.inf
    last, first = float(at_s.max()), float(at_s.min())
    return last - min(TEST_DAYS * 86_400, TEST_SHARE * (last - first))


def next_cases(
    data: Interactions, cut: float, *, seed: int = 42, limit: int = MAX_CASES
) -> list[Case]:
    """Return one case a user seen on both sides of `cut`: the latest items before, all items after.

    More than `limit` users are sampled by `seed`.
    """
    order = np.lexsort((data.at_s, data.users))
    users = data.users[order]
    bounds = np.flatnonzero(np.diff(users)) + 1
    spans = list(_spans(bounds, len(order)))
    cases = []
    for start, stop in _sampled(spans, data.at_s[order], cut, seed, limit):
        rows = order[start:stop]
        before = rows[data.at_s[rows] <= cut]
        after = rows[data.at_s[rows] > cut]
        truth = np.unique(data.items[after])
        cases.append(Case(query_of(data, before), truth.astype(np.int32)))
    return cases


def visit_cases(
    data: Interactions, cut: float, *, seed: int = 42, limit: int = MAX_CASES
) -> list[Case]:
    """Return one case a user first seen after `cut`: the last item, asked of all steps before it.

    For visitors who do not come back. As they may turn to an item again, so may the truth be one of
    the query.
    """
    order = np.lexsort((data.at_s, data.users))
    bounds = np.flatnonzero(np.diff(data.users[order])) + 1
    begun = data.at_s[order]
    new = [
        (start, stop)
        for start, stop in _spans(bounds, len(order))
        if begun[start] > cut and stop - start > 1
    ]
    cases = []
    for start, stop in _choice(new, seed, limit):
        rows = order[start:stop]
        last = data.items[rows[-1:]].astype(np.int32)
        cases.append(Case(query_of(data, rows[:-1]), last))
    return cases


def basket_cases(
    data: Interactions, cut: float, *, seed: int = 42, limit: int = MAX_CASES
) -> list[Case]:
    """Return one case a basket (user row) after `cut`: its last item, asked of the others."""
    late = data.at_s > cut
    part = data.where(late)
    order = np.lexsort((part.items, part.at_s, part.users))
    users = part.users[order]
    spans = list(_spans(np.flatnonzero(np.diff(users)) + 1, len(order)))
    cases = []
    for start, stop in _choice(spans, seed, limit):
        rows = order[start:stop]
        last = part.items[rows[-1]]
        before = rows[part.items[rows] != last]
        if len(before):
            cases.append(Case(query_of(part, before), np.array([last], np.int32)))
    return cases


def query_of(data: Interactions, rows: NDArray[np.intp]) -> Query:
    """Return the query of the newest of a user's interactions, `rows` oldest first."""
    newest = rows[::-1][:MAX_RECENT]
    unique, place = np.unique(data.items[newest], return_inverse=True)
    weights = np.bincount(place, recency_weights(data.weights[newest]), minlength=len(unique))
    return Query(unique.astype(np.int32), weights.astype(np.float32))


def _spans(bounds: NDArray[np.intp], length: int) -> Iterator[tuple[int, int]]:
    edges = [0, *bounds.tolist(), length] if length else []
    yield from pairwise(edges)


def _sampled(
    spans: Sequence[tuple[int, int]],
    at_s: NDArray[np.float64],
    cut: float,
    seed: int,
    limit: int,
) -> list[tuple[int, int]]:
    """Return the spans (of sorted times) that lie on both sides of the cut, at most `limit`."""
    both = [(start, stop) for start, stop in spans if at_s[start] <= cut < at_s[stop - 1]]
    return _choice(both, seed, limit)


def _choice(spans: list[tuple[int, int]], seed: int, limit: int) -> list[tuple[int, int]]:
    if len(spans) <= limit:
        return spans
    chosen = np.random.default_rng(seed).choice(len(spans), limit, replace=False)
    return [spans[place] for place in np.sort(chosen)]
