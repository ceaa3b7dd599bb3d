"""Every model that the data allows, each set up on a validation part, and the choice among them.

Nothing here knows the test. What would take longer than the budget allows is refused by its
estimate, with the estimate; what takes longer than the clock allows is stopped (`budget`).
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine import rerank
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Algorithm, Config, Cost, Interactions, SideInfo
from recommender.engine.blend import FLOOR, Blend, board, learn
from recommender.engine.budget import OutOfTimeError, Session
from recommender.engine.cases import Cases, FoldIn
from recommender.engine.entries import ENTRIES, Entry
from recommender.engine.lists import Lists, blend, first, rank
from recommender.engine.measures import AIM, each
from recommender.engine.protocols import Split
from recommender.engine.search import SPACES, searched
from recommender.engine.trees import Reranker

# Candidates a source brings to a blend, as at decision time.
DEPTH = 200
# Cases that weights are learned on, and those that settings are: enough to tell 2 % apart.
CASES, TUNED_ON = 6_000, 2_000
# Sources whose scores a reranker reads, beside the blend's own.
SOURCES = 5
# Models whose settings are searched.
SEARCHED = 3
# What the choice looks at.
FALLBACK = "popularity"
# Where nothing can be validated.
DEFAULTS = ("item_knn", FALLBACK)


@dataclass(frozen=True, slots=True)
class Refused:
    """A model that the data or the budget does not allow."""

    name: str
    why: str
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """One model set up on the validation part.

    `every` and `fresh`: its lists for the validation cases, with and without known items; `values`
    (n,): the aim of each case. `seconds` of one fit.
    """

    entry: Entry
    config: Config
    fold: FoldIn
    every: Lists
    fresh: Lists
    values: NDArray[np.float64]
    seconds: float

    @property
    def name(self) -> str:
        """The entry's name."""
        return self.entry.name


