"""Drift of a model's inputs shows where people look: doctor, the overview, with what mends it."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from personalization.lib import clock
from personalization.monitoring import doctor
from personalization.monitoring.selectors import system_figures
from personalization.ops.models import JobRun
from segments.learning import services
from segments.learning.drifted import LEAST_CUSTOMERS, drifted_models
from segments.models.learning import LearnedModel, Observation
from tests.recommender.shop import NOW

pytestmark = pytest.mark.django_db


def seen(
    key: str, *features: tuple[str, float], days: int = 0, status: str = "live", **values: Any
) -> None:
    """A version with a scoring that found its features so."""
    model, _ = LearnedModel.objects.get_or_create(
        key=key, version=2, defaults={"status": status, "manifest": {}, "created_at": NOW}
    )
    drift: dict[str, Any] = {"features": [{"feature": f, "psi": psi} for f, psi in features]}
    if "score" in values:
        drift["score"] = values.pop("score")
    values.setdefault("customers", LEAST_CUSTOMERS)
    at = NOW + timedelta(days=days)
    Observation.objects.create(model=model, as_of=at, drift=drift, **values)


def finding() -> doctor.Finding:
    return next(one for one in doctor.findings() if one.check == "drift")


def test_doctor_and_overview__shifted__named_with_the_command() -> None:
    seen("purchase_30d", ("days_since_order", 0.31), ("orders", 0.26), ("sessions", 0.2))
    seen("kinds", ("views_7d", 0.4))

    found = finding()
    figure = next(one for one in system_figures(clock.now()) if one.title == "Drift of customers")

    assert (found.warning, found.is_fault) == (True, False)
    assert found.state == (
        "inputs have shifted: kinds v2: products viewed in the last 7 days (PSI 0.40);"
        " purchase_30d v2: days since the latest order (PSI 0.31) and 1 more"
    )
    assert found.fix.startswith("manage.py segment_learn kinds purchase_30d; ")
    assert (figure.value, figure.as_of) == ("0.40", NOW)
    assert figure.table is not None
    assert len(figure.table.rows) == 2


@pytest.mark.parametrize(
    ("psi", "values"),
    [
        (0.24, {}),
        (0.9, {"customers": LEAST_CUSTOMERS - 1}),
        (0.9, {"status": "retired"}),
    ],
)
def test_doctor_and_overview__steady_or_too_few_or_not_serving__say_nothing(
    psi: float, values: dict[str, Any]
) -> None:
    seen("kinds", ("orders", psi), **values)

    assert finding().fix == ""
    assert "Drift of customers" not in {one.title for one in system_figures(clock.now())}


def test_drifted__latest_scoring__alone_counts() -> None:
    seen("mended", ("orders", 0.9))
    seen("mended", ("orders", 0.01), days=1)
    seen("worse", ("orders", 0.01))
    seen("worse", ("gone_from_the_catalogue", 0.3), days=1, score=0.5)

    [found] = drifted_models()

    assert str(found) == "worse v2: its own answers (PSI 0.50) and 1 more"
    assert found.as_of == NOW + timedelta(days=1)


@pytest.mark.django_db(transaction=True)
def test_learn_command__own_model__is_known_by_its_key(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = services.cluster_recipe("kinds", algorithm="kmeans", k=3)
    facts = {"facts": {"recipe": asdict(recipe)}}
    LearnedModel.objects.create(
        key="kinds", kind="cluster", version=1, status="live", manifest=facts, created_at=NOW
    )

    with pytest.raises(CommandError, match=r"no model is called 'luck'; there are .*kinds"):
        call_command("segment_learn", "luck")
    # the version has no files to score by
    with pytest.raises(CommandError, match="an artifact is named"):
        call_command("segment_learn", "kinds")

    run = JobRun.objects.get(kind=services.LEARN_KIND)
    assert (run.params, run.status) == ({"models": ["kinds"]}, "succeeded")
    told = capsys.readouterr()
    assert "it takes 100 customers" in told.out
    assert told.err.startswith("done")
