"""Every kind of model under one roof: learn one from a log, apply one to customers.

A model is arrays and facts (plain JSON), so that it can be fitted in one process, stored, and
applied in another.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine import categories, drift, grouping, propensity
from segments.learning.engine.catalogue import NAMES
from segments.learning.engine.clv import TooFewPurchases, Worth, errors
from segments.learning.engine.features import (
    DAY_US,
    Events,
    Floats,
    Ints,
    Matrix,
    feature_matrix,
    log_days,
)
from segments.learning.engine.lookalike import Lookalike, TooFewMembers
from segments.learning.engine.lookalike import learned as learned_lookalike
from segments.learning.engine.propensity import Propensity, Target, TooLittleHistory
from segments.learning.engine.purchases import histories, worth
from segments.learning.engine.recipes import Applied, Before, CannotLearn, Fit, Recipe

# A probability below it is not worth a row: rules ask for much, not for a little.
LEAST_CATEGORY = 0.05
# AUC of a lookalike that is hardly better than drawing lots.
LEAST_LIKENESS = 0.55


def learn(
    recipe: Recipe,
    events: Events,
    *,
    as_of_us: int,
    rng: np.random.Generator,
    before: Before | None = None,
    members: Ints | None = None,
) -> Fit:
    """Return the model of a recipe from events at or before `as_of_us`; deterministic.

    `members` are the ids of a lookalike's segment.

    Raises
    ------
    CannotLearn
        The log holds too little; the message says of what.
    """
    known = events.until(as_of_us)
    try:
        if recipe.kind == "cluster":
            return grouping.learned(recipe, known, as_of_us, rng, before)
        if recipe.kind == "propensity":
            return _propensity(recipe, known, as_of_us, rng)
        if recipe.kind == "value":
            return _value(recipe, known, as_of_us)
        if recipe.kind == "lookalike":
            return _lookalike(known, as_of_us, rng, members)
        return _category(recipe, known, as_of_us, rng)
    except (TooLittleHistory, TooFewPurchases, TooFewMembers) as error:
        raise CannotLearn(str(error)) from error


def apply(
    recipe: Recipe,
    algorithm: str,
    arrays: Mapping[str, NDArray[Any]],
    facts: Mapping[str, Any],
    events: Events,
    matrix: Matrix,
) -> Applied:
    """Return the scores of the customers of `matrix`, the features of `events` as of its moment.

    `facts` are those of the fit (and `names`, category code -> name, of a next category).
    """
    if recipe.kind == "cluster":
        return grouping.applied(recipe, algorithm, arrays, matrix, _readings(facts, events, matrix))
    if recipe.kind == "propensity":
        return _apply_propensity(recipe, algorithm, arrays, facts, events, matrix)
    if recipe.kind == "value":
        return _apply_value(recipe, arrays, facts, events, matrix)
    if recipe.kind == "lookalike":
        model = Lookalike.from_arrays(facts["method"], arrays)
        held = model.similarity(matrix.values)
        return Applied({f"lookalike:{recipe.key}": (matrix.customers, held)})
    return _apply_category(algorithm, arrays, facts, events, matrix)


def _propensity(recipe: Recipe, events: Events, as_of_us: int, rng: np.random.Generator) -> Fit:
    target = _target(recipe)
    most = propensity.TRAIN_WINDOWS + propensity.FOLDS + 1
    shots = propensity.snapshots(events, target, until_us=as_of_us, most=most)
    metrics = propensity.compared(shots, rng=rng)
    best = metrics["best"]
    model = propensity.fitted(shots, best, rng=rng)
    reached, floor = metrics["algorithms"][best]["log_loss"], metrics["base"]["log_loss"]
    metrics["weights"] = propensity.weights(model)
    metrics["protocol"] = (
        f"asked as of moments {target.horizon_days:g} days apart of customers seen in the"
        f" {target.population_days:g} days before; latest window tests, the one before calibrates,"
        f" up to {propensity.TRAIN_WINDOWS} earlier ones train; mean of {len(metrics['folds'])}"
    )
    objection = ""
    if reached >= floor:
        objection = f"log loss {reached:.4f} is no better than the base rate's {floor:.4f}"
    facts = {
        "method": model.calibration.method,
        "config": target.to_json(),
        "log_days": log_days(events, shots[0].as_of_us),
    }
    return Fit(best, model.to_arrays(), facts, metrics, objection)


def _value(recipe: Recipe, events: Events, as_of_us: int) -> Fit:
    days = float(recipe.config["days"])
    orders = events.of("order")
    span = (as_of_us - int(orders.at_us.min())) / DAY_US if len(orders) else 0.0
    # a third of the history at most is held out, so that there is something to learn from
    held_out = min(days, np.floor(span / 3))
    metrics: dict[str, Any] = {"held_out_days": held_out}
    if held_out >= 1:
        metrics |= _value_tested(events, as_of_us - int(held_out * DAY_US), as_of_us, held_out)
    model = Worth.fit(histories(events, as_of_us=as_of_us))
    n, g = model.purchases, model.orders
    metrics["params"] = {"r": n.r, "alpha_days": n.alpha, "a": n.a, "b": n.b}
    metrics["params_worth"] = {"p": g.p, "q": g.q, "v_minor": g.v}
    objection = "" if g.q > 1 else "order values are so uneven that their mean does not exist"
    return Fit("bg_nbd", model.to_arrays(), {"days": days}, metrics, objection)


def _value_tested(events: Events, cut_us: int, end_us: int, days: float) -> dict[str, Any]:
    """Return errors on the held-out days, the naive rate's beside them; nothing when it cannot."""
    seen = histories(events, as_of_us=cut_us)
    try:
        model = Worth.fit(seen)
    except TooFewPurchases as error:
        return {"untested": str(error)}
    _, paid = worth(events, seen.customers, after_us=cut_us, until_us=end_us)
    naive = seen.paid_minor / np.maximum(seen.age, 1.0) * days
    return {
        "tested": errors(model.value(seen, days=days), paid),
        "naive": errors(naive, paid),
        "buyers": len(seen.customers),
        "protocol": (
            f"fitted on orders before the last {days:g} days, revenue of those days of each earlier"
            " buyer; naive: paid so far, a day since the first order, times the days"
        ),
    }


