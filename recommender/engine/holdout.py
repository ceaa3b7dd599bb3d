"""Questions from the last days of a shop's log: what came after a moment, asked of what was before.

By time, never at random: a random split lets a model learn from the future and under-rates what is
new. Each kind of page has questions of its own, so that what wins there wins there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Interactions, Rows
from recommender.engine.cases import Cases, build
from recommender.engine.situations import Situations
from recommender.engine.units import VISIT_GAP_S, as_visits

# Longest test window; shorter data gives up its last fifth.
TEST_DAYS = 7.0
TEST_SHARE = 0.2
# More cases narrow the interval no further that anybody would act on it (standard error of a recall
# below .006).
MAX_CASES = 6_000
# A query longer than this changes no answer, as at decision time.
MOST_RECENT = 50
# Fewer customers than these who came back say little (standard error of a recall near .07):
# visitors of one visit are asked instead where there are more of them.
FEW = 50


@dataclass(frozen=True, slots=True)
class Holdout:
    """What to fit on and what to ask. `own`: items of the history may come again.

    The `users` of `cases` are user rows of what was split, in training the customers'. `rows` (n,):
    the place there of the first that came. `met_in` (len(known), 3): in which situation, None where
    nobody knows any.
    """

    known: Interactions
    cases: Cases
    own: bool
    cut_s: float
    words: str
    rows: NDArray[np.intp]
    met_in: Situations | None = None

    def of_customers(self, users: Rows) -> "Holdout":
        """Return it with the customers of what was split, (n,), in place of its user rows."""
        cases = replace(self.cases, users=users[self.rows].astype(np.int64))
        return replace(self, cases=cases)

    def situated(self, met_in: Situations, at_s: NDArray[np.float64]) -> "Holdout":
        """Return it with the situations of what was split, (n, 3), which happened `at_s` (n,).

        A question is asked in the situation of the first that came: its page knew as much.
        """
        cases = replace(self.cases, situations=met_in[self.rows])
        return replace(self, cases=cases, met_in=met_in[at_s <= self.cut_s])


Span = tuple[NDArray[np.intp], NDArray[np.intp]]


def cut_s(at_s: NDArray[np.float64]) -> float:
    """Return the moment that splits training from test; infinity without a span of time."""
    if not len(at_s) or at_s.max() <= at_s.min():
        return float(np.inf)
    last, first = float(at_s.max()), float(at_s.min())
    return last - min(TEST_DAYS * 86_400, TEST_SHARE * (last - first))


def customers(data: Interactions, cut: float, visit_gap_s: float = VISIT_GAP_S) -> Holdout:
    """Ask each customer seen on both sides of `cut` for all that came, repeats included.

    Where fewer than FEW came back, visitors first seen afterwards are asked instead if they are
    more: the last step of each, of the steps before it.
    """
    found = _holdout(
        data,
        cut,
        data,
        _both_sides,
        own=True,
        words="customers seen before and in the last days: latest items asked for all that came",
    )
    if len(found.cases) < FEW:
        others = visits(data, cut, visit_gap_s)
        if len(others.cases) > len(found.cases):
            return others
    return found


def visits(data: Interactions, cut: float, visit_gap_s: float = VISIT_GAP_S) -> Holdout:
    """Ask each visit that began after `cut` for its last step, of the steps before it."""
    return _holdout(
        data,
        cut,
        as_visits(data, visit_gap_s),
        _last_step,
        own=True,
        words="visits of the last days: the last item asked of the steps before it",
    )


def pages(data: Interactions, cut: float, visit_gap_s: float = VISIT_GAP_S) -> Holdout:
    """Ask the first item of each visit that began after `cut` for the others of that visit."""
    return _holdout(
        data,
        cut,
        as_visits(data, visit_gap_s),
        _first_step,
        own=False,
        words="visits of the last days: the first item asked for the others",
    )


def baskets(data: Interactions, cut: float, _visit_gap_s: float = VISIT_GAP_S) -> Holdout:
    """Ask each basket (a user row, begun after `cut`) for its last item, of the others."""
    return _holdout(
        data,
        cut,
        data,
        _last_other,
        own=False,
        words="baskets of the last days: the last item asked of the others",
    )


HOLDOUTS: dict[str, Callable[[Interactions, float, float], Holdout]] = {
    "home": customers,
    "session": visits,
    "product": pages,
    "cart": baskets,
}


def _holdout(
    data: Interactions,
    cut: float,
    shaped: Interactions,
    ask: "Callable[[Interactions, NDArray[np.intp], float], Span | None]",
    *,
    own: bool,
    words: str,
    seed: int = 42,
) -> Holdout:
    """Return what is known of `data` before the cut, and the questions about rows of `shaped`."""
    order = np.lexsort((shaped.items, shaped.at_s, shaped.users))
    spans = [one for rows in _rows(shaped, order) if (one := ask(shaped, rows, cut)) is not None]
    if len(spans) > MAX_CASES:
        chosen = np.random.default_rng(seed).choice(len(spans), MAX_CASES, replace=False)
        spans = [spans[place] for place in np.sort(chosen)]
    cases = build(
        [
            (shaped.items[rows], shaped.weights[rows], shaped.at_s[rows])
            for rows in (before[-MOST_RECENT:] for before, _ in spans)
        ],
        [np.unique(shaped.items[after]).astype(np.int32) for _, after in spans],
        as_of_s=cut,
        n_items=data.n_items,
        ordered=True,
        timed=bool(np.isfinite(cut)),
    )
    first = np.array([after[0] for _, after in spans], np.intp)
    if not own:
        fresh = ~cases.is_repeat()
        first = first[cases.asked(fresh)]
        cases = cases.with_truth(fresh)
    held = Holdout(data.where(data.at_s <= cut), cases, own, cut, words, first)
    return held.of_customers(data.users)


def _rows(data: Interactions, order: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield the places of each user's interactions, oldest first."""
    bounds = np.flatnonzero(np.diff(data.users[order])) + 1
    yield from (part for part in np.split(order, bounds) if len(part))


def _both_sides(data: Interactions, rows: NDArray[np.intp], cut: float) -> Span | None:
    before = int(np.searchsorted(data.at_s[rows], cut, side="right"))
    return (rows[:before], rows[before:]) if 0 < before < len(rows) else None


def _last_step(data: Interactions, rows: NDArray[np.intp], cut: float) -> Span | None:
    return (rows[:-1], rows[-1:]) if len(rows) > 1 and data.at_s[rows[0]] > cut else None


def _first_step(data: Interactions, rows: NDArray[np.intp], cut: float) -> Span | None:
    return (rows[:1], rows[1:]) if len(rows) > 1 and data.at_s[rows[0]] > cut else None


def _last_other(data: Interactions, rows: NDArray[np.intp], cut: float) -> Span | None:
    late = rows[data.at_s[rows] > cut]
    if not len(late):
        return None
    others = late[data.items[late] != data.items[late[-1]]]
    return (others, late[-1:]) if len(others) else None
