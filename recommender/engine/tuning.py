"""Whether other settings of a model do better on questions of the past than those in force.

The questions come from the days before those that training measures on: what a search has looked
at is never what a version's figures are of. Settings are chosen on one half of the customers and
judged on the other.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.algorithms import Recipe
from recommender.engine.base import Interactions, SideInfo
from recommender.engine.blend import is_gain
from recommender.engine.budget import OutOfTimeError
from recommender.engine.cases import halves
from recommender.engine.factors import READ
from recommender.engine.holdout import cut_s
from recommender.engine.learning import Asked
from recommender.engine.measures import AIM, standard_error
from recommender.engine.search import SPACES, Settings, Span, searched
from recommender.engine.training import (
    MIN_CASES,
    Limits,
    Log,
    NothingToLearnError,
    check_cost,
    held_of,
    side_for,
)

# A model is stopped at so many times its budget, as an evaluation is.
_WALL = 1.5
# Of the normal distribution: 95 % of it lies within.
_TWO_SIDED = 1.96


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings over the recipe's own, what they reached (None: too dear), and seconds that took."""

    settings: Settings
    value: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Budget:
    """What the search of one model may take: `seconds`, as `clock` counts them, and `limits` a fit.

    `stopping`: a block that raises OutOfTimeError when so many seconds are over.
    """

    seconds: float
    limits: Limits
    clock: Callable[[], float]
    stopping: Callable[[float], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a search says: the settings to use from now on, where others than those in force.

    `settings` None: those in force stay, and `reason` says why. {}: the recipe's own. `told`:
    figures of the judged half: what the settings and the recipe's own reach there, the gain with
    its 95 % interval, questions, trials.
    """

    settings: Settings | None
    reason: str
    told: Mapping[str, Any]
    seconds: float


def space_of(recipe: str, n_items: int, fixed: Collection[str] = ()) -> Mapping[str, Span]:
    """Return what is searched of a recipe, without settings that the shop has fixed.

    Vectors grow no longer than an answer may read: `factors` stays below a bound by the catalogue.
    """
    space = {name: span for name, span in SPACES.get(recipe, {}).items() if name not in fixed}
    if "factors" in space:
        span = space["factors"]
        space["factors"] = replace(
            span, high=max(span.low, min(span.high, READ // max(n_items, 1)))
        )
    return space


def tune(
    recipe: Recipe,
    space: Mapping[str, Span],
    log: Log,
    *,
    in_force: Settings,
    known: Sequence[Trial],
    budget: Budget,
    note: Callable[[Trial], None],
) -> Verdict:
    """Return what a search in `space` finds; equal seeds and seconds of trials give equal verdicts.

    Parameters
    ----------
    recipe
        With its own settings, and those that the shop has fixed.
    in_force
        What an earlier search has changed of them; {} for nothing.
    known
        Trials of this search that were measured before it was killed: they are not measured again.
    note
        Told of each new trial.

    Raises
    ------
    NothingToLearnError
        There are too few questions.
    """
    desk = _Desk(_Ground.of(recipe, log), log, budget, note, known)
    tried = [{}, in_force] if in_force else [{}]
    for settings in tried:
        try:
            desk.value(settings)
        except ValueError as error:
            return Verdict(None, f"not tried: {error}", {}, desk.used_s)
    own = recipe.config.to_json() | in_force
    start = {name: own[name] for name, span in space.items() if span.low <= own[name] <= span.high}
    if space and not desk.is_spent():
        # it cannot name a best one where all were too dear; the desk knows of those before
        with suppress(ValueError):
            searched(space, start, desk.value, spent=desk.is_spent)
    return _verdict(desk, in_force)


def _verdict(desk: "_Desk", in_force: Settings) -> Verdict:
    best = desk.best().settings
    told: dict[str, Any] = {"trials": len(desk.trials)}
    if best == in_force:
        words = f"none of {len(desk.trials)} settings did better than those in force"
        return Verdict(None, words, told, desk.used_s)
    try:
        with desk.budget.stopping(desk.left_s()):
            values = {_key(one): desk.judged(one) for one in (best, in_force, {})}
    except OutOfTimeError:
        words = "the time was over before the best settings were judged"
        return Verdict(None, words, told, desk.used_s)
    mine, before, default = (values[_key(one)] for one in (best, in_force, {}))
    gain = mine - default
    users = desk.users
    error = standard_error(gain, users)
    mean = float(gain.mean())
    told |= {
        AIM: round(float(mine.mean()), 6),
        "default": round(float(default.mean()), 6),
        "gain": round(mean, 6),
        "interval": [round(mean + side * _TWO_SIDED * error, 6) for side in (-1, 1)],
        "questions": len(mine),
    }
    sure = is_gain(mine - before, users) and (not best or is_gain(gain, users))
    if sure:
        return Verdict(best, "", told, desk.used_s)
    words = f"the best of {len(desk.trials)} settings is not better by more than noise"
    return Verdict(None, words, told, desk.used_s)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What settings are tried on: interactions, and the questions of either half of customers."""

    recipe: Recipe
    shaped: Interactions
    side: SideInfo
    as_of_s: float
    choosing: Asked
    judging: Asked

    @classmethod
    def of(cls, recipe: Recipe, log: Log) -> "_Ground":
        """Return the ground of a recipe; asked is, as pages show it, for what is new to people."""
        part = log.of(recipe)
        held = held_of(recipe, part.where(part.at_s <= cut_s(part.at_s)))
        cases, own = held.cases, held.own or recipe.algorithm.own_only
        if held.own and not recipe.algorithm.own_only:
            new = cases.with_truth(~cases.is_repeat())
            if len(new) >= MIN_CASES:
                cases, own = new, False
        if len(cases) < MIN_CASES:
            msg = f"only {len(cases)} questions of past days; {MIN_CASES} are needed"
            raise NothingToLearnError(msg)
        mine = halves(cases.whose())
        return cls(
            recipe,
            recipe.shape(held.known),
            side_for(recipe, log.side),
            held.cut_s,
            Asked(cases.take(np.flatnonzero(mine)), log.fold, own),
            Asked(cases.take(np.flatnonzero(~mine)), log.fold, own),
        )

    def values(self, settings: Settings, asked: Asked) -> NDArray[np.float64]:
        """Return the aim of each question (n,) under settings."""
        recipe = self.recipe.changed(settings)
        model = recipe.algorithm.fit(
            self.shaped, recipe.config, as_of_s=self.as_of_s, side=self.side
        )
        return asked.values(model)


class _Desk:
    """Trials so far, and what they took; those that are known are read, not measured."""

    def __init__(
        self,
        ground: _Ground,
        log: Log,
        budget: Budget,
        note: Callable[[Trial], None],
        known: Sequence[Trial],
    ) -> None:
        self._ground, self._log, self._note = ground, log, note
        self._known = {_key(one.settings): one for one in known}
        self.budget = budget
        self.trials: list[Trial] = []
        self.used_s = 0.0

    def value(self, settings: Settings) -> float:
        """Return what settings are worth; ValueError where they are too dear."""
        trial = self._known.get(_key(settings)) or self._measured(settings)
        if not any(one is trial for one in self.trials):
            self.trials.append(trial)
            self.used_s += trial.seconds
        if trial.value is None:
            msg = "they would take more than this search, or one fit, may"
            raise ValueError(msg)
        return trial.value

    def best(self) -> Trial:
        """Return the trial of the highest value, the first of equal ones."""
        return max(self.trials, key=lambda one: -np.inf if one.value is None else one.value)

    def is_spent(self) -> bool:
        """Whether the rest of the budget is needed to judge: the best, and what was there before.

        A trial asks one half of the questions and the judgement the other: it takes as long.
        """
        judged = self.best().seconds + sum(one.seconds for one in self.trials[:2])
        return self.used_s + judged >= self.budget.seconds

    def left_s(self) -> float:
        """Return the seconds until the search is stopped."""
        return _WALL * self.budget.seconds - self.used_s

    @property
    def users(self) -> NDArray[np.int64]:
        """Whose the cases of the other half are (n,)."""
        return self._ground.judging.cases.whose()

    def judged(self, settings: Settings) -> NDArray[np.float64]:
        """Return the aim of each case of the other half."""
        started = self.budget.clock()
        values = self._ground.values(settings, self._ground.judging)
        self.used_s += self.budget.clock() - started
        return values

    def _measured(self, settings: Settings) -> Trial:
        """Return a new trial, noted."""
        started = self.budget.clock()
        value = None
        recipe = self._ground.recipe.changed(settings)
        limits = Limits(min(self.budget.limits.seconds, self.left_s()), self.budget.limits.bytes)
        try:
            check_cost(recipe, self._log.of(recipe), limits)
            with self.budget.stopping(self.left_s()):
                value = float(self._ground.values(settings, self._ground.choosing).mean())
        except (ValueError, OutOfTimeError):
            # worth nothing, and known to be so after a kill
            value = None
        trial = Trial(settings, value, round(self.budget.clock() - started, 3))
        self._known[_key(settings)] = trial
        self._note(trial)
        return trial


def _key(settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(settings.items()))