@dataclass(frozen=True, slots=True)
class SecondLook:
    """A reranker and the sources whose scores it reads, in its order."""

    model: Reranker
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the validation part said: the blend (of one or more sources) and all candidates.

    `discovery`: the blend for lists of what is new to somebody, where known items may come again.
    `second`: the reranker of the blend's first candidates, where it won.
    """

    blend: Blend
    discovery: Blend | None
    second: SecondLook | None
    tuned: tuple[Tuned, ...]
    refused: tuple[Refused, ...]
    cases: Cases

    def ordered(self) -> tuple[Tuned, ...]:
        """Return the candidates, best first."""
        return tuple(sorted(self.tuned, key=lambda one: -float(one.values.sum())))

    def sources(self) -> tuple[str, ...]:
        """Return the names of all models that the choice needs."""
        blends = (self.blend, self.discovery)
        names = [name for one in blends if one for name, _ in one.sources]
        return tuple(dict.fromkeys([*names, *(self.second.sources if self.second else ())]))


def without(choice: Choice, lost: Set[str]) -> Choice:
    """Return the choice without models that could not be fitted again.

    Raises ValueError where none of the blend is left.
    """
    if not lost:
        return choice
    blend_ = _left(choice.blend, lost)
    if blend_ is None:
        msg = f"no time to fit {', '.join(sorted(lost))} again: give it more --minutes"
        raise ValueError(msg)
    discovery = choice.discovery and _left(choice.discovery, lost)
    second = choice.second if choice.second and not lost & set(choice.second.sources) else None
    return replace(choice, blend=blend_, discovery=discovery, second=second)


def _left(blend_: Blend, lost: Set[str]) -> Blend | None:
    sources = tuple(one for one in blend_.sources if one[0] not in lost)
    if len(sources) == 1:
        sources = ((sources[0][0], 1.0),)
    folds = {name: fold for name, fold in blend_.folds.items() if name not in lost}
    return Blend(sources, folds) if sources else None


def name_of(blend_: Blend) -> str:
    """Return the sources, strongest first; popularity that merely fills is not named."""
    return " + ".join(name for name, weight in blend_.sources if weight > FLOOR)


def choose(
    split: Split, session: Session, *, names: Sequence[str] | None = None, seed: int = 42
) -> Choice:
    """Return the best blend or single model by the cases of a validation split.

    `names`: the candidates, None for all. Raises ValueError where none can be fitted.
    """
    data = split.known.interactions(session.n_users, session.n_items)
    cases = sampled(split.cases, CASES, seed)
    tuned: list[Tuned] = []
    refused: list[Refused] = []
    for entry in ENTRIES:
        if not (entry.default if names is None else entry.name in names):
            continue
        promised_s = sum(one.seconds for one in tuned)
        found = _objection(entry, split, data, session, promised_s) or _in_time(
            entry, split, data, cases, session
        )
        if isinstance(found, Refused):
            refused.append(found)
            session.report(f"{found.name}: left out, {found.why}")
        else:
            tuned.append(found)
    if not tuned:
        msg = "no model is left: " + "; ".join(f"{one.name}: {one.why}" for one in refused)
        raise ValueError(msg)
    if session.limits.search_s > 0:
        tuned = _searched(tuned, split, data, cases, session)
    able = [one for one in tuned if not one.entry.reference]
    whole = _blend_of(able, [one.every for one in able], cases)
    new = _discovery(able, cases) if split.own else None
    second = _second(whole, able, split, cases, session)
    return Choice(whole, new, second, tuple(tuned), tuple(refused), cases)


def _searched(
    tuned: Sequence[Tuned], split: Split, data: Interactions, cases: Cases, session: Session
) -> list[Tuned]:
    """Return the candidates, the leading ones with the best settings that a search found."""
    able = [one for one in tuned if one.name in SPACES]
    leading = sorted(able, key=lambda one: -float(one.values.mean()))[:SEARCHED]
    found = {one.name: one for one in tuned}
    for one in leading:
        until = session.clock() + session.limits.search_s / len(leading)
        try:
            with session.stopping(session.choosing_left_s()):
                better = _search(one, split, data, cases, session, until)
        except OutOfTimeError:
            better = None
        session.report(f"{one.name}: the search {'found better' if better else 'found none'}")
        found[one.name] = better or one
    return list(found.values())


def _search(
    one: Tuned, split: Split, data: Interactions, cases: Cases, session: Session, until: float
) -> Tuned | None:
    """Return the candidate with better settings, None where the search found none."""
    few = sampled(cases, TUNED_ON, 0)

    def value_of(changes: Mapping[str, Any]) -> float:
        config = replace(one.config, **changes)
        model = fit(one.entry, config, data, split.as_of_s, session.side)
        return _aim(model, few, one.fold, own=split.own)

    space = {
        name: span
        for name, span in SPACES[one.name].items()
        if split.known.timed or name != "half_life_days"
    }
    if not space:
        return None
    start = {name: getattr(one.config, name) for name in space}
    best, value = searched(space, start, value_of, spent=lambda: session.clock() > until)
    if value <= value_of({}):
        return None
    config = replace(one.config, **best)
    model = fit(one.entry, config, data, split.as_of_s, session.side)
    every, fresh = rank(model, cases, one.fold, count=DEPTH, own=split.own)
    values = each(every, cases)[AIM]
    return replace(one, config=config, every=every, fresh=fresh, values=values)


def _second(
    whole: Blend, tuned: Sequence[Tuned], split: Split, cases: Cases, session: Session
) -> SecondLook | None:
    """Return a reranker of the blend's first where it wins on cases that it has not seen.

    Not after a random split: there popularity and age of the test's day would be told by chance.
    """
    if not split.later:
        return None
    leading = sorted(tuned, key=lambda one: -float(one.values.mean()))[:SOURCES]
    named = dict.fromkeys([name for name, _ in whole.sources] + [one.name for one in leading])
    lists = {one.name: one.every for one in tuned}
    first_ = blended(whole, lists, session.n_items, rerank.DEPTH)
    about = rerank.facts(split.known, session.n_items, session.side)
    found = rerank.learned(first_, [lists[name] for name in named], cases, about)
    session.report("reranker: " + ("wins" if found else "does not beat the blend"))
    return None if found is None else SecondLook(found, tuple(named))


def by_default(split: Split, names: Sequence[str] | None) -> Choice:
    """Return the choice where nothing can be validated: neighbours, then what is popular."""
    wanted = [name for name in DEFAULTS if names is None or name in names] or list(names or ())[:1]
    entries = [entry for entry in ENTRIES if entry.name in wanted and not entry.reference]
    if not entries:
        msg = f"nothing to validate on, and {', '.join(wanted)} is a reference: name another model"
        raise ValueError(msg)
    nothing = Lists(np.zeros((0, DEPTH), np.int32), np.zeros((0, DEPTH), np.float32))
    values = np.zeros(0)
    tuned = tuple(
        Tuned(one, RECIPES[one.recipe].config, FoldIn(), nothing, nothing, values, 0.0)
        for one in entries
    )
    weights = {one.name: FLOOR if one.name == FALLBACK else 1.0 for one in entries}
    sources = tuple(sorted(weights.items(), key=lambda pair: -pair[1]))
    if len(sources) == 1:
        sources = ((sources[0][0], 1.0),)
    blend_ = Blend(sources, {name: FoldIn() for name in weights})
    return Choice(blend_, None, None, tuned, (), split.cases)


def _discovery(tuned: Sequence[Tuned], cases: Cases) -> Blend | None:
    """Return the blend for what is new to people; None where no case has any."""
    new = ~cases.is_repeat()
    asked = cases.asked(new)
    if not len(asked):
        return None
    # a model of one's own items has nothing to say here
    able = [one for one in tuned if not RECIPES[one.entry.recipe].algorithm.own_only]
    lists = [one.fresh.take(asked) for one in able]
    return _blend_of(able, lists, cases.with_truth(new)) if able else None


def _blend_of(tuned: Sequence[Tuned], lists: Sequence[Lists], cases: Cases) -> Blend:
    weights = learn(board(lists, cases))
    pairs = zip((one.name for one in tuned), weights, strict=True)
    sources = sorted(((name, w) for name, w in pairs if w > 0), key=lambda pair: -pair[1])
    if FALLBACK not in dict(sources) and any(one.name == FALLBACK for one in tuned):
        # the ladder's last step: whoever the sources know nothing about gets what is popular
        sources.append((FALLBACK, FLOOR))
    folds = {one.name: one.fold for one in tuned if one.name in dict(sources)}
    return Blend(tuple(sources), folds)


def fit(
    entry: Entry, config: Config, data: Interactions, as_of_s: float, side: SideInfo | None
) -> Algorithm:
    """Return the entry's model of `data` with this config."""
    recipe = RECIPES[entry.recipe]
    return recipe.algorithm.fit(recipe.shape(data), config, as_of_s=as_of_s, side=side)


