"""Rollback of the real configuration: tables follow, some things never go back, all is audited."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from personalization.access.models import AuditEvent
from personalization.access.services import create_key, revoke_key
from personalization.content import services as content
from personalization.content.errors import KeyTaken
from personalization.content.models import Block, Campaign, Placement
from personalization.events.models import EventSchema
from personalization.lib import clock
from personalization.ops import errors, services
from personalization.ops.models import ConfigVersion, JobRun
from recommender.models import Strategy
from recommender.strategies import save_strategy

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def version() -> int:
    """Return the version of a shop with a campaign, a shelf and a strategy of its own."""
    with clock.frozen(NOW):
        content.upsert_placement(key="hero", values={"kind": "content"}, actor="t")
        values = {"placement": "hero", "ends_at": NOW + timedelta(days=1, microseconds=7)}
        content.create_campaign(key="spring", values=values, actor="t")
        content.upsert_block(campaign="spring", key="b", content={"heading": "Spring"}, actor="t")
        content.publish_campaign(key="spring", actor="t")
        save_strategy(key="mine", values={"algorithm": "popularity", "title": "Mine"}, actor="t")
        shelf = {"kind": "recommendations", "strategy": "mine"}
        content.upsert_placement(key="shelf", values=shelf, actor="t")
    return newest().version


def newest() -> ConfigVersion:
    return ConfigVersion.objects.order_by("-version")[0]


def test_rollback__everything_changed__tables_and_bytes_are_those_of_then(version: int) -> None:
    content.upsert_block(campaign="spring", key="b2", content={"heading": "x"}, actor="t")
    content.update_campaign(key="spring", values={"ends_at": None, "priority": 9}, actor="t")
    content.end_campaign(key="spring", actor="t")
    content.delete_campaign(key="spring", actor="t")
    content.delete_placement(key="shelf", actor="t")
    save_strategy(key="mine", values={"exclude_bought_days": 1, "active": False}, actor="t")

    rolled = services.rollback(version=version, actor="t")

    assert rolled.sha256 == ConfigVersion.objects.get(version=version).sha256
    assert Campaign.objects.get().status == "published"
    assert Block.objects.get().content == {"heading": "Spring"}
    assert Strategy.objects.get(key="mine").active
    assert services.publish(actor="t").version == rolled.version


def test_rollback__made_since__ended_or_gone_and_never_lost(version: int) -> None:
    content.upsert_placement(key="new", values={"kind": "content"}, actor="t")
    content.create_campaign(key="summer", values={"placement": "new"}, actor="t")
    content.upsert_block(campaign="summer", key="s", content={"heading": "Summer"}, actor="t")
    content.publish_campaign(key="summer", actor="t")
    content.upsert_placement(key="empty", values={"kind": "content"}, actor="t")
    EventSchema.objects.create(name="Own", built_in=False)

    services.rollback(version=version, actor="t")

    assert Campaign.objects.get(key="summer").status == "ended"
    assert Block.objects.get(key="s").content == {"heading": "Summer"}
    assert not Placement.objects.get(key="new").active
    assert not Placement.objects.filter(key="empty").exists()
    assert not EventSchema.objects.filter(name="Own").exists()
    assert EventSchema.objects.filter(built_in=True).exists()


def test_rollback__blocks_swapped_keys__swapped_back(version: int) -> None:
    content.create_campaign(key="other", values={"placement": "hero"}, actor="t")
    content.upsert_block(campaign="other", key="c", content={"heading": "C"}, actor="t")
    content.publish_campaign(key="other", actor="t")
    before = newest().version
    content.upsert_block(campaign="spring", key="z", content={"heading": "Spring"}, actor="t")
    content.upsert_block(campaign="other", key="b", content={"heading": "C"}, actor="t")

    services.rollback(version=before, actor="t")

    owners = dict(Block.objects.values_list("campaign__key", "key"))
    assert owners == {"spring": "b", "other": "c"}


def test_rollback__block_key_is_anothers_now__refused_and_nothing_changed(version: int) -> None:
    content.upsert_block(campaign="spring", key="z", content={"heading": "Spring"}, actor="t")
    content.create_campaign(key="draft", values={"placement": "hero"}, actor="t")
    content.upsert_block(campaign="draft", key="b", content={"heading": "D"}, actor="t")
    before = newest().version

    with pytest.raises(KeyTaken):
        services.rollback(version=version, actor="t")

    assert newest().version == before
    assert Block.objects.get(campaign__key="spring").key == "z"


def test_rollback__key_revoked_since__stays_revoked(version: int) -> None:
    row, _ = create_key(name="k", kind="public", actor="t")
    before = newest().version
    revoke_key(key_id=row.pk, actor="t")
    content.end_campaign(key="spring", actor="t")

    services.rollback(version=before, actor="t")

    assert f'"id":{row.pk},' not in newest().body
    assert Campaign.objects.get(key="spring").status == "published"


def test_rollback__done__is_audited_and_nothing_to_do_is_not(version: int) -> None:
    services.rollback(version=version, actor="t")
    assert not AuditEvent.objects.filter(action="rollback").exists()
    content.end_campaign(key="spring", actor="t")

    rolled = services.rollback(version=version, actor="kim")

    told = AuditEvent.objects.get(action="rollback")
    assert (told.actor, told.object_id) == ("kim", str(rolled.version))
    assert told.after == {"version": rolled.version, "restored": version}


def test_publish__strategy_that_a_placement_names_is_gone__refused(version: int) -> None:
    Strategy.objects.filter(key="mine").delete()
    with pytest.raises(errors.ConfigInvalid) as caught:
        services.publish(actor="t")
    assert caught.value.details[0].path == "content.placements[1].strategy"


def test_placement__unknown_strategy__refused_at_save(client: Any) -> None:
    _, key = create_key(name="office", kind="secret", actor="t")
    body = {"key": "shelf", "kind": "recommendations", "strategy": "nope"}
    response = client.post(
        "/api/placements/", body, content_type="application/json", headers={"X-API-Key": key}
    )
    assert response.status_code == 422
    assert response.json()["error"]["details"][0]["path"] == "strategy"
    assert not Placement.objects.exists()


def test_jobs__cancelled_and_resumed_by_a_key__are_in_the_trail(client: Any) -> None:
    row, key = create_key(name="office", kind="secret", actor="t")
    run = services.start_run(kind="import", slot="a")
    assert run is not None
    headers = {"X-API-Key": key}
    for _ in range(2):
        client.post(f"/api/jobs/{run.pk}/cancel/", headers=headers)
    JobRun.objects.filter(pk=run.pk).update(status=JobRun.Status.CANCELLED)
    client.post(f"/api/jobs/{run.pk}/resume/", headers=headers)

    trail = AuditEvent.objects.filter(object_type="ops.jobrun").order_by("id")
    assert list(trail.values_list("action", flat=True)) == ["cancel", "resume"]
    assert {told.actor for told in trail} == {f"key:{row.pk}"}
