"""Whether more would help: quality by passes over the data, or by how many customers it has.

Measured while a model is fitted on all but the last days, on a sample of the questions that it is
asked anyway. Models that learn in passes are looked at between them; of those whose fit is quick
beside their questions, parts of the customers are fitted. Others have no curve: a fit of part of
the data would cost them as much as the whole (`tests/recommender/test_learning.py` counts).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.algorithms import Recipe
from recommender.engine.base import Algorithm, Interactions, SideInfo
from recommender.engine.blend import is_gain
from recommender.engine.cases import Cases, FoldIn
from recommender.engine.factors import InPasses, Made
from recommender.engine.item_knn import ItemKnn
from recommender.engine.lists import first
from recommender.engine.measures import AIM, COUNT, each
from recommender.engine.personal import BuyAgain
from recommender.engine.popularity import Popularity
from recommender.engine.rp3beta import Rp3beta
from recommender.engine.session_knn import SessionKnn
from recommender.engine.transitions import Transitions

# Fewer questions tell nothing; more would cost more than a tenth of the training.
LEAST, MOST = 50, 250
# Looks between passes, as parts of all of them.
_PASSES = (1 / 8, 1 / 4, 1 / 2, 1.0)
# Parts of the customers that are fitted besides: where the fit of all is short, and above.
_SHORT = 200_000
_FEW, _LITTLE = (1 / 16, 1 / 4), (1 / 64, 1 / 8)
# Fits that take time by the number of interactions.
_LIGHT = (Popularity, ItemKnn, Transitions, Rp3beta, BuyAgain, SessionKnn)
# A gain of less, relative, is not worth anything that would bring it.
_WORTH = 0.01
_SEED = 42


@dataclass(frozen=True, slots=True)
class Asked:
    """A sample of a holdout's questions, and how they are asked."""

    cases: Cases
    fold: FoldIn
    own: bool

    @classmethod
    def of(cls, cases: Cases, fold: FoldIn, *, own: bool) -> "Asked":
        """Return at most MOST of some questions, always the same."""
        if len(cases) > MOST:
            places = np.random.default_rng(_SEED).choice(len(cases), MOST, replace=False)
            cases = cases.take(np.sort(places))
        return cls(cases, fold, own)

    def values(self, model: Algorithm) -> NDArray[np.float64]:
        """Return the aim of each question (n,)."""
        lists = first(model, self.cases, self.fold, count=COUNT, own=self.own)
        return np.nan_to_num(each(lists, self.cases)[AIM])


def fitted(
    recipe: Recipe, known: Interactions, asked: Asked, *, as_of_s: float, side: SideInfo
) -> tuple[Algorithm, dict[str, Any] | None]:
    """Return the recipe's model of `known` and its learning curve, None where it has none.

    The curve: `by` passes or customers, `points` of (how many, quality), ascending; `gain` of the
    last point over the one before it, and whether it is `sure`: beyond noise, and a hundredth at
    least; how many `questions`.
    """
    # rows that are baskets already are one basket each still
    algorithm, shaped = recipe.algorithm, recipe.shape(known)
    tells = len(asked.cases) >= LEAST
    if tells and issubclass(algorithm, InPasses):
        looks = _Looks(asked, int(getattr(recipe.config, "iterations", 0)))
        model: Algorithm = algorithm.learn(
            shaped, recipe.config, as_of_s=as_of_s, side=side, look=looks
        )
        return model, _curve("passes", looks.points, asked)
    model = algorithm.fit(shaped, recipe.config, as_of_s=as_of_s, side=side)
    if not (tells and algorithm in _LIGHT):
        return model, None
    points = []
    for part in _parts(known):
        some = algorithm.fit(recipe.shape(part), recipe.config, as_of_s=as_of_s, side=side)
        points.append((_customers(part), asked.values(some)))
    points.append((_customers(known), asked.values(model)))
    return model, _curve("customers", points, asked)


class _Looks:
    """Notes quality after some of the passes."""

    def __init__(self, asked: Asked, passes: int) -> None:
        self._asked = asked
        self._at = {max(1, round(part * passes)) for part in _PASSES}
        self.points: list[tuple[int, NDArray[np.float64]]] = []

    def __call__(self, passes: int, made: Made) -> None:
        if passes in self._at:
            self.points.append((passes, self._asked.values(made())))


def _parts(data: Interactions) -> list[Interactions]:
    """Return what some of the customers did; who is in a part is in each larger one."""
    place = np.random.default_rng(_SEED).permutation(data.n_users)
    shares = _FEW if len(data) <= _SHORT else _LITTLE
    return [data.where(place[data.users] < share * data.n_users) for share in shares]


def _customers(data: Interactions) -> int:
    return int(np.unique(data.users).size)


def _curve(
    by: str, points: Sequence[tuple[int, NDArray[np.float64]]], asked: Asked
) -> dict[str, Any] | None:
    """Return the curve; None for a single point."""
    if len(points) < 2:  # noqa: PLR2004 -- a line has two ends
        return None
    last = points[-1][1]
    gain = last - points[-2][1]
    sure = is_gain(gain, asked.cases.whose()) and gain.mean() > _WORTH * last.mean()
    return {
        "by": by,
        "points": [[number, round(float(values.mean()), 6)] for number, values in points],
        "gain": round(float(gain.mean()), 6),
        "sure": bool(sure),
        "questions": len(gain),
    }
