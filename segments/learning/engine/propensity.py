"""Will somebody buy, or stay away, within a horizon: snapshots in time, compared side by side.

Customers are looked at as of several moments a horizon apart; what came after each is the label.
The latest window tests, the one before calibrates, earlier ones train; nothing later than its own
moment reaches a feature (docs/algorithms/scores.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine.arrays import Arrays, part, prefixed
from segments.learning.engine.calibration import Calibration, quality, reliability
from segments.learning.engine.catalogue import FEATURES, NAMES
from segments.learning.engine.classifiers import CLASSIFIERS, Classifier, Sample
from segments.learning.engine.drift import Baseline
from segments.learning.engine.features import DAY_US, Events, Floats, Ints, feature_matrix
from segments.learning.engine.purchases import did

LOG = tuple(one.log for one in FEATURES)
TRAIN_WINDOWS = 3
FOLDS = 2
# Windows that a comparison needs: one each to train, to calibrate, to test.
LEAST_WINDOWS = 3
# Of each class, in every window: below it figures are noise.
LEAST_OF_A_CLASS = 30
_REPORTED = ("log_loss", "brier", "ece", "auc")


class TooLittleHistory(ValueError):  # noqa: N818 -- named for what happened, as the project's own
    """The log does not hold enough windows, or enough customers of each class."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is predicted: an event of `kinds` (none: any) within `horizon_days`, or its absence.

    Asked of customers seen within `population_days` before.
    """

    horizon_days: float
    population_days: float
    kinds: tuple[str, ...] = ()
    absence: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Customers as of one moment, (n,) and (n, len(NAMES)); `target` (n,) what came after."""

    customers: Ints
    values: Floats
    target: Ints
    as_of_us: int