def _category(recipe: Recipe, events: Events, as_of_us: int, rng: np.random.Generator) -> Fit:
    days = float(recipe.config["days"])
    model, metrics = categories.learned(events, until_us=as_of_us, horizon_days=days, rng=rng)
    reached = metrics["algorithms"][metrics["best"]]["log_loss"]
    floor = min(one["log_loss"] for one in metrics["floors"].values())
    objection = ""
    if reached >= floor:
        objection = f"log loss {reached:.4f} is no better than the simplest guess's {floor:.4f}"
    return Fit(model.algorithm, model.to_arrays(), {"days": days}, metrics, objection)


def _lookalike(
    events: Events, as_of_us: int, rng: np.random.Generator, members: Ints | None
) -> Fit:
    matrix = feature_matrix(events, as_of_us=as_of_us)
    inside = np.isin(matrix.customers, np.zeros(0, np.int64) if members is None else members)
    model, metrics = learned_lookalike(matrix.values, inside, rng=rng)
    objection = ""
    if metrics["auc"] <= LEAST_LIKENESS:
        objection = f"members are like anybody: AUC {metrics['auc']:.3f}"
    facts = {"method": model.calibration.method}
    return Fit("logistic", model.to_arrays(), facts, metrics, objection)


def _apply_propensity(
    recipe: Recipe,
    algorithm: str,
    arrays: Mapping[str, NDArray[Any]],
    facts: Mapping[str, Any],
    events: Events,
    matrix: Matrix,
) -> Applied:
    target = _target(recipe)
    model = Propensity.from_arrays(algorithm, facts["method"], arrays)
    recent = events.until(
        matrix.as_of_us, after_us=matrix.as_of_us - int(target.population_days * DAY_US)
    )
    inside = np.isin(matrix.customers, recent.customer)
    values = matrix.values[inside]
    held = model.probabilities(values)
    ways = _readings(facts, events, matrix)
    found = {
        "score": _first(model.answers.index(held[:, None])),
        "features": drift.as_table(NAMES, model.baseline.least(tuple(one[inside] for one in ways))),
    }
    return Applied({recipe.key: (matrix.customers[inside], held)}, drift=found)


def _readings(facts: Mapping[str, Any], events: Events, matrix: Matrix) -> tuple[Floats, ...]:
    """Return the features to measure drift on; as they are where a model did not note its log."""
    if "log_days" not in facts or not len(matrix.customers):
        return (matrix.values,)
    days = log_days(events.until(matrix.as_of_us), matrix.as_of_us)
    return drift.readings(matrix.values, log_days=days, learnt_days=facts["log_days"])


def _apply_value(
    recipe: Recipe,
    arrays: Mapping[str, NDArray[Any]],
    facts: Mapping[str, Any],
    events: Events,
    matrix: Matrix,
) -> Applied:
    model = Worth.from_arrays(arrays)
    seen = histories(events, as_of_us=matrix.as_of_us)
    value = model.value(seen, days=float(facts["days"]))
    alive = model.purchases.alive(seen.repeats, seen.recency, seen.age)
    known = np.isfinite(value)
    return Applied(
        {
            recipe.key: (seen.customers[known], value[known]),
            "alive": (seen.customers, alive),
        }
    )


def _apply_category(
    algorithm: str,
    arrays: Mapping[str, NDArray[Any]],
    facts: Mapping[str, Any],
    events: Events,
    matrix: Matrix,
) -> Applied:
    model = categories.NextCategory.from_arrays(algorithm, arrays)
    given = categories.inputs(
        events, matrix.values, matrix.customers, model.codes, as_of_us=matrix.as_of_us
    )
    held = model.probabilities(given)
    scores = {}
    for place, code in enumerate(model.codes.tolist()):
        name = facts["names"].get(str(code))
        if name is None:
            continue
        likely = held[:, place] >= LEAST_CATEGORY
        scores[f"next_category:{name}"] = (matrix.customers[likely], held[likely, place])
    return Applied(scores)


def _target(recipe: Recipe) -> Target:
    given = dict(recipe.config)
    return Target(**{**given, "kinds": tuple(given["kinds"])})


def _first(index: Floats) -> float | None:
    value = float(index[0])
    return round(value, 4) if np.isfinite(value) else None
