"""One model or blend of a training run: measured on the last days, then fitted on everything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine import learning, measures, parts, secondlook, windows
from recommender.engine.algorithms import Recipe
from recommender.engine.base import Algorithm, Arrays, Interactions, SideInfo, TooDearError
from recommender.engine.blend import Blend, board, is_gain, learn
from recommender.engine.cases import Cases, FoldIn, halves
from recommender.engine.holdout import HOLDOUTS, Holdout, baskets, customers, cut_s
from recommender.engine.learning import Asked
from recommender.engine.lists import Lists, blend, first, rank
from recommender.engine.matrix import aged, capped_sums
from recommender.engine.popularity import Popularity, PopularityConfig
from recommender.engine.queries import DECAY, KIND_WEIGHTS
from recommender.engine.served import as_served
from recommender.engine.situations import Situations
from recommender.engine.units import VISIT_GAP_S, as_baskets

KINDS = tuple(KIND_WEIGHTS)
# How serving folds a visitor's latest actions in, unless the shop says otherwise.
SERVED = FoldIn(DECAY)
COUNT = measures.COUNT
# Candidates that a source brings to a blend, as at decision time.
DEPTH = 100
# What blends are learned for -> the sources that may take part.
BLENDS: dict[str, str] = {f"blend_{use}": use for use in HOLDOUTS}
# Fewer tell weights no better than chance.
MIN_CASES = 50
_SEED = 42
FLOOR = "popularity"
_NO_GAIN = "it did not order questions that it had not seen better than the blend alone"


@dataclass(frozen=True, slots=True)
class Log:
    """Interactions of all kinds, `kinds` (n,) places in KINDS, and what is known beside them.

    `fold`: how serving makes a query of a history, for the questions of the last days. `met_in`
    (n, 3): in which situations (`engine.situations`), None where nobody knows any. `visit_gap_s`:
    the pause that ends a visit, for the questions about visits.
    """

    data: Interactions
    kinds: NDArray[np.int8]
    side: SideInfo = field(default_factory=SideInfo)
    fold: FoldIn = SERVED
    met_in: Situations | None = None
    visit_gap_s: float = VISIT_GAP_S

    def of(self, recipe: Recipe) -> Interactions:
        """Return what a recipe learns from."""
        return recipe.select(self.data, self.kinds)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit leaves: arrays, plain facts of the data for the manifest, metrics."""

    arrays: Arrays
    facts: Mapping[str, Any]
    metrics: Mapping[str, Any]


class NothingToLearnError(ValueError):
    """There is too little to learn from; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one fit may take by its own estimate."""

    seconds: float
    bytes: float


def check_cost(recipe: Recipe, part: Interactions, limits: Limits) -> None:
    """Raise TooDearError where the recipe's own estimate is beyond the limits."""
    met = int(np.unique(part.items).size)
    cost = recipe.algorithm.cost(part.n_users, met, len(part), recipe.config)
    if cost.seconds > limits.seconds or cost.bytes > limits.bytes:
        msg = (
            f"would take about {cost.seconds:,.0f} s and {cost.bytes / 1e9:.1f} GB"
            f" (limits: {limits.seconds:,.0f} s, {limits.bytes / 1e9:.1f} GB)"
        )
        raise TooDearError(msg)


def train(recipe: Recipe, log: Log, *, as_of_s: float) -> tuple[Fitted, Algorithm]:
    """Return the model of everything, with its metrics; and the one of all but the last days."""
    part = log.of(recipe)
    side = side_for(recipe, log.side)
    tested, known = measure(recipe, part, side, log.fold, groups=log.side.groups)
    kinds = log.kinds[recipe.learns_from(log.kinds)]
    tested["drift"] = windows.moved(part, kinds, cut_s(part.at_s))
    model = recipe.algorithm.fit(recipe.shape(part), recipe.config, as_of_s=as_of_s, side=side)
    arrays = model.to_arrays() | {"evidence": evidence(recipe, part, as_of_s).astype(np.float32)}
    facts = facts_of(part) | {"config": recipe.config.to_json()}
    return Fitted(arrays, facts, tested), known


