"""Who is like the members of a segment: a calibrated similarity of everybody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine.arrays import Arrays, need, part, prefixed
from segments.learning.engine.calibration import Calibration, quality
from segments.learning.engine.classifiers import Logistic, Sample
from segments.learning.engine.features import Floats, Ints
from segments.learning.engine.propensity import LOG

FOLDS = 5
# Others drawn a member, and at least: enough to tell them apart, few enough to fit at once.
OTHERS_A_MEMBER = 5
LEAST_OTHERS = 2_000
LEAST_MEMBERS = 20


class TooFewMembers(ValueError):  # noqa: N818 -- named for what happened, as the project's own
    """A segment is too small, or too large, to learn what its members are like."""


@dataclass(frozen=True, slots=True)
class Lookalike:
    """A logistic regression of members against others, and the map to calibrated similarity."""

    model: Logistic
    calibration: Calibration

    def similarity(self, values: Floats) -> Floats:
        """Return for features (n, d) the probability of a member in a half-and-half crowd.

        So .5 is as like the members as the others, whatever the segment's size.
        """
        return self.calibration.apply(self.model.probabilities(values)[:, 1])

    def to_arrays(self) -> Arrays:
        """Return all fitted state."""
        return {
            **prefixed("model", self.model.to_arrays()),
            **prefixed("calibration", self.calibration.to_arrays()),
        }

    @classmethod
    def from_arrays(cls, method: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return that model; ValueError when it does not fit together."""
        model = Logistic.from_arrays(part("model", arrays))
        need(model.n_classes == 2, "a lookalike")  # noqa: PLR2004 -- members and others
        return cls(model, Calibration.from_arrays(method, part("calibration", arrays)))


def learned(
    values: Floats, member: NDArray[np.bool_], *, rng: np.random.Generator
) -> tuple[Lookalike, dict[str, Any]]:
    """Return (model, metrics) for customers with features `values` (n, d), `member` (n,).

    Metrics are of five-fold cross-validation: auc, log_loss, brier, ece against a random sample of
    the others, weighted to half and half; `members` and `others` counted.

    Raises
    ------
    TooFewMembers
        Fewer than LEAST_MEMBERS members, or others.
    """
    inside, outside = np.flatnonzero(member), np.flatnonzero(~member)
    if min(len(inside), len(outside)) < LEAST_MEMBERS:
        msg = (
            f"it takes {LEAST_MEMBERS} members and as many others;"
            f" there are {len(inside)} and {len(outside)}"
        )
        raise TooFewMembers(msg)
    most = max(LEAST_OTHERS, OTHERS_A_MEMBER * len(inside))
    drawn = np.sort(rng.permutation(outside)[:most])
    rows = np.concatenate([inside, drawn])
    target = np.concatenate([np.ones(len(inside)), np.zeros(len(drawn))]).astype(np.int64)
    sample = Sample(values[rows], target, LOG)
    held = _out_of_fold(sample, rng)
    # members repeated or others thinned to half and half, so that .5 means what it says
    even = _even(target, rng)
    calibration = Calibration.fit(held[even], target[even], "sigmoid")
    found = quality(calibration.apply(held[even]), target[even])
    metrics = {
        **{name: found[name] for name in ("auc", "log_loss", "brier", "ece")},
        "auc_all_drawn": quality(held, target)["auc"],
        "members": len(inside),
        "others": len(drawn),
        "folds": FOLDS,
    }
    return Lookalike(Logistic.fit(sample, rng=rng), calibration), metrics


def top(customers: Ints, similarity: Floats, member: NDArray[np.bool_], count: int) -> Ints:
    """Return places of the `count` others most like the members, best first; ties by id."""
    order = np.lexsort((customers, -similarity))
    others = order[~member[order]]
    found: Ints = others[:count].astype(np.int64)
    return found


def _out_of_fold(sample: Sample, rng: np.random.Generator) -> Floats:
    """Return each row's probability from a model that has not seen the row."""
    fold = np.empty(len(sample.target), np.int64)
    for one in (0, 1):  # each class is spread over all folds
        mine = rng.permutation(np.flatnonzero(sample.target == one))
        fold[mine] = np.arange(len(mine)) % FOLDS
    held = np.zeros(len(fold))
    for one in range(FOLDS):
        model = Logistic.fit(sample.take(fold != one), rng=rng)
        held[fold == one] = model.probabilities(sample.values[fold == one])[:, 1]
    return held


def _even(target: Ints, rng: np.random.Generator) -> Ints:
    """Return rows of which half are members: others beyond their number are left out."""
    inside, outside = np.flatnonzero(target == 1), np.flatnonzero(target == 0)
    size = min(len(inside), len(outside))
    return np.concatenate([rng.permutation(inside)[:size], rng.permutation(outside)[:size]])