def blended(blend_: Blend, lists: Mapping[str, Lists], n_items: int, count: int) -> Lists:
    """Return the blend's lists of its sources' lists."""
    parts = [lists[name] for name, _ in blend_.sources]
    return blend(parts, [weight for _, weight in blend_.sources], n_items, count=count)


def sampled(cases: Cases, most: int, seed: int) -> Cases:
    """Return `most` of the cases, in their order; all where there are no more."""
    if len(cases) <= most:
        return cases
    chosen = np.random.default_rng(seed).choice(len(cases), most, replace=False)
    return cases.take(np.sort(chosen))


def _objection(
    entry: Entry, split: Split, data: Interactions, session: Session, promised_s: float
) -> Refused | None:
    """Return why an entry is not fitted, None where it is. `promised_s`: refits to come."""
    has = {
        "order": split.known.ordered,
        "times": split.known.timed,
        "own": split.own,
        "side": session.side is not None,
    }
    missing = [what for what in sorted(entry.wants) if not has[what]]
    if missing:
        words = {"order": "an order", "times": "times", "own": "repeats", "side": "attributes"}
        return Refused(entry.name, f"the data has no {words[missing[0]].removeprefix('an ')}")
    recipe = RECIPES[entry.recipe]
    met = len(np.unique(data.items))
    cost = recipe.algorithm.cost(data.n_users, met, len(data), recipe.config)
    most = getattr(recipe.config, "most_items", met)
    if met > most:
        return Refused(entry.name, f"{met:,} items, its own limit is {most:,}", cost)
    # one fit here, one on everything
    if cost.bytes > session.limits.bytes:
        why = f"needs about {cost.bytes / 1e6:,.0f} MB"
        return Refused(entry.name, why, cost)
    if 2 * cost.seconds > session.left_s() - promised_s:
        why = f"two fits need about {2 * cost.seconds:,.0f} s, more than is left"
        return Refused(entry.name, why, cost)
    return None


def _in_time(
    entry: Entry, split: Split, data: Interactions, cases: Cases, session: Session
) -> Tuned | Refused:
    """Return the entry set up, or refused where the clock ran out before it was."""
    try:
        with session.stopping(session.choosing_left_s()):
            return _tune(entry, split, data, cases, session)
    except OutOfTimeError:
        return Refused(entry.name, "the clock ran out before it was set up")


def _tune(entry: Entry, split: Split, data: Interactions, cases: Cases, session: Session) -> Tuned:
    """Return the entry with the settings that did best on some of the cases."""
    few = sampled(cases, TUNED_ON, 0)
    config = replace(RECIPES[entry.recipe].config, **entry.base)
    started = session.clock()
    model = fit(entry, config, data, split.as_of_s, session.side)
    fit_s = session.clock() - started
    found = [(_aim(model, few, fold, own=split.own), fold) for fold in _folds(entry, split)]
    best_value, fold = max(found, key=lambda one: one[0])
    for change in entry.grid:
        if "half_life_days" in change and not split.known.timed:
            continue
        if session.clock() - started + fit_s > session.limits.tuning_s:
            break
        tried = replace(config, **change)
        other = fit(entry, tried, data, split.as_of_s, session.side)
        value = _aim(other, few, fold, own=split.own)
        if value > best_value:
            best_value, config, model = value, tried, other
    every, fresh = rank(model, cases, fold, count=DEPTH, own=split.own)
    values = each(every, cases)[AIM]
    session.report(
        f"{entry.name}: {AIM} {values.mean():.4f} on {len(cases):,} validation cases"
        f" ({session.clock() - started:.1f} s)"
    )
    return Tuned(entry, config, fold, every, fresh, values, fit_s)


def _aim(model: Algorithm, cases: Cases, fold: FoldIn, *, own: bool) -> float:
    return float(each(first(model, cases, fold, count=20, own=own), cases)[AIM].mean())


def _folds(entry: Entry, split: Split) -> tuple[FoldIn, ...]:
    """Return the ways of folding a history in that the data knows: by steps, by the clock."""
    folds = [FoldIn()]
    if not (entry.folds and split.known.ordered):
        return tuple(folds)
    folds += [FoldIn(decay) for decay in (0.9, 0.8, 0.65)]
    if split.known.timed:
        folds += [FoldIn(1.0, days) for days in (14.0, 60.0, 180.0)]
    return tuple(folds)
