"""The registry and the strategies in the admin: who may, what is written, what is shown."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.ops.models import ConfigVersion
from recommender.models import Strategy
from tests.recommender.test_result_pages import two_versions


@pytest.fixture
def staff(shop: Path, client: Client) -> Client:
    """A signed-in member of staff who may do all."""
    client.force_login(User.objects.create_superuser("ann", password="x" * 20))
    return client


def test_registry__promote_action__moves_the_pointer(staff: Client) -> None:
    first, _ = two_versions()

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