def known_model(recipe: Recipe, log: Log) -> Algorithm:
    """Return the model of all but the last days alone."""
    part = log.of(recipe)
    cut = cut_s(part.at_s)
    shaped = recipe.shape(part.where(part.at_s <= cut))
    as_of_s = cut if np.isfinite(cut) else 0.0
    side = side_for(recipe, log.side)
    return recipe.algorithm.fit(shaped, recipe.config, as_of_s=as_of_s, side=side)


def evidence(recipe: Recipe, part: Interactions, as_of_s: float) -> NDArray[np.float64]:
    """Return how much is known of each item (n_items,): its aged weights, capped a customer."""
    weights = aged(part, float(getattr(recipe.config, "half_life_days", 0.0)), as_of_s)
    cap = float(getattr(recipe.config, "pair_cap", 0.0)) or np.inf
    return capped_sums(part, weights, cap)


def measure(
    recipe: Recipe,
    part: Interactions,
    side: SideInfo,
    fold: FoldIn = SERVED,
    *,
    groups: Sequence[Sequence[str]] = (),
) -> tuple[dict[str, Any], Algorithm]:
    """Return metrics on the last days of `part`, popularity's beside them, and the model asked.

    `groups`: of the customers of `part`, to tell the figures of each.
    """
    held = held_of(recipe, part)
    asked = bool(len(held.cases))
    as_of_s = held.cut_s if asked else 0.0
    own = held.own or recipe.algorithm.own_only
    model, course = learning.fitted(
        recipe, held.known, Asked.of(held.cases, fold, own=own), as_of_s=as_of_s, side=side
    )
    floor = Popularity.fit(held.known, PopularityConfig(), as_of_s=as_of_s)
    every, fresh = rank(model, held.cases, fold, count=COUNT, own=own)
    values = measures.each(every, held.cases)
    found: dict[str, Any] = _summary(values, every, held.cases, groups) | {"learning": course}
    common, unmet = rank(floor, held.cases, fold, count=COUNT, own=own)
    found["popularity"] = measures.means(measures.each(common, held.cases))
    cases = held.cases
    if own:
        new = ~cases.is_repeat()
        places, cases = cases.asked(new), cases.with_truth(new)
        fresh = fresh.take(places)
        found["discovery"] = measures.means(measures.each(fresh, cases))
        if not model.own_only:  # as pages show it, so the gate asks for it
            popular = measures.means(measures.each(unmet.take(places), cases))
            found["discovery"]["popularity"] = popular
    served = as_served(model, recipe.config, cases, fold, fresh) if len(cases) else None
    if served is not None:
        found["as_served"] = served
    return found | {"protocol": held.words, "cut_s": held.cut_s if asked else None}, model


def held_of(recipe: Recipe, part: Interactions) -> Holdout:
    """Return what a recipe is fitted on and asked to be measured on the last days of `part`."""
    cut = cut_s(part.at_s)
    if recipe.baskets:
        return baskets(recipe.shape(part), cut).of_customers(part.users)
    return customers(part, cut, recipe.visit_gap_s)


def train_blend(name: str, log: Log, models: Mapping[str, Algorithm]) -> Fitted:
    """Return the blend of a use: weights learned on the questions of its pages.

    Where a re-ranker puts its first candidates in a better order that is part of it. `models`:
    recipe name -> model of all but the last days. Its metrics are those of the cases that weights
    and re-ranker were not learned from.

    Raises
    ------
    NothingToLearnError
        There is nothing to ask, or nothing to blend.
    """
    use = BLENDS[name]
    wanted = ("add", "order") if use == "cart" else KINDS
    mine = np.isin(log.kinds, [KINDS.index(kind) for kind in wanted])
    part, met_in = log.data.where(mine), None if log.met_in is None else log.met_in[mine]
    shaped = as_baskets(part) if use == "cart" else part
    held = HOLDOUTS[use](shaped, cut_s(shaped.at_s), log.visit_gap_s).of_customers(part.users)
    if met_in is not None:
        held = held.situated(met_in, shaped.at_s)
    if len(held.cases) < MIN_CASES:
        msg = f"only {len(held.cases)} questions of the last days; {MIN_CASES} are needed"
        raise NothingToLearnError(msg)
    if not models:
        msg = "there is no model to blend"
        raise NothingToLearnError(msg)
    usable = {key: one for key, one in models.items() if held.own or not one.own_only}
    lists = {
        # as pages ask it: what was met already comes from the models that are about it
        key: first(one, held.cases, log.fold, count=DEPTH, own=one.own_only)
        for key, one in usable.items()
    }
    names = list(lists)
    whole = board([lists[key] for key in names], held.cases, DEPTH)
    learned = halves(held.cases.whose())
    trial = learn(whole.take(learned))
    weights = learn(whole)
    made = Blend(_named(names, weights))
    second = secondlook.learned(
        use, made.sources, lists, held, known=shaped, side=log.side, met_in=met_in
    )
    again: Lists | None = None
    if second is not None:
        again = secondlook.tried(
            use, _named(names, trial), lists, held, learned_of=learned, side=log.side
        )
    metrics = _blend_metrics(names, lists, trial, ~learned, held, again, groups=log.side.groups)
    facts = facts_of(part) | {"blend": made.to_json(), "reranker": {"left_out": _NO_GAIN}}
    if second is None or again is None:
        return Fitted({}, facts, metrics)
    arrays, told = second.pack()
    return Fitted(arrays, facts | {"reranker": told}, metrics)


