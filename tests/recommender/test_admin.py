"""The registry and the strategies in the admin: who may, what is written, what is shown."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.ops.models import ConfigVersion
from recommender import services
from recommender.models import ModelVersion, Strategy
from tests.recommender.shop import NOW, two_tastes


@pytest.fixture
def staff(shop: Path, client: Client) -> Client:
    """A signed-in member of staff who may do all."""
    client.force_login(User.objects.create_superuser("ann", password="x" * 20))
    return client


def _train_twice() -> tuple[ModelVersion, ModelVersion]:
    two_tastes(20)
    for slot in ("s1", "s2"):
        services.train(slot=slot, actor="test", now=NOW, models=["popularity"])
    first, second = ModelVersion.objects.order_by("number")
    return first, second


def test_registry__pages__show_metrics_beside_popularity(staff: Client) -> None:
    first, _ = _train_twice()

    listed = staff.get("/admin/recommender/modelversion/")
    shown = staff.get(f"/admin/recommender/modelversion/{first.pk}/change/")

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert "NDCG@20" in shown.content.decode()
    assert "live (v2" in shown.content.decode()


def test_registry__promote_action__moves_the_pointer(staff: Client) -> None:
    first, _ = _train_twice()

    staff.post(
        "/admin/recommender/modelversion/",
        {"action": "promote", "_selected_action": [first.pk]},
    )

    first.refresh_from_db()
    assert first.status == "live"
    assert AuditEvent.objects.filter(action="promote", actor="ann").exists()


def test_strategy__edited__audited_and_published(staff: Client) -> None:
    row = Strategy.objects.get(key="similar")
    before = ConfigVersion.objects.count()

    staff.post(
        f"/admin/recommender/strategy/{row.pk}/change/",
        {
            "title": "Alike",
            "algorithm": "item_knn",
            "params": '{"seeds": ["item"]}',
            "fallback": "popular",
            "exclude_bought_days": "7",
            "active": "on",
        },
    )

    row.refresh_from_db()
    assert row.exclude_bought_days == 7
    assert ConfigVersion.objects.count() == before + 1
    assert AuditEvent.objects.filter(object_type="recommender.strategy", actor="ann").exists()


def test_strategy__circle__refused_at_its_field(staff: Client) -> None:
    row = Strategy.objects.get(key="popular")

    answer = staff.post(
        f"/admin/recommender/strategy/{row.pk}/change/",
        {
            "title": "Popular",
            "algorithm": "popularity",
            "params": "{}",
            "fallback": "similar",
            "exclude_bought_days": "7",
        },
    )

    assert "leads back to itself" in answer.content.decode()
    row.refresh_from_db()
    assert row.fallback == ""


@pytest.mark.parametrize("path", ["strategy/", "strategy/add/", "modelversion/"])
def test_pages__empty_or_not__open(staff: Client, path: str) -> None:
    assert staff.get(f"/admin/recommender/{path}").status_code == 200
