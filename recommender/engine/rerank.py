"""A second look at the first candidates: trees over what the sources said and what is known.

Learned once, from validation cases; `trees` has the model, `secondlook` how a visit is asked.
Position and propensity of past exposures are no features yet: public data have none.

References
----------
Covington et al., "Deep neural networks for YouTube recommendations", RecSys 2016, section 2
(candidates first, then ranking with more features).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine.base import Interactions, SideInfo
from recommender.engine.blend import is_gain
from recommender.engine.cases import Cases, chunks, halves
from recommender.engine.gather import check_csr, spans
from recommender.engine.lists import Lists
from recommender.engine.logs import Log
from recommender.engine.measures import AIM, each
from recommender.engine.situations import SITUATIONS, Situations, Tendencies, tendencies
from recommender.engine.trees import Features, Reranker

# Candidates that are looked at again.
DEPTH = 50
# Beyond the sources' own: what each row of features holds, in this order.
KNOWN = (
    "blend",
    "popularity",
    "trend",
    "freshness",
    "times_met",
    "steps_since",
    "history_length",
    "affinity",
    "price_gap",
    "suits_device",
    "suits_hour",
    "suits_country",
)
# Fewer truths than these among the candidates teach nothing that lasts.
LEAST = 200
# The newest share of the interactions that says what rises.
_RECENT = 0.1
_WORTH = 0.01
# Sums of words that are held at once, 32 MB.
_CELLS = 4_000_000


class Facts(NamedTuple):
    """What is known of items, each (n_items,) float32.

    `popularity` log(1 + interactions), `trend` log of the newest tenth's share over that,
    `freshness` place of the first interaction in the order of time, 0 the oldest, 1 the newest.
    `prices` log, nan unknown. `attributes` (n_items, n_words), rows of length 1. `tendencies`: what
    is taken in which situation, None where nobody knows any.
    """

    popularity: Features
    trend: Features
    freshness: Features
    prices: Features
    attributes: csr_matrix | None
    tendencies: Tendencies | None = None

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of it."""
        found: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _PLAIN}
        if self.attributes is not None:
            found |= {name: getattr(self.attributes, name) for name in _SPARSE}
            found["words"] = np.array(self.attributes.shape[1:], np.int64)
        if self.tendencies is not None:
            found |= self.tendencies.to_arrays()
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the stored facts.

        Raises
        ------
        ValueError
            The arrays do not fit together.
        KeyError
            One is missing.
        """
        plain = {name: arrays[name] for name in _PLAIN}
        n_items = len(plain["prices"])
        if {(one.shape, one.dtype.kind) for one in plain.values()} != {((n_items,), "f")}:
            msg = "the arrays of what is known of items do not fit together"
            raise ValueError(msg)
        told = Tendencies.from_arrays(arrays, n_items) if "lifts" in arrays else None
        return cls(**plain, attributes=_words_of(arrays, n_items), tendencies=told)


_PLAIN, _SPARSE = ("popularity", "trend", "freshness", "prices"), ("indptr", "indices", "data")


def _words_of(arrays: Mapping[str, NDArray[Any]], n_items: int) -> csr_matrix | None:
    if "words" not in arrays:
        return None
    indptr, indices, data = (arrays[name] for name in _SPARSE)
    n_words = int(arrays["words"][0])
    check_csr("attribute", indptr, indices, data, n_columns=n_words)
    if len(indptr) != n_items + 1:
        msg = f"attributes are of {len(indptr) - 1} items, not of {n_items}"
        raise ValueError(msg)
    return csr_matrix((data, indices, indptr), (n_items, n_words))


def facts(
    known: Log | Interactions,
    n_items: int,
    side: SideInfo | None,
    met_in: Situations | None = None,
) -> Facts:
    """Return the facts of what is known; `met_in` (len(known), 3): in which situations."""
    counts = np.bincount(known.items, minlength=n_items)
    newest = known.at_s >= np.quantile(known.at_s, 1 - _RECENT) if len(known) else np.zeros(0, bool)
    recent = np.bincount(known.items[newest], minlength=n_items)
    share = (recent + 1) / (_RECENT * counts + 1)
    first = np.full(n_items, np.inf)
    np.minimum.at(first, known.items, known.at_s)
    moments, place = np.unique(first, return_inverse=True)
    freshness = place / max(len(moments) - 1, 1)
    return Facts(
        np.log1p(counts).astype(np.float32),
        np.log(share).astype(np.float32),
        freshness.astype(np.float32),
        _log_prices(side, n_items),
        _attributes(side, n_items),
        None if met_in is None else _tendencies(known, met_in, n_items, side),
    )


def _tendencies(
    known: Log | Interactions, met_in: Situations, n_items: int, side: SideInfo | None
) -> Tendencies:
    categories = side.categories if side is not None else ()
    return tendencies(known.users, known.items, met_in, n_items, categories)


def _log_prices(side: SideInfo | None, n_items: int) -> Features:
    if side is None or side.prices is None:
        return np.full(n_items, np.nan, np.float32)
    return np.log(np.where(side.prices > 0, side.prices, np.nan)).astype(np.float32)


def _attributes(side: SideInfo | None, n_items: int) -> csr_matrix | None:
    if side is None or not len(side.attributes):
        return None
    words: dict[str, int] = {}
    pairs = [
        (row, words.setdefault(word, len(words)))
        for row, given in enumerate(side.attributes)
        for word in given
    ]
    if not pairs:
        return None
    rows, columns = np.array(pairs).T
    matrix = csr_matrix(
        (np.ones(len(pairs), np.float32), (rows, columns)), shape=(n_items, len(words))
    )
    # a word of every second item says little of either
    matrix.data *= np.log(n_items / np.bincount(columns, minlength=len(words)))[matrix.indices]
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data /= np.repeat(np.maximum(lengths, 1e-9), np.diff(matrix.indptr))
    return matrix.astype(np.float32)


def features(
    first: Lists, parts: Sequence[Lists], cases: Cases, about: Facts
) -> tuple[NDArray[np.intp], NDArray[np.intp], Features]:
    """Return (case, place in `first`) of each candidate and its features (n, m + len(KNOWN)).

    `first`: the blend's lists; `parts`: the m sources' lists of the same cases.
    """
    case, place = np.nonzero(first.rows >= 0)
    rows = first.rows[case, place].astype(np.int64)
    key = case * cases.n_items + rows
    columns: list[NDArray[Any]] = [_told(part, key, cases.n_items) for part in parts]
    top = np.maximum(first.scores[:, 0], np.finfo(np.float32).tiny)
    times, since = _met(cases, key)
    columns += [
        first.scores[case, place] / top[case],
        about.popularity[rows],
        about.trend[rows],
        about.freshness[rows],
        times,
        since,
        np.log1p(np.diff(cases.starts))[case],
        _affinity(about.attributes, cases, case, rows),
        _price_gap(about.prices, cases, case, rows),
        *_suits(about.tendencies, cases, case, rows).T,
    ]
    return case, place, np.stack(columns, axis=1).astype(np.float32)


def _suits(
    told: Tendencies | None, cases: Cases, case: NDArray[np.intp], rows: NDArray[np.int64]
) -> Features:
    """Return how each candidate suits its case's device, hour and country, (n, 3); 0 unknown."""
    if told is None or cases.situations is None:
        return np.zeros((len(rows), len(SITUATIONS)), np.float32)
    return told.of(cases.situations, case, rows)


