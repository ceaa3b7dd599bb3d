"""Classifiers under one contract: fit on features with gaps, answer from arrays alone.

Logistic regression, random forest, gradient boosting. They are compared side by side
(`validation.py`); docs/algorithms/scores.md.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from segments.learning.engine.arrays import Arrays, need, part, prefixed
from segments.learning.engine.features import Floats, Ints
from segments.learning.engine.lazy import ensemble, linear_model
from segments.learning.engine.preparation import Preparation
from segments.learning.engine.trees import Trees, of_boosting, of_forest

# Log-score of a class that does not occur: far below any that does.
_NEVER = -30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What a classifier learns from: `values` (n, d) with nan, `target` (n,) int64 classes 0..k-1,
    `log` (d,) which columns are skewed.
    """  # noqa: D205 -- one sentence

    values: Floats
    target: Ints
    log: Sequence[bool]

    def take(self, rows: NDArray[Any]) -> "Sample":
        """Return the sample of a mask or of places."""
        return Sample(self.values[rows], self.target[rows], self.log)


class Classifier(ABC):
    """A fitted classifier of k classes. Nothing changes one afterwards."""

    key: ClassVar[str]
    title: ClassVar[str]
    n_classes: int

    @classmethod
    @abstractmethod
    def fit(cls, sample: Sample, *, n_classes: int = 2, rng: np.random.Generator) -> Self:
        """Return a model of `sample`, deterministic for equal input and rng.

        A class that does not occur gets a probability of (about) 0.
        """

    @abstractmethod
    def probabilities(self, values: Floats) -> Floats:
        """Return the probability of each class, (n, n_classes); rows sum to 1."""

    @abstractmethod
    def to_arrays(self) -> Arrays:
        """Return all fitted state."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `to_arrays` described; ValueError when it does not fit together."""

    @abstractmethod
    def weights(self) -> Floats:
        """Return how much each feature matters, (d,), summing to 1 (0 where none does)."""


