"""What the methods reach on public data, in protocols that the figures carry with them."""

import time
from datetime import UTC, datetime
from typing import Any

import numpy as np

from segments.learning.engine import choosing
from segments.learning.engine.calibration import Calibration, quality
from segments.learning.engine.catalogue import PLACE
from segments.learning.engine.classifiers import CLASSIFIERS, Sample
from segments.learning.engine.clusters import ALGORITHMS, ClusterConfig
from segments.learning.engine.clv import Worth, errors
from segments.learning.engine.features import DAY_US, Events, Floats, Ints, feature_matrix
from segments.learning.engine.purchases import Histories, histories, worth
from segments.learning.engine.segmentation import Segmentation, chosen_k, told

RFM = ("days_since_order", "orders", "revenue_minor")
_FOLDS = 10


def rfm_clusters(events: Events, *, seed: int) -> dict[str, Any]:
    """Return clusters of customers by recency, frequency and monetary value, by every algorithm."""
    as_of = int(events.at_us.max())
    values = feature_matrix(events, as_of_us=as_of).values
    config = ClusterConfig(k=0)
    k, listed = chosen_k(
        values, algorithm="kmeans", config=config, rng=np.random.default_rng(seed), features=RFM
    )
    figures = {}
    for name in ALGORITHMS:
        begun = time.perf_counter()
        model = Segmentation.fit(
            values,
            algorithm=name,
            config=ClusterConfig(k=k),
            rng=np.random.default_rng(seed),
            features=RFM,
        )
        fit_s = time.perf_counter() - begun
        found = told(model, values, rng=np.random.default_rng(seed))
        labels = model.labels(values)
        sample = np.random.default_rng(seed).permutation(len(values))[: choosing.SAMPLE]
        figures[name] = {
            "clusters": model.clustering.n_clusters,
            "noise": float(np.mean(labels < 0)),
            "silhouette": choosing.separation(model.points(values)[sample], labels[sample]),
            "accuracy": found["accuracy"],
            "fit_s": fit_s,
            "told": found["clusters"],
        }
    return {
        "protocol": (
            f"{len(values):,} customers as of {_day(as_of)}: days since the last order, orders,"
            f" revenue; log, robust scale, PCA; k by silhouette among bootstrap ARI >="
            f" {choosing.STABLE}, sample of {choosing.SAMPLE:,}; seed {seed}"
        ),
        "k": k,
        "candidates": [one.to_json() for one in listed],
        "algorithms": figures,
        "values": {name: _described(values[:, PLACE[name]]) for name in RFM},
    }


def lifetime_value(events: Events, *, days: float) -> dict[str, Any]:
    """Return BG/NBD + Gamma-Gamma against the naive rate on the last `days` of a purchase log."""
    end = int(events.at_us.max())
    cut = end - int(days * DAY_US)
    seen = histories(events, as_of_us=cut)
    came, paid = worth(events, seen.customers, after_us=cut, until_us=end)
    begun = time.perf_counter()
    model = Worth.fit(seen)
    fit_s = time.perf_counter() - begun
    n, g = model.purchases, model.orders
    expected = n.expected(seen.repeats, seen.recency, seen.age, days=days)
    age = np.maximum(seen.age, 1.0)
    rate = (seen.repeats + 1) / age * days
    repeat_rate = seen.repeats / age * days
    return {
        "protocol": (
            f"fitted on orders up to {_day(cut)}, tested on the {days:g} days after;"
            f" {len(seen.customers):,} customers with an order before,"
            f" {int((seen.repeats > 0).sum()):,} of them with a repeat; orders of a day count once;"
            f" naive: what was bought (paid) so far, a day since the first order, times {days:g};"
            " of repeats: without the first day"
        ),
        "params": {"r": n.r, "alpha_days": n.alpha, "a": n.a, "b": n.b},
        "params_worth": {"p": g.p, "q": g.q, "v_minor": g.v},
        "correlation": _correlation(seen),
        "fit_s": fit_s,
        "orders": {
            "BG/NBD": errors(expected, came),
            "naive rate": errors(rate, came),
            "naive rate of repeats": errors(repeat_rate, came),
            "mean of all": errors(np.full(len(came), _mean_before(seen, days)), came),
        },
        "revenue_minor": {
            "BG/NBD + Gamma-Gamma": errors(model.value(seen, days=days), paid),
            "naive rate": errors(seen.paid_minor / age * days, paid),
            "naive rate of repeats": errors(_repeat_paid(seen) / age * days, paid),
        },
        "actual": {"orders": float(came.sum()), "revenue_minor": float(paid.sum())},
        "deciles": _deciles(model.value(seen, days=days), paid),
    }


