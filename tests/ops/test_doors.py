"""The doors of the ops room: `/api/jobs/` and the admin pages."""

from datetime import UTC, datetime
from typing import Any

import pytest

from personalization.access.services import create_key
from personalization.ops import services
from personalization.ops.models import ConfigVersion, JobRun

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def run(db: None) -> JobRun:
    started = services.start_run(kind="import", slot="a")
    assert started is not None
    services.advance(started.pk, done=25, total=100)
    return started


def test_api__job__read_cancelled_resumed(run: JobRun, client: Any) -> None:
    _, key = create_key(name="office", kind="secret", actor="t")
    headers = {"X-API-Key": key}
    assert client.get("/api/jobs/", headers=headers).json()["results"][0]["done"] == 25
    stopped = client.post(f"/api/jobs/{run.pk}/cancel/", headers=headers)
    assert stopped.json()["cancel_requested"] is True
    assert client.post(f"/api/jobs/{run.pk}/resume/", headers=headers).status_code == 409
    assert client.get("/api/jobs/?x=1", headers=headers).status_code == 400
    assert client.get("/api/jobs/999/", headers=headers).status_code == 404
    assert client.get("/api/jobs/").status_code == 401


def test_admin__job_list__progress_bar_and_cancel(run: JobRun, admin_client: Any) -> None:
    page = admin_client.get("/admin/ops/jobrun/").content.decode()
    assert '<progress value="25" max="100"></progress> 25 %' in page
    data = {"action": "cancel", "_selected_action": [run.pk]}
    assert admin_client.post("/admin/ops/jobrun/", data).status_code == 302
    run.refresh_from_db()
    assert run.cancel_requested
    services.fail(run.pk, error="x")
    data = {"action": "resume", "_selected_action": [run.pk]}
    admin_client.post("/admin/ops/jobrun/", data)
    run.refresh_from_db()
    assert run.status == "pending"


def test_admin__job_list__at_what_a_run_is__and_one_without_numbers_is_done(
    run: JobRun, admin_client: Any
) -> None:
    services.advance(run.pk, done=100, checkpoint={"stage": "models"})
    nobody = services.start_run(kind="empty", slot="a")
    assert nobody is not None
    services.succeed(nobody.pk)

    page = admin_client.get("/admin/ops/jobrun/").content.decode()

    assert "100 %, now: models" in page
    assert '<td class="field-progress">done</td>' in page


def test_admin__config_version__rolled_back(db: None, admin_client: Any) -> None:
    from personalization.content.services import upsert_placement  # noqa: PLC0415 -- needs Django

    upsert_placement(key="a.b", values={"kind": "content"}, actor="t")
    upsert_placement(key="a.b", values={"count": 3}, actor="t")
    data = {"action": "roll_back", "_selected_action": [1]}
    response = admin_client.post("/admin/ops/configversion/", data, follow=True)
    assert response.status_code == 200
    newest = ConfigVersion.objects.order_by("-version").first()
    assert newest is not None
    assert newest.note == "rollback to 1"
    assert newest.body == ConfigVersion.objects.get(version=1).body
