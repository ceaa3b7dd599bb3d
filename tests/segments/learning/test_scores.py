"""Scores: calibrated, judged on later windows, watched for drift."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.learning.engine import categories, drift, lookalike, propensity
from segments.learning.engine.calibration import (
    Calibration,
    calibration_error,
    quality,
    reliability,
)
from segments.learning.engine.catalogue import NAMES
from segments.learning.engine.features import DAY_US, Floats, feature_matrix
from segments.learning.engine.learned import apply, learn
from segments.learning.engine.propensity import Propensity, Target, TooLittleHistory
from segments.learning.engine.recipes import Recipe
from tests.segments.learning.contract import rng
from tests.segments.learning.people import DAY0, events, grouped, shoppers

BUYS = Target(horizon_days=30, population_days=90, kinds=("order",))
UNTIL_US = (DAY0 + 240) * DAY_US


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_calibration__distorted_probabilities__come_right(method: str) -> None:
    source = rng()
    true = source.random(6_000)
    target = (source.random(6_000) < true).astype(np.int64)
    # over-confident: logits doubled
    said = true**2 / (true**2 + (1 - true) ** 2)

    made = Calibration.fit(said, target, method)

    assert calibration_error(said, target) > 0.08
    assert calibration_error(made.apply(said), target) < 0.03
    again = Calibration.from_arrays(made.method, made.to_arrays())
    np.testing.assert_array_equal(again.apply(said), made.apply(said))


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_calibration__any_fold__is_monotone_and_a_probability(seed: int) -> None:
    source = np.random.default_rng(seed)
    said, target = source.random(300), source.integers(0, 2, 300)

    held = Calibration.fit(said, target).apply(np.linspace(-0.1, 1.1, 50))

    assert (np.diff(held) >= 0).all()
    assert ((held >= 0) & (held <= 1)).all()


def test_calibration__one_class__changes_nothing() -> None:
    made = Calibration.fit(np.array([0.2, 0.7]), np.array([1, 1]))

    assert made.method == "none"
    assert made.apply(np.array([0.3])).tolist() == [0.3]


def test_quality__hand_worked() -> None:
    found = quality(np.array([0.8, 0.4]), np.array([1, 0]))

    assert found["brier"] == pytest.approx((0.04 + 0.16) / 2)
    assert found["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert found["auc"] == 1
    assert found["ece"] == pytest.approx((0.2 + 0.4) / 2)
    assert np.isnan(quality(np.zeros(0), np.zeros(0, np.int64))["brier"])
    assert np.isnan(quality(np.array([0.5]), np.array([1]))["auc"])
    assert reliability(np.zeros(0), np.zeros(0, np.int64)) == []


def test_snapshots__labels_and_features__never_meet() -> None:
    log = shoppers(1, people=60)

    shots = propensity.snapshots(log, BUYS, until_us=UNTIL_US, most=4)

    assert [one.as_of_us for one in shots] == [UNTIL_US - n * 30 * DAY_US for n in (1, 2, 3, 4)]
    for one in shots:
        known = feature_matrix(log.until(one.as_of_us), as_of_us=one.as_of_us)
        rows = np.searchsorted(known.customers, one.customers)
        np.testing.assert_array_equal(known.values[rows], one.values)
        later = log.of("order").until(one.as_of_us + 30 * DAY_US, after_us=one.as_of_us)
        assert one.target.tolist() == np.isin(one.customers, later.customer).astype(int).tolist()


def test_snapshots__absence__is_the_other_half() -> None:
    log = shoppers(1, people=60)
    stays = Target(30, 90)

    came, gone = (
        propensity.snapshot(log, target, as_of_us=UNTIL_US - 30 * DAY_US)
        for target in (stays, Target(30, 90, absence=True))
    )

    assert (came.target + gone.target == 1).all()
    assert propensity.snapshots(events([]), stays, until_us=UNTIL_US, most=2) == []


def test_compared__habits__beat_the_base_rate_and_are_calibrated() -> None:
    shots = propensity.snapshots(shoppers(1), BUYS, until_us=UNTIL_US, most=6)

    found = propensity.compared(shots, rng=rng())

    assert set(found["algorithms"]) == {"logistic", "forest", "boosting"}
    best = found["algorithms"][found["best"]]
    assert best["log_loss"] == min(one["log_loss"] for one in found["algorithms"].values())
    assert best["log_loss"] < found["base"]["log_loss"]
    assert best["auc"] > 0.65
    assert best["ece"] < 0.06
    assert len(found["folds"]) == propensity.FOLDS


def test_compared__short_log__says_what_is_missing() -> None:
    shots = propensity.snapshots(shoppers(1, people=30), BUYS, until_us=UNTIL_US, most=2)

    with pytest.raises(TooLittleHistory, match="3 windows"):
        propensity.compared(shots, rng=rng())


def test_fitted__arrays__bring_it_back() -> None:
    shots = propensity.snapshots(shoppers(1, people=200), BUYS, until_us=UNTIL_US, most=4)
    model = propensity.fitted(shots, "boosting", rng=rng())

    again = Propensity.from_arrays("boosting", model.calibration.method, model.to_arrays())

    np.testing.assert_array_equal(
        again.probabilities(shots[0].values), model.probabilities(shots[0].values)
    )
    assert again.baseline.index(shots[0].values).max() < 1e-9
    assert propensity.weights(model)[0]["share"] > 0


def test_drift__same_spread__steady_and_shifted_is_told() -> None:
    source = rng()
    then = np.column_stack([source.normal(size=5_000), source.normal(size=5_000)])
    now = np.column_stack([source.normal(size=5_000), source.normal(1.5, 1, 5_000)])
    now[:2_000, 0] = np.nan
    baseline = drift.Baseline.fit(then)

    index = baseline.index(now)
    alike = baseline.index(source.normal(size=(5_000, 2)))

    assert [drift.verdict(one) for one in alike] == ["steady", "steady"]
    assert [drift.verdict(one) for one in index] == ["shifted", "shifted"]
    assert drift.verdict(0.15) == "watch"
    assert drift.verdict(np.nan) == "unknown"
    table = drift.as_table(("a", "b"), index)
    assert table[0]["psi"] >= table[1]["psi"]
    again = drift.Baseline.from_arrays(baseline.to_arrays())
    np.testing.assert_array_equal(again.index(now), index)
    assert np.isnan(baseline.index(now[:0])).all()


def test_drift__index__is_the_textbook_sum() -> None:
    then, now = np.repeat([0.0, 1.0], [50, 50])[:, None], np.repeat([0.0, 1.0], [80, 20])[:, None]

    found = drift.Baseline.fit(then).index(now)[0]

    assert found == pytest.approx(0.3 * np.log(0.8 / 0.5) - 0.3 * np.log(0.2 / 0.5))


def test_drift__young_log_grows__tenure_is_steady_and_newcomers_are_told() -> None:
    source = rng()
    values = np.zeros((4_000, len(NAMES)))
    tenure = NAMES.index("tenure_days")
    values[:, tenure] = source.uniform(0, 60, 4_000)
    baseline = drift.Baseline.fit(values)
    later, newcomers = values.copy(), values.copy()
    later[:, tenure] = source.uniform(0, 90, 4_000)
    newcomers[:, tenure] = np.where(np.arange(4_000) % 2, later[:, tenure], 1.0)

    def found(now: Floats) -> str:
        same = drift.readings(now, log_days=90, learnt_days=60)
        return drift.verdict(baseline.least(same)[tenure])

    assert drift.verdict(baseline.index(later)[tenure]) == "shifted"
    assert (found(later), found(newcomers)) == ("steady", "shifted")


def test_apply__a_log_that_grew__drift_of_the_same_customers_is_steady() -> None:
    log = shoppers(3, people=600)
    recipe = Recipe("buys", "propensity", "Buys", BUYS.to_json())
    until_us = (DAY0 + 180) * DAY_US
    fit = learn(recipe, log, as_of_us=until_us, rng=rng())
    assert fit.facts["log_days"] < 180

    def tenure(facts: Mapping[str, Any]) -> float:
        matrix = feature_matrix(log, as_of_us=UNTIL_US)
        said = apply(recipe, fit.algorithm, fit.arrays, facts, log, matrix).drift["features"]
        return next(float(one["psi"]) for one in said if one["feature"] == "tenure_days")

    older = {name: value for name, value in fit.facts.items() if name != "log_days"}
    assert tenure(fit.facts) < drift.SHIFTED < tenure(older)


def test_next_category__tastes__beat_popularity() -> None:
    log = shoppers(5, people=900)

    model, metrics = categories.learned(log, until_us=UNTIL_US, horizon_days=40, rng=rng())

    assert set(metrics["algorithms"]) == {"logistic", "forest", "boosting"}
    best = metrics["algorithms"][metrics["best"]]
    assert best["hit"] > 0.6
    assert best["log_loss"] < min(one["log_loss"] for one in metrics["floors"].values())
    matrix = feature_matrix(log, as_of_us=UNTIL_US)
    given = categories.inputs(log, matrix.values, matrix.customers, model.codes, as_of_us=UNTIL_US)
    again = categories.NextCategory.from_arrays(model.algorithm, model.to_arrays())
    np.testing.assert_array_equal(again.probabilities(given), model.probabilities(given))


def test_next_category__too_sure_of_itself__is_cooled_and_old_files_are_not() -> None:
    model, metrics = categories.learned(
        shoppers(5, people=900), until_us=UNTIL_US, horizon_days=40, rng=rng()
    )
    target = rng().integers(0, 4, 4_000)
    # right in six of ten, and sure of it as if in nearly all
    wrong = rng().random(4_000) < 0.4
    said = np.where(wrong, (target + 1) % 4, target)
    sure = np.full((4_000, 4), 0.01)
    sure[np.arange(4_000), said] = 0.97

    cooled = categories._crosswise(sure, target)

    assert 0.5 < cooled.max() < 0.75
    np.testing.assert_allclose(cooled.sum(axis=1), 1)
    assert all(
        one["log_loss"] < one["raw_log_loss"] + 0.05 for one in metrics["algorithms"].values()
    )
    arrays = model.to_arrays()
    assert float(arrays.pop("temperature")[0]) == metrics["temperature"]
    before = categories.NextCategory.from_arrays(model.algorithm, arrays)
    assert before.temperature == 1


def test_next_category__hardly_any_buyer__says_so() -> None:
    with pytest.raises(TooLittleHistory, match="buyers"):
        categories.learned(shoppers(5, people=20), until_us=UNTIL_US, horizon_days=30, rng=rng())


def test_lookalike__members_of_a_group__find_the_rest_of_it() -> None:
    values, truth = grouped(3, each=300)
    member = (truth == 1) & (np.arange(len(truth)) % 3 == 0)

    model, metrics = lookalike.learned(values, member, rng=rng())

    similarity = model.similarity(values)
    best = lookalike.top(np.arange(len(values)), similarity, member, 150)
    assert metrics["auc"] > 0.85
    assert metrics["members"] == member.sum()
    assert (truth[best] == 1).mean() > 0.95
    assert not member[best].any()
    again = lookalike.Lookalike.from_arrays(model.calibration.method, model.to_arrays())
    np.testing.assert_array_equal(again.similarity(values), similarity)


def test_lookalike__members_drawn_by_lot__auc_is_a_half() -> None:
    values, _ = grouped(3, each=400)
    member = rng().random(len(values)) < 0.2

    _, metrics = lookalike.learned(values, member, rng=rng())

    assert abs(metrics["auc"] - 0.5) < 0.08
    assert metrics["ece"] < 0.12


def test_lookalike__a_handful__says_what_it_takes() -> None:
    values, _ = grouped(3)

    with pytest.raises(lookalike.TooFewMembers, match="20 members"):
        lookalike.learned(values, np.arange(len(values)) < 5, rng=rng())