def _named(names: Sequence[str], weights: Sequence[float]) -> tuple[tuple[str, float], ...]:
    """Return the sources that have a weight, strongest first."""
    pairs = [pair for pair in zip(names, weights, strict=True) if pair[1] > 0]
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _blend_metrics(
    names: list[str],
    lists: Mapping[str, Lists],
    weights: tuple[float, ...],
    asked: NDArray[np.bool_],
    held: Holdout,
    again: Lists | None,
    *,
    groups: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """Return how weights do on cases that they were not learned from, beside each source alone.

    `again`: the lists of these cases after a second look. `groups`: of each customer.
    """
    places = np.flatnonzero(asked)
    cases = held.cases.take(places)
    of_asked = {key: one.take(places) for key, one in lists.items()}
    blended = blend([of_asked[key] for key in names], weights, held.cases.n_items, count=COUNT)
    values = measures.each(blended, cases)
    shown = blended if again is None else again.head(COUNT)
    found = _summary(measures.each(shown, cases), shown, cases, groups)
    if again is not None:
        found["without_reranker"] = measures.means(values)
    alone = {key: measures.each(part.head(COUNT), cases) for key, part in of_asked.items()}
    found["sources"] = {key: measures.means(one) for key, one in alone.items()}
    found["popularity"] = found["sources"].get(FLOOR, {})
    best = max(alone, key=lambda key: float(np.nan_to_num(alone[key]["NDCG@20"]).mean()))
    gain = values["NDCG@20"] - alone[best]["NDCG@20"]
    found["best_source"], found["surely_better"] = best, is_gain(gain, cases.whose())
    words = f"{held.words}; on half of them, weights learned on the other half"
    return found | {"protocol": words, "cut_s": held.cut_s}


def _summary(
    values: measures.Values, lists: Lists, cases: Cases, groups: Sequence[Sequence[str]]
) -> dict[str, Any]:
    rng = np.random.default_rng(_SEED)
    found: dict[str, Any] = measures.means(values)
    users = cases.whose()
    found["intervals"] = measures.intervals(values, rng, users)
    shown = lists.rows[lists.rows >= 0]
    counts = np.bincount(shown, minlength=cases.n_items)
    some = len(shown) > 0
    found[f"coverage@{COUNT}"] = round(float((counts > 0).mean()), 6) if some else None
    found[f"Gini@{COUNT}"] = round(measures.gini(counts), 6) if some else None
    told = parts.told(values, parts.groups(groups, users), parts.bands(cases), users)
    return found if told is None else found | {"parts": told}


def facts_of(part: Interactions) -> dict[str, Any]:
    """Return the sizes and the window of what a model learned from, for gate and manifest."""
    weight = np.bincount(part.items, part.weights, minlength=1)
    return {
        "interactions": len(part),
        "users": int(np.unique(part.users).size),
        "items": int(np.unique(part.items).size),
        "from_s": float(part.at_s.min()) if len(part) else None,
        "newest_s": float(part.at_s.max()) if len(part) else None,
        "top_share": round(float(weight.max() / weight.sum()), 6) if len(part) else None,
    }


def side_for(recipe: Recipe, side: SideInfo) -> SideInfo:
    """Return what is known beside; rows that are no customers have no groups."""
    if recipe.unit != "customer":
        return SideInfo(side.attributes, side.categories, side.texts, side.prices)
    return side
