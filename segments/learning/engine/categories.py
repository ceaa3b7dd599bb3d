"""Which category somebody buys from next: classes are the categories that are bought most."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine.arrays import Arrays, need, part, prefixed
from segments.learning.engine.calibration import calibration_error
from segments.learning.engine.classifiers import CLASSIFIERS, Classifier, Sample
from segments.learning.engine.features import DAY_US, Events, Floats, Ints, feature_matrix
from segments.learning.engine.propensity import LOG, TooLittleHistory

MOST_CATEGORIES = 20
HALF_LIFE_DAYS = 30.0
LEAST_ROWS = 100
_LEAST = 1e-6
# Above 1 probabilities are drawn together, below it apart (Guo et al., ICML 2017).
_TEMPERATURES = np.geomspace(0.25, 4.0, 65)


@dataclass(frozen=True, slots=True)
class NextCategory:
    """A classifier over `codes` (k,), category codes as `Events.category` has them.

    `temperature` calibrates what it says; 1 leaves it as it is.
    """

    algorithm: str
    classifier: Classifier
    codes: Ints
    temperature: float

    def probabilities(self, inputs: Floats) -> Floats:
        """Return the probability of each category given that one is bought, (n, k)."""
        return _tempered(self.classifier.probabilities(inputs), self.temperature)

    def to_arrays(self) -> Arrays:
        """Return all fitted state."""
        own = {"codes": self.codes, "temperature": np.array([self.temperature])}
        return {**own, **prefixed("model", self.classifier.to_arrays())}

    @classmethod
    def from_arrays(cls, algorithm: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return that model; ValueError when it does not fit together."""
        classifier = CLASSIFIERS[algorithm].from_arrays(part("model", arrays))
        need(classifier.n_classes == len(arrays["codes"]), "a next category")
        # versions of before have none
        temperature = arrays.get("temperature", np.ones(1))
        return cls(algorithm, classifier, arrays["codes"], float(temperature[0]))


def inputs(
    events: Events, values: Floats, customers: Ints, codes: Ints, *, as_of_us: int
) -> Floats:
    """Return features beside each customer's leaning to each category, (n, d + k).

    A leaning is the share of a category in what the customer met, halved every 30 days.
    `customers` (n,) ascending, `values` (n, d) their features.
    """
    met = events.until(as_of_us).of("view", "add", "line")
    place = np.searchsorted(codes, met.category)
    place[place == len(codes)] = 0
    known = (codes[place] == met.category) & np.isin(met.customer, customers)
    row = np.searchsorted(customers, met.customer[known])
    weight = 0.5 ** ((as_of_us - met.at_us[known]) / (HALF_LIFE_DAYS * DAY_US))
    leaning = np.zeros((len(customers), len(codes)))
    np.add.at(leaning, (row, place[known]), weight)
    total = leaning.sum(axis=1, keepdims=True)
    np.divide(leaning, total, out=leaning, where=total > 0)
    return np.hstack([values, leaning])