class Logistic(Classifier):
    """Logistic regression on imputed, logged, scaled features and flags of what was missing.

    `coefficients` (k, 2 d) and `intercepts` (k,), of log-probabilities up to a constant.
    """

    key = "logistic"
    title = "logistic regression"

    def __init__(self, preparation: Preparation, coefficients: Floats, intercepts: Floats) -> None:
        self.preparation = preparation
        self.coefficients, self.intercepts = coefficients, intercepts
        self.n_classes = len(intercepts)

    @classmethod
    def fit(cls, sample: Sample, *, n_classes: int = 2, rng: np.random.Generator) -> Self:
        """Fit by L-BFGS with an L2 penalty of 1."""
        preparation = Preparation.fit(sample.values, sample.log)
        inputs = _inputs(preparation, sample.values)
        coefficients = np.zeros((n_classes, inputs.shape[1]))
        intercepts = np.full(n_classes, _NEVER)
        classes = np.unique(sample.target)
        if len(classes) == 1:
            intercepts[classes] = 0.0
            return cls(preparation, coefficients, intercepts)
        seed = int(rng.integers(2**31))
        made = linear_model.LogisticRegression(max_iter=2_000, random_state=seed).fit(
            inputs, sample.target
        )
        if len(classes) == 2:  # noqa: PLR2004 -- scikit-learn keeps one row for two classes
            coefficients[classes[1]], intercepts[classes[1]] = made.coef_[0], made.intercept_[0]
            intercepts[classes[0]] = 0.0
        else:
            coefficients[classes], intercepts[classes] = made.coef_, made.intercept_
        return cls(preparation, coefficients, intercepts)

    def probabilities(self, values: Floats) -> Floats:
        """Return the softmax of the linear scores."""
        return softmax(_inputs(self.preparation, values) @ self.coefficients.T + self.intercepts)

    def weights(self) -> Floats:
        """Return shares of the absolute coefficients, flags added to their feature."""
        size = np.abs(self.coefficients).sum(axis=0)
        return _shares(size[: len(size) // 2] + size[len(size) // 2 :])

    def to_arrays(self) -> Arrays:
        """Return the preparation and the linear part."""
        linear = {"coefficients": self.coefficients, "intercepts": self.intercepts}
        return {**linear, **prefixed("prep", self.preparation.to_arrays())}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return that model."""
        preparation = Preparation.from_arrays(part("prep", arrays))
        coefficients, intercepts = arrays["coefficients"], arrays["intercepts"]
        fits = coefficients.shape == (len(intercepts), 2 * len(preparation.log))
        need(fits, "a logistic regression")
        return cls(preparation, coefficients, intercepts)


class Forest(Classifier):
    """Random forest (Breiman 2001); the mean of 200 trees' class shares.

    `importance` (d,) by impurity.
    """

    key = "forest"
    title = "random forest"

    def __init__(self, trees: Trees, importance: Floats) -> None:
        self.trees, self.importance = trees, importance
        self.n_classes = trees.value.shape[1]

    @classmethod
    def fit(cls, sample: Sample, *, n_classes: int = 2, rng: np.random.Generator) -> Self:
        """Fit trees with leaves of at least ten customers, so that shares mean something."""
        made = ensemble.RandomForestClassifier(
            200, min_samples_leaf=10, n_jobs=1, random_state=int(rng.integers(2**31))
        ).fit(sample.values, sample.target)
        trees = of_forest(made)
        value = np.zeros((len(trees.value), n_classes))
        value[:, made.classes_] = trees.value
        arrays = trees.to_arrays() | {"value": value}
        return cls(Trees.from_arrays(arrays), made.feature_importances_)

    def probabilities(self, values: Floats) -> Floats:
        """Return the mean of the trees."""
        return self.trees.total(values)

    def weights(self) -> Floats:
        """Return impurity importances."""
        return _shares(self.importance)

    def to_arrays(self) -> Arrays:
        """Return all trees."""
        return {"importance": self.importance, **prefixed("tree", self.trees.to_arrays())}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return that forest."""
        return cls(Trees.from_arrays(part("tree", arrays)), arrays["importance"])


class Boosting(Classifier):
    """Gradient boosting over histograms (Friedman 2001; LightGBM's algorithm).

    Of two classes leaves hold the log-odds of the second, of more the log-score of each.
    `importance` (d,) how often trees split by a feature.
    """

    key = "boosting"
    title = "gradient boosting"

    def __init__(self, trees: Trees, importance: Floats) -> None:
        self.trees, self.importance = trees, importance
        self.n_classes = max(trees.value.shape[1], 2)

    @classmethod
    def fit(cls, sample: Sample, *, n_classes: int = 2, rng: np.random.Generator) -> Self:
        """Fit with early stopping on a tenth of the sample, where that is enough to judge by."""
        d = sample.values.shape[1]
        classes, counts = np.unique(sample.target, return_counts=True)
        if len(classes) < 2:  # noqa: PLR2004 -- nothing to tell apart
            return cls(_constant(int(classes[0]), n_classes), np.zeros(d))
        # a tenth has somebody of each class
        judged = len(sample.target) >= 1_000 and counts.min() >= 2  # noqa: PLR2004
        # its threads spin while they wait for each other on a machine that others use, too
        with threadpool_limits(1):
            made = ensemble.HistGradientBoostingClassifier(
                learning_rate=0.05,
                # a round of more than two classes is a tree for each
                max_iter=300 if len(classes) == 2 else 100,  # noqa: PLR2004
                max_leaf_nodes=15,
                min_samples_leaf=20,
                l2_regularization=1.0,
                early_stopping=judged,
                random_state=int(rng.integers(2**31)),
            ).fit(_without_gaps(sample.values), sample.target)
        trees = of_boosting(made)
        inner = trees.feature[trees.feature >= 0]
        importance = np.bincount(inner, minlength=d).astype(np.float64)
        return cls(trees if n_classes == 2 else _spread(trees, classes, n_classes), importance)  # noqa: PLR2004

    def probabilities(self, values: Floats) -> Floats:
        """Return the softmax of the trees' sums."""
        raw = self.trees.total(values)
        return softmax(raw if raw.shape[1] > 1 else np.hstack([np.zeros_like(raw), raw]))

    def weights(self) -> Floats:
        """Return shares of all splits."""
        return _shares(self.importance)

    def to_arrays(self) -> Arrays:
        """Return all trees."""
        return {"importance": self.importance, **prefixed("tree", self.trees.to_arrays())}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return that model."""
        trees = Trees.from_arrays(part("tree", arrays))
        need(trees.value.shape[1] > 0, "a gradient boosting")
        return cls(trees, arrays["importance"])


CLASSIFIERS: dict[str, type[Classifier]] = {one.key: one for one in (Logistic, Forest, Boosting)}


def softmax(scores: Floats) -> Floats:
    """Return probabilities (n, k) of log-scores (n, k)."""
    found: Floats = np.exp(scores - scores.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    return found


def _inputs(preparation: Preparation, values: Floats) -> Floats:
    """Return scaled features beside flags of what was missing, (n, 2 d)."""
    return np.hstack([preparation.scaled(values), np.isnan(values).astype(np.float64)])


def _without_gaps(values: Floats) -> Floats:
    """Return values with columns that nobody has a value of at 0: scikit-learn cannot bin them.

    Nothing splits by a constant, so answers do not depend on them.
    """
    nobody = np.isnan(values).all(axis=0)
    return np.where(nobody, 0.0, values) if nobody.any() else values


def _shares(sizes: Floats) -> Floats:
    total = sizes.sum()
    return sizes / total if total else sizes


def _constant(only: int, n_classes: int) -> Trees:
    """Return a tree of one leaf that answers (about) one class."""
    if n_classes == 2:  # noqa: PLR2004 -- the log-odds of the second
        value = np.array([[-_NEVER if only else _NEVER]])
    else:
        value = np.where(np.arange(n_classes) == only, 0.0, _NEVER)[None, :]
    zero = np.zeros(1, np.int32)
    unknown = np.zeros(1, np.bool_)
    return Trees(zero, zero - 1, np.zeros(1), zero, zero, unknown, value, np.array(False))  # noqa: FBT003 -- an array


def _spread(trees: Trees, classes: Ints, n_classes: int) -> Trees:
    """Return trees of the classes that occur as trees of all `n_classes`."""
    value = np.zeros((len(trees.value), n_classes))
    told = classes if trees.value.shape[1] > 1 else classes[1:]
    value[:, told] = trees.value
    first = trees.roots[1] if len(trees.roots) > 1 else len(value)
    value[:first, np.setdiff1d(np.arange(n_classes), classes)] = _NEVER
    return replace(trees, value=value)
