"""A second look at the first candidates: trees over what the sources said and what is known.

Gradient boosting by scikit-learn learns it, once, from validation cases; what is kept are plain
arrays, scored here in NumPy, so that no pickle is stored and no scikit-learn is loaded to serve.
Position and propensity of past exposures are no features yet: public data have none.

References
----------
Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 2001,
section 4.5 (logistic loss). Covington et al., "Deep neural networks for YouTube recommendations",
RecSys 2016, section 2 (candidates first, then ranking with more features).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from recommender.engine.base import SideInfo
from recommender.engine.blend import is_gain
from recommender.engine.cases import Cases, chunks, halves
from recommender.engine.lists import Lists
from recommender.engine.logs import Log
from recommender.engine.measures import each

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
)
# Fewer truths than these among the candidates teach nothing that lasts.
LEAST = 200
_TREES, _LEAVES, _RATE, _SMALLEST = 120, 16, 0.08, 80
# The newest share of the interactions that says what rises.
_RECENT = 0.1
_ROWS = 4_096

_AIM, _WORTH = "NDCG@20", 0.01

Features = NDArray[np.float32]


class Facts(NamedTuple):
    """What is known of items, each (n_items,) float32.

    `popularity` log(1 + interactions), `trend` log of the newest tenth's share over that,
    `freshness` place of the first interaction in the order of time, 0 the oldest, 1 the newest.
    `prices` log, nan unknown. `attributes` (n_items, n_words), rows of length 1.
    """

    popularity: Features
    trend: Features
    freshness: Features
    prices: Features
    attributes: csr_matrix | None


def facts(known: Log, n_items: int, side: SideInfo | None) -> Facts:
    """Return the facts of what is known."""
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
    )


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
    ]
    return case, place, np.stack(columns, axis=1).astype(np.float32)


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
) -> NDArray[np.float32]:
    """Return how much the history's attributes speak for each candidate's."""
    found = np.zeros(len(rows), np.float32)
    if attributes is None or not len(rows):
        return found
    weights = (0.8**cases.steps * cases.weights).astype(np.float32)
    histories = csr_matrix((weights, cases.items, cases.starts), shape=(len(cases), cases.n_items))
    profiles = csr_matrix(histories @ attributes)
    for span in chunks(len(rows), 100_000):
        pairs = profiles[case[span]].multiply(attributes[rows[span]])
        found[span] = np.asarray(pairs.sum(axis=1)).ravel()
    return found


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


@dataclass(frozen=True, slots=True)
class Reranker:
    """Trees as arrays: nodes of all trees in a row, `roots` (n_trees,) where each begins.

    `feature` (n,) int32, `threshold` (n,) float64, `left`, `right` (n,) int32 places (own place for
    a leaf), `value` (n,) float64 of a leaf. `base` (1,): what all scores begin with. `depth` (1,).
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float64]
    base: NDArray[np.float64]
    depth: NDArray[np.int32]

    @classmethod
    def fit(cls, rows: Features, labels: NDArray[np.bool_], *, seed: int = 42) -> Self:
        """Return the trees that tell `labels` (n,) from `rows` (n, m)."""
        model = HistGradientBoostingClassifier(
            max_iter=_TREES,
            max_leaf_nodes=_LEAVES,
            learning_rate=_RATE,
            min_samples_leaf=_SMALLEST,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=seed,
        )
        # its threads wait by spinning: on a busy machine two take ten times as long as one
        with threadpool_limits(1):
            model.fit(rows, labels)
        return cls.of(model)

    @classmethod
    def of(cls, model: HistGradientBoostingClassifier) -> Self:
        """Return the trees of a fitted binary classifier; its features must not be nan."""
        # scikit-learn has no public form of them; a test holds both scores side by side
        trees = [one[0].nodes for one in model._predictors]
        starts = np.cumsum([0, *(len(nodes) for nodes in trees)])
        nodes = np.concatenate(trees)
        offset = np.repeat(starts[:-1], np.diff(starts))
        own, leaf = np.arange(len(nodes)), nodes["is_leaf"].astype(bool)
        return cls(
            starts[:-1].astype(np.int32),
            np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
            nodes["num_threshold"].astype(np.float64),
            np.where(leaf, own, nodes["left"] + offset).astype(np.int32),
            np.where(leaf, own, nodes["right"] + offset).astype(np.int32),
            nodes["value"].astype(np.float64),
            np.asarray(model._baseline_prediction, np.float64).reshape(1),
            np.array([nodes["depth"].max()], np.int32),
        )

    def score(self, rows: Features) -> NDArray[np.float64]:
        """Return the log odds (n,) of each row of features (n, m)."""
        found = np.full(len(rows), self.base[0])
        for span in chunks(len(rows), _ROWS):
            part = rows[span]
            at = np.broadcast_to(self.roots, (len(part), len(self.roots)))
            lines = np.arange(len(part))[:, None]
            for _ in range(int(self.depth[0])):
                low = part[lines, self.feature[at]] <= self.threshold[at]
                at = np.where(low, self.left[at], self.right[at])
            found[span] += self.value[at].sum(axis=1)
        return found

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all state."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the stored trees.

        Raises
        ------
        ValueError
            The arrays do not fit together.
        """
        made = cls(**{name: arrays[name] for name in cls.__slots__})
        n = len(made.feature)
        places = (made.roots, made.left, made.right)
        fits = (
            len({len(one) for one in (made.threshold, made.left, made.right, made.value)} | {n})
            == 1
            and len(made.base) == len(made.depth) == 1
            and all(len(one) and one.min() >= 0 and one.max() < n for one in places)
        )
        if not fits:
            msg = "reranker arrays do not fit together"
            raise ValueError(msg)
        return made


def learned(first: Lists, parts: Sequence[Lists], cases: Cases, about: Facts) -> Reranker | None:
    """Return trees learned from the cases; None where they do not beat `first` on unseen ones.

    Each half of the cases is ranked by what the other half taught; the gain in NDCG@20 must be more
    than noise, and a hundredth of what there was: less is not worth a second model.
    """
    case, _, rows = features(first, parts, cases, about)
    right = labels(first, cases)
    half = halves(np.arange(len(cases)))
    if min(right[half[case]].sum(), right[~half[case]].sum()) < LEAST / 2:
        return None
    gains, before = [], each(first, cases)[_AIM]
    for taught in (half, ~half):
        model = Reranker.fit(rows[taught[case]], right[taught[case]])
        asked = np.flatnonzero(~taught)
        told = [part.take(asked) for part in parts]
        ranked = reordered(model, first.take(asked), told, cases.take(asked), about)
        gains.append(each(ranked, cases.take(asked))[_AIM] - before[asked])
    gain = np.concatenate(gains)
    if not is_gain(gain) or gain.mean() < _WORTH * before.mean():
        return None
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