@dataclass(frozen=True, slots=True)
class Propensity:
    """A calibrated classifier, and how its features and answers were spread at training."""

    algorithm: str
    classifier: Classifier
    calibration: Calibration
    baseline: Baseline
    answers: Baseline

    def probabilities(self, values: Floats) -> Floats:
        """Return the calibrated probability of the target for features (n, len(NAMES))."""
        return self.calibration.apply(self.classifier.probabilities(values)[:, 1])

    def to_arrays(self) -> Arrays:
        """Return all fitted state; `algorithm` and the calibration's method go into the facts."""
        return {
            **prefixed("model", self.classifier.to_arrays()),
            **prefixed("calibration", self.calibration.to_arrays()),
            **prefixed("baseline", self.baseline.to_arrays()),
            **prefixed("answers", self.answers.to_arrays()),
        }

    @classmethod
    def from_arrays(cls, algorithm: str, method: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `to_arrays` described; ValueError when it does not fit together."""
        return cls(
            algorithm,
            CLASSIFIERS[algorithm].from_arrays(part("model", arrays)),
            Calibration.from_arrays(method, part("calibration", arrays)),
            Baseline.from_arrays(part("baseline", arrays)),
            Baseline.from_arrays(part("answers", arrays)),
        )


def snapshots(events: Events, target: Target, *, until_us: int, most: int) -> list[Snapshot]:
    """Return up to `most` labelled snapshots, the latest first; each window is a horizon long.

    A snapshot needs as much history before it as its horizon is long.
    """
    if not len(events):
        return []
    horizon = int(target.horizon_days * DAY_US)
    first = int(events.at_us.min())
    found = []
    for back in range(1, most + 1):
        as_of = until_us - back * horizon
        if as_of - horizon < first:
            break
        found.append(snapshot(events, target, as_of_us=as_of))
    return found


def snapshot(events: Events, target: Target, *, as_of_us: int) -> Snapshot:
    """Return the customers of the target's population as of a moment, labelled by what followed."""
    matrix = feature_matrix(events, as_of_us=as_of_us)
    recent = events.until(as_of_us, after_us=as_of_us - int(target.population_days * DAY_US))
    inside = np.isin(matrix.customers, recent.customer)
    customers = matrix.customers[inside]
    looked = events.of(*target.kinds) if target.kinds else events
    until = as_of_us + int(target.horizon_days * DAY_US)
    came = did(looked, customers, after_us=as_of_us, until_us=until)
    label = (~came if target.absence else came).astype(np.int64)
    return Snapshot(customers, matrix.values[inside], label, as_of_us)


def compared(
    shots: Sequence[Snapshot], *, rng: np.random.Generator, algorithms: Sequence[str] = ()
) -> dict[str, Any]:
    """Return how each algorithm does, tested on windows that it has not seen: plain JSON.

    `algorithms`: name -> mean figures over folds, calibrated, with `raw` (before calibration) and
    `folds`; `base`: the same figures of the training share as everybody's answer; `best` by log
    loss; `curve`: reliability of the best on the latest fold; `folds`: moments of each.

    Raises
    ------
    TooLittleHistory
        Fewer than LEAST_WINDOWS windows, or a window with too few of a class.
    """
    folds = _folds(shots)
    named = list(algorithms) or list(CLASSIFIERS)
    figures: dict[str, Any] = {}
    curves: dict[str, list[tuple[float, float, int]]] = {}
    for name in named:
        runs = [_run(CLASSIFIERS[name], *fold, rng=rng) for fold in folds]
        figures[name] = {
            **_mean([one[0] for one in runs]),
            "raw": _mean([one[1] for one in runs]),
            "folds": [one[0] for one in runs],
        }
        curves[name] = runs[0][2]
    best = min(named, key=lambda name: figures[name]["log_loss"])
    base = [
        quality(np.full(len(test.target), float(train.target.mean())), test.target)
        for train, _, test in folds
    ]
    return {
        "algorithms": figures,
        "base": _mean(base),
        "best": best,
        "curve": curves[best],
        "folds": [
            {
                "test_from_us": test.as_of_us,
                "test_rows": len(test.target),
                "train_rows": len(train.target),
                "share": float(test.target.mean()),
            }
            for train, _, test in folds
        ],
    }


def fitted(shots: Sequence[Snapshot], algorithm: str, *, rng: np.random.Generator) -> Propensity:
    """Return the model to serve: trained on all windows but the latest, which calibrates it."""
    train = pooled(shots[1 : 1 + TRAIN_WINDOWS])
    classifier = CLASSIFIERS[algorithm].fit(_sample(train), rng=rng)
    latest = shots[0]
    raw = classifier.probabilities(latest.values)[:, 1]
    calibration = Calibration.fit(raw, latest.target)
    answers = calibration.apply(raw)[:, None]
    return Propensity(
        algorithm, classifier, calibration, Baseline.fit(latest.values), Baseline.fit(answers)
    )


def pooled(shots: Sequence[Snapshot]) -> Snapshot:
    """Return the customers of all snapshots as one; somebody may occur as of several moments."""
    return Snapshot(
        np.concatenate([one.customers for one in shots]),
        np.concatenate([one.values for one in shots]),
        np.concatenate([one.target for one in shots]),
        shots[0].as_of_us,
    )


def weights(model: Propensity, most: int = 12) -> list[dict[str, Any]]:
    """Return the features that matter most to a model, with their shares."""
    size = model.classifier.weights()
    order = np.argsort(-size, kind="stable")[:most]
    return [{"feature": NAMES[d], "share": round(float(size[d]), 4)} for d in order if size[d] > 0]


def _folds(shots: Sequence[Snapshot]) -> list[tuple[Snapshot, Snapshot, Snapshot]]:
    """Return (train, calibrate, test) of each fold, the latest first."""
    found = []
    for fold in range(FOLDS):
        window = shots[fold : fold + 2 + TRAIN_WINDOWS]
        if len(window) < LEAST_WINDOWS or not all(_enough(one) for one in window[:3]):
            break
        found.append((pooled(window[2:]), window[1], window[0]))
    if not found:
        counted = [f"{int(one.target.sum())} of {len(one.target)}" for one in shots]
        msg = (
            f"it takes {LEAST_WINDOWS} windows with {LEAST_OF_A_CLASS} customers of each class;"
            f" there are {len(shots)} ({', '.join(counted)})"
        )
        raise TooLittleHistory(msg)
    return found


def _enough(one: Snapshot) -> bool:
    positives = int(one.target.sum())
    return min(positives, len(one.target) - positives) >= LEAST_OF_A_CLASS


def _run(
    kind: type[Classifier],
    train: Snapshot,
    calibrate: Snapshot,
    test: Snapshot,
    *,
    rng: np.random.Generator,
) -> tuple[dict[str, Any], dict[str, float], list[tuple[float, float, int]]]:
    model = kind.fit(_sample(train), rng=rng)
    before = model.probabilities(calibrate.values)[:, 1]
    calibration = Calibration.fit(before, calibrate.target)
    raw = model.probabilities(test.values)[:, 1]
    held = calibration.apply(raw)
    return (
        quality(held, test.target) | {"method": calibration.method},
        quality(raw, test.target),
        reliability(held, test.target),
    )


def _sample(one: Snapshot) -> Sample:
    return Sample(one.values, one.target, LOG)


def _mean(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {name: float(np.mean([run[name] for run in runs])) for name in _REPORTED}