def learned(
    events: Events, *, until_us: int, horizon_days: float, rng: np.random.Generator
) -> tuple[NextCategory, dict[str, Any]]:
    """Return (model, metrics) of a log: fitted on one window, tested on the next one.

    Metrics: `algorithms` and two floors, `popularity` (shares of the training window) and `leaning`
    (the favourite of the customer), each with log_loss, ece (over all categories) and hit (share of
    right first guesses). Each half of the tested customers is calibrated by the other half;
    `raw_log_loss` is that before calibration.

    Raises
    ------
    TooLittleHistory
        Too few customers bought in either window, or from a single category.
    """
    horizon = int(horizon_days * DAY_US)
    codes = _codes(events.until(until_us - horizon))
    tested = _labelled(events, codes, as_of_us=until_us - horizon, horizon=horizon)
    trained = _labelled(events, codes, as_of_us=until_us - 2 * horizon, horizon=horizon)
    rows = min(len(tested.target), len(trained.target))
    if rows < LEAST_ROWS or len(codes) < 2:  # noqa: PLR2004 -- a choice
        msg = f"it takes {LEAST_ROWS} buyers in each of two windows; there are {rows}"
        raise TooLittleHistory(msg)
    figures, temperatures = {}, {}
    for name, kind in CLASSIFIERS.items():
        model = kind.fit(trained, n_classes=len(codes), rng=rng)
        held = model.probabilities(tested.values)
        figures[name] = {
            **_quality(_crosswise(held, tested.target), tested.target),
            "raw_log_loss": _quality(held, tested.target)["log_loss"],
        }
        temperatures[name] = _temperature(held, tested.target)
    best = min(figures, key=lambda name: figures[name]["log_loss"])
    shares = np.bincount(trained.target, minlength=len(codes)) / len(trained.target)
    floors = {
        "popularity": np.tile(shares, (len(tested.target), 1)),
        "leaning": _leaning(tested.values[:, -len(codes) :], shares),
    }
    metrics = {
        "algorithms": figures,
        "floors": {name: _quality(held, tested.target) for name, held in floors.items()},
        "best": best,
        "temperature": temperatures[best],
        "rows": len(tested.target),
        "train_rows": len(trained.target),
        "categories": len(codes),
    }
    both = Sample(
        np.concatenate([trained.values, tested.values]),
        np.concatenate([trained.target, tested.target]),
        trained.log,
    )
    served = CLASSIFIERS[best].fit(both, n_classes=len(codes), rng=rng)
    return NextCategory(best, served, codes, temperatures[best]), metrics


def _codes(events: Events) -> Ints:
    """Return the codes bought most, ascending."""
    bought = events.of("line")
    codes, counts = np.unique(bought.category[bought.category != 0], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    return np.sort(codes[most])


def _labelled(events: Events, codes: Ints, *, as_of_us: int, horizon: int) -> Sample:
    """Return customers known as of a moment who then bought, labelled by their first purchase."""
    later = events.until(as_of_us + horizon, after_us=as_of_us).of("line")
    later = later.take(np.isin(later.category, codes))
    order = np.lexsort((later.item, later.at_us, later.customer))
    who, first = np.unique(later.customer[order], return_index=True)
    matrix = feature_matrix(events, as_of_us=as_of_us)
    held = np.isin(who, matrix.customers)
    customers = who[held]
    values = matrix.values[np.searchsorted(matrix.customers, customers)]
    given = inputs(events, values, customers, codes, as_of_us=as_of_us)
    target = np.searchsorted(codes, later.category[order][first[held]])
    return Sample(given, target.astype(np.int64), (*LOG, *([False] * len(codes))))


def _leaning(leaning: Floats, shares: Floats) -> Floats:
    """Return half the customer's leaning, half popularity; the latter alone for none."""
    none = leaning.sum(axis=1, keepdims=True) == 0
    mixed: Floats = np.where(none, shares, 0.5 * leaning + 0.5 * shares)
    return mixed


def _tempered(held: Floats, temperature: float) -> Floats:
    drawn: Floats = np.maximum(held, _LEAST**2) ** (1.0 / temperature)
    drawn /= drawn.sum(axis=1, keepdims=True)
    return drawn


def _temperature(held: Floats, target: Ints) -> float:
    """Return the temperature with the least log loss."""
    losses = [_log_loss(_tempered(held, float(one)), target) for one in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _crosswise(held: Floats, target: Ints) -> Floats:
    """Return probabilities of which each half is calibrated by the other one."""
    found = np.empty_like(held)
    for half in (0, 1):
        other = _temperature(held[1 - half :: 2], target[1 - half :: 2])
        found[half::2] = _tempered(held[half::2], other)
    return found


def _log_loss(held: Floats, target: Ints) -> float:
    right = np.clip(held[np.arange(len(target)), target], _LEAST, 1.0)
    return float(-np.log(right).mean())


def _quality(held: Floats, target: Ints) -> dict[str, float]:
    said = np.arange(held.shape[1]) == target[:, None]
    return {
        "log_loss": _log_loss(held, target),
        "ece": calibration_error(held.ravel(), said.ravel().astype(np.float64)),
        "hit": float((held.argmax(axis=1) == target).mean()),
    }