def session_propensity(sample: Sample, *, seed: int) -> dict[str, Any]:
    """Return ten-fold cross-validated figures of each classifier on a sample, calibrated or not.

    Folds are stratified and drawn by lot: the data has no time of a session but its month.
    Calibration is fitted on a tenth of each training part.
    """
    fold = _stratified(sample.target, seed)
    figures: dict[str, Any] = {}
    for name, kind in CLASSIFIERS.items():
        begun = time.perf_counter()
        raw, held = np.zeros(len(fold)), np.zeros(len(fold))
        for one in range(_FOLDS):
            rng = np.random.default_rng((seed, one))
            test, calibrate = fold == one, fold == (one + 1) % _FOLDS
            model = kind.fit(sample.take(~test & ~calibrate), rng=rng)
            before = model.probabilities(sample.values[calibrate])[:, 1]
            raw[test] = model.probabilities(sample.values[test])[:, 1]
            made = Calibration.fit(before, sample.target[calibrate])
            held[test] = made.apply(raw[test])
        per_fold = [quality(raw[fold == f], sample.target[fold == f])["auc"] for f in range(_FOLDS)]
        figures[name] = {
            "auc": float(np.mean(per_fold)),
            "auc_sd": float(np.std(per_fold, ddof=1)),
            "raw": quality(raw, sample.target),
            "calibrated": quality(held, sample.target),
            "fit_s": time.perf_counter() - begun,
        }
    return {
        "protocol": (
            f"{len(sample.target):,} sessions, {sample.target.mean():.1%} buy; {_FOLDS}-fold"
            f" stratified cross-validation, mean AUC of the folds before calibration; nothing"
            f" tuned on this data; seed {seed}"
        ),
        "models": figures,
    }


def _stratified(target: Ints, seed: int) -> Ints:
    rng = np.random.default_rng(seed)
    fold = np.empty(len(target), np.int64)
    for one in np.unique(target):
        mine = rng.permutation(np.flatnonzero(target == one))
        fold[mine] = np.arange(len(mine)) % _FOLDS
    return fold


def _mean_before(seen: Histories, days: float) -> float:
    """Return the orders a customer and day before the cut, times `days`."""
    return float((seen.repeats + 1).sum() / np.maximum(seen.age, 1.0).sum() * days)


def _repeat_paid(seen: Histories) -> Floats:
    """Return what each customer paid after the first day, minor units."""
    return np.nan_to_num(seen.mean_minor) * seen.repeats


def _correlation(seen: Histories) -> float:
    """Return Pearson's correlation of repeats and mean worth: Gamma-Gamma assumes none."""
    known = seen.repeats > 0
    return float(np.corrcoef(seen.repeats[known], seen.mean_minor[known])[0, 1])


def _deciles(predicted: Floats, actual: Floats) -> list[dict[str, float]]:
    """Return mean predicted and actual of ten equal groups by prediction, the highest first."""
    parts = np.array_split(np.argsort(-predicted, kind="stable"), 10)
    return [
        {"predicted": float(predicted[rows].mean()), "actual": float(actual[rows].mean())}
        for rows in parts
    ]


def _described(column: Floats) -> dict[str, float]:
    known = column[~np.isnan(column)]
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
    return {"quartile": float(low), "median": float(middle), "upper quartile": float(high)}


def _day(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).date().isoformat()
