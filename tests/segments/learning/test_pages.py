"""Charts on the page of a learned model: what stands at their sides and below them."""

from datetime import timedelta
from typing import Any

import pytest

from personalization.lib.charts import Chart
from segments.learning import pages
from segments.models.learning import LearnedModel, Observation
from tests.recommender.shop import NOW

pytestmark = pytest.mark.django_db
SCORED = {"log_loss": 0.2, "brier": 0.1, "ece": 0.01, "auc": 0.8}
PROPENSITY: dict[str, Any] = {
    "algorithms": {"logistic": {**SCORED, "raw": SCORED}},
    "best": "logistic",
    "base": SCORED,
    "curve": [[0.02, 0.01, 50], [0.11, 0.13, 50]],
    "weights": [],
    "folds": [{"test_from_us": 0, "test_rows": 50, "train_rows": 90, "share": 0.1}],
}
CLUSTERS: dict[str, Any] = {
    "k": 2,
    "customers": 0,
    "accuracy": 1.0,
    "candidates": [],
    "clusters": [],
    "map": [],
}


def page(kind: str, metrics: dict[str, Any], *seen: dict[str, Any]) -> dict[str, Any]:
    """Return the page of a model that was scored so, a day apart."""
    recipe = {"key": "k", "kind": kind, "title": "k", "config": {}}
    model = LearnedModel.objects.create(
        key="k",
        kind=kind,
        version=1,
        algorithm="kmeans",
        manifest={"facts": {"recipe": recipe}},
        metrics=metrics,
        created_at=NOW,
    )
    for day, values in enumerate(seen):
        at = NOW + timedelta(days=day)
        Observation.objects.create(model=model, as_of=at, customers=50, **values)
    return pages.page_of(model)


def labels(chart: Chart | None) -> tuple[list[str], tuple[str, ...]]:
    """Return what stands at the side of a chart, from the top, and below it."""
    assert chart is not None
    return [one.label for one in chart.grid], chart.across


def moved(psi: float) -> dict[str, Any]:
    found = {"feature": "orders", "psi": psi, "verdict": "steady"}
    return {"drift": {"features": [found]}}


def test_drift__scorings__from_day_to_day_with_the_bound_in_sight() -> None:
    chart = page("propensity", PROPENSITY, moved(0.01), moved(0.02))["drift"]["chart"]
    first, last = f"{NOW:%Y-%m-%d}", f"{NOW + timedelta(days=1):%Y-%m-%d}"

    assert labels(chart) == (["0.3", "0.2", "0.1", "0"], (first, last))
    assert chart.guide
    assert chart.summary == (
        f"Largest PSI of a feature at each scoring: 0.010 ({first}) to 0.020 ({last}),"
        " shifted from 0.25"
    )


def test_drift__one_scoring__is_no_line() -> None:
    drift = page("propensity", PROPENSITY, moved(0.31))["drift"]

    assert drift["chart"] is None
    assert [one["psi"] for one in drift["rows"]] == [0.31]


def test_calibration__rare_things__both_axes_in_percent() -> None:
    assert labels(page("propensity", PROPENSITY)["chart"]) == (
        ["15 %", "10 %", "5 %", "0 %"],
        ("0 %", "5 %", "10 %", "15 %"),
    )


def test_clusters__sizes__are_counted_and_named() -> None:
    sizes = ({"sizes": {"0": 9, "1": 5, "-1": 1}}, {"sizes": {"0": 10, "1": 5}})
    found = page("cluster", CLUSTERS, *sizes)

    assert labels(found["chart"])[0] == ["10", "5", "0"]
    assert [(one.label, one.hue) for one in found["chart"].lines] == [
        ("like nobody else", "noise"),
        ("0", "c0"),
        ("1", "c1"),
    ]


def test_clusters__not_scored__have_no_chart() -> None:
    assert page("cluster", CLUSTERS)["chart"] is None