def _told(part: Lists, key: NDArray[np.int64], n_items: int) -> NDArray[np.float64]:
    """Return what a source says of each candidate, by its highest of the case; 0 for nothing."""
    case, place = np.nonzero(part.rows >= 0)
    if not len(case):
        return np.zeros(len(key))
    own = case * n_items + part.rows[case, place].astype(np.int64)
    order = np.argsort(own)
    share = part.shares()[case, place]
    at = np.minimum(np.searchsorted(own[order], key), len(own) - 1)
    return np.where(own[order][at] == key, share[order][at], 0.0)


def _met(cases: Cases, key: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return how often the case met each candidate, and how many steps ago last (-1 never)."""
    own = cases.owners() * cases.n_items + cases.items
    if not len(own):
        return np.zeros(len(key)), np.full(len(key), -1.0)
    unique, newest, counts = np.unique(own, return_index=True, return_counts=True)
    at = np.minimum(np.searchsorted(unique, key), len(unique) - 1)
    met = unique[at] == key
    return np.where(met, counts[at], 0), np.where(met, cases.steps[newest[at]], -1)


def _affinity(
    attributes: csr_matrix | None,
    cases: Cases,
    case: NDArray[np.intp],
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return how much the history's attributes speak for each candidate's."""
    found = np.zeros(len(rows))
    if attributes is None or not len(rows) or not len(cases.items):
        return found
    n_words = attributes.shape[1]
    weights = 0.8**cases.steps * cases.weights
    # a dense row of words for each case of a part, so that nothing is sorted
    for span in chunks(len(cases), max(1, _CELLS // n_words)):
        starts = cases.starts[span.start : span.stop + 1]
        own = slice(starts[0], starts[-1])
        owner, word, said = _words(attributes, cases.items[own])
        cells = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[owner] * n_words + word
        loud = np.bincount(cells, weights[own][owner] * said, minlength=len(starts) * n_words)
        asked = slice(*np.searchsorted(case, (span.start, span.stop)))
        owner, word, said = _words(attributes, rows[asked])
        heard = loud[(case[asked][owner] - span.start) * n_words + word] * said
        found[asked] = np.bincount(owner, heard, minlength=asked.stop - asked.start)
    return found


def _words(
    attributes: csr_matrix, rows: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.float32]]:
    """Return (place of `rows`, word, how loud) of every attribute of these items."""
    at, counts = spans(attributes.indptr, rows)
    return np.repeat(np.arange(len(rows)), counts), attributes.indices[at], attributes.data[at]


def _price_gap(
    prices: Features, cases: Cases, case: NDArray[np.intp], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how far (in log) each candidate's price is from the mean of the history; 0 unknown."""
    paid = prices[cases.items]
    told = ~np.isnan(paid)
    owners = cases.owners()[told]
    counts = np.bincount(owners, minlength=len(cases))
    means = np.bincount(owners, paid[told], minlength=len(cases)) / np.maximum(counts, 1)
    gap = np.abs(prices[rows] - means[case])
    return np.where((counts[case] > 0) & ~np.isnan(gap), gap, 0.0)


def learned(first: Lists, parts: Sequence[Lists], cases: Cases, about: Facts) -> Reranker | None:
    """Return trees learned from the cases; None where they do not beat `first` on unseen ones.

    Each half of the cases is ranked by what the other half taught; the gain in NDCG@20 must be more
    than noise, and a hundredth of what there was: less is not worth a second model.
    """
    users, before = cases.whose(), each(first, cases)[AIM]
    half, gain = halves(users), np.zeros(len(cases))
    for taught in (half, ~half):
        asked = np.flatnonzero(~taught)
        told = [part.take(asked) for part in parts]
        model = taught_by(taught, first, parts, cases, about)
        if model is None:
            return None
        ranked = reordered(model, first.take(asked), told, cases.take(asked), about)
        gain[asked] = each(ranked, cases.take(asked))[AIM] - before[asked]
    if not is_gain(gain, users) or gain.mean() < _WORTH * before.mean():
        return None
    return taught_by(np.ones(len(cases), np.bool_), first, parts, cases, about)


def taught_by(
    mask: NDArray[np.bool_], first: Lists, parts: Sequence[Lists], cases: Cases, about: Facts
) -> Reranker | None:
    """Return trees learned from the cases of `mask` (n,); None where those have too few truths."""
    places = np.flatnonzero(mask)
    first, cases = first.take(places), cases.take(places)
    right = labels(first, cases)
    if right.sum() < LEAST / 2:
        return None
    _, _, rows = features(first, [part.take(places) for part in parts], cases, about)
    return Reranker.fit(rows, right)


def labels(first: Lists, cases: Cases) -> NDArray[np.bool_]:
    """Return for each candidate of `features` whether it is among its case's truths."""
    case, place = np.nonzero(first.rows >= 0)
    key = case * cases.n_items + first.rows[case, place].astype(np.int64)
    return np.isin(key, cases.truth_owners() * cases.n_items + cases.truth)


def reordered(
    model: Reranker, first: Lists, parts: Sequence[Lists], cases: Cases, about: Facts
) -> Lists:
    """Return the lists in the model's order; scores are chances, so that all are above 0."""
    found = Lists(np.full_like(first.rows, -1), np.zeros_like(first.scores))
    for span in chunks(len(cases), 2_000):
        some = cases.take(np.arange(span.start, span.stop))
        head, told = first.take(span), [part.take(span) for part in parts]
        case, place, rows = features(head, told, some, about)
        chances = np.zeros(head.rows.shape)
        chances[case, place] = 1 / (1 + np.exp(-model.score(rows)))
        order = np.argsort(-chances, axis=1, kind="stable")
        found.rows[span] = np.take_along_axis(head.rows, order, 1)
        found.scores[span] = np.take_along_axis(chances, order, 1)
    return found
