"""`/api/learned-models/`: read, learn, promote, roll back, stop; by role, scope and consent."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.consent.models import ConsentState
from personalization.ops.models import JobRun
from segments.learning import fits, services
from segments.learning.tasks import fit as fit_task
from segments.models.learning import LearnedModel, Score
from tests.access.test_api import code, member
from tests.recommender.shop import NOW
from tests.segments.learning.shop import habits
from tests.segments.people import server

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = "/api/learned-models/"
KINDS = services.cluster_recipe("kinds", algorithm="kmeans", k=3)
BODY: dict[str, Any] = {"key": "kinds", "algorithm": "hdbscan", "least_share": 0.05}


def post(client: Client, address: str, body: Any = None, **headers: str) -> Any:
    return client.post(address, body or {}, content_type="application/json", headers=headers)


def version(number: int, status: str, key: str = "kinds", **values: Any) -> LearnedModel:
    """A version of no files, judged by what its kind is judged by."""
    recipe = {"key": key, "kind": "cluster", "title": key, "config": dict(KINDS.config)}
    return LearnedModel.objects.create(
        key=key,
        kind="cluster",
        version=number,
        status=status,
        algorithm="kmeans",
        manifest={"facts": {"recipe": recipe}},
        metrics={"k": 3, "accuracy": 0.9},
        created_at=NOW,
        **values,
    )


def test_fit__by_a_key__learns_by_consent_and_is_told_with_its_figures(shop: Path) -> None:
    who = habits(150)
    refusing = who[0].customer_id
    ConsentState.objects.create(customer_id=refusing, denied=2, updated_at=NOW)
    client = server("admin")

    asked = post(client, ROOT, {"key": "kinds", "algorithm": "kmeans", "k": 3})
    fit_task(JobRun.objects.get(pk=asked.json()["id"]).slot)

    assert (asked.status_code, asked.json()["status"]) == (202, "pending")
    [listed] = client.get(ROOT, {"key": "kinds", "status": "live"}).json()["results"]
    assert (listed["version"], listed["kind"], listed["run"]) == (1, "cluster", asked.json()["id"])
    assert "manifest" not in listed
    told = client.get(f"{ROOT}{listed['id']}/").json()
    assert told["quality"].startswith("3 clusters")
    assert told["metrics"]["customers"] == told["manifest"]["facts"]["customers"]
    assert told["scored"]["customers"] == told["metrics"]["customers"]
    assert sum(told["scored"]["sizes"].values()) == told["scored"]["customers"]
    held = Score.objects.filter(key="cluster:kinds").values_list("customer_id", flat=True)
    assert len(held) == told["metrics"]["customers"]
    assert refusing not in held


def test_promote_and_rollback__by_a_key__move_the_pointer(shop: Path) -> None:
    habits(120)
    for hours in (0, 1):
        later = NOW + timedelta(hours=hours)
        services.learn(slot=f"s{hours}", actor="test", now=later, recipes=[KINDS])
    first, second = LearnedModel.objects.order_by("version")
    client = server("admin")

    back = post(client, f"{ROOT}{second.pk}/rollback/").json()
    forth = post(client, f"{ROOT}{second.pk}/promote/").json()

    assert [(one["id"], one["status"]) for one in (back, forth)] == [
        (first.pk, "live"), (second.pk, "live"),
    ]  # fmt: skip
    assert back["metrics"]["k"] == 3
    assert AuditEvent.objects.filter(action="promote", actor__startswith="key:").count() == 2


@pytest.mark.parametrize(
    ("change", "status", "path"),
    [
        ({"algorithm": "magic"}, 422, "algorithm"),
        ({"key": ""}, 422, "key"),
        ({"features": "orders"}, 422, "features"),
        ({"key": "My Kinds"}, 422, "key"),
        ({"k": 4}, 422, "k"),
        ({"least_share": 0.9}, 422, "least_share"),
        ({"features": ["luck"]}, 422, "features"),
        ({"features": ["orders", "sessions", "orders"]}, 422, "features"),
        ({"key": "churn_30d"}, 409, "key"),
        ({"key": "underway"}, 409, "key"),
    ],
)
def test_fit__fault__is_named_with_its_path(
    shop: Path, change: dict[str, Any], status: int, path: str
) -> None:
    client = server("admin")
    post(client, ROOT, {**BODY, "key": "underway"})

    refused = post(client, ROOT, {**BODY, **change})

    assert refused.status_code == status
    assert [one["path"].partition("[")[0] for one in refused.json()["error"]["details"]] == [path]
    assert JobRun.objects.count() == 1


def test_list__filters__known_alone(shop: Path) -> None:
    version(1, "retired")
    version(2, "live")
    version(1, "live", key="others")
    client = server("admin")

    def found(**query: str) -> list[tuple[str, int]]:
        rows = client.get(ROOT, query).json()["results"]
        return [(one["key"], one["version"]) for one in rows]

    assert found() == [("kinds", 1), ("kinds", 2), ("others", 1)]
    assert found(key="kinds", status="live") == [("kinds", 2)]
    assert found(kind="lookalike") == []
    for query in ({"kind": "magic"}, {"status": "asleep"}, {"colour": "red"}):
        refused = client.get(ROOT, query)
        assert refused.status_code == 400
        assert [one["path"] for one in refused.json()["error"]["details"]] == list(query)


def test_stop_and_fit_again__own_model__ends_and_begins(shop: Path) -> None:
    own, standard = version(1, "live"), version(1, "live", key="customers")
    client = server("admin")

    stopped = post(client, f"{ROOT}{own.pk}/stop/")
    again = post(client, f"{ROOT}{own.pk}/stop/")
    refused = post(client, f"{ROOT}{standard.pk}/stop/")
    asked = post(client, f"{ROOT}{own.pk}/fit/")
    twice = post(client, f"{ROOT}{own.pk}/fit/")

    assert [one.status_code for one in (stopped, again, refused)] == [204, 404, 409]
    assert (code(again), code(refused)) == ("model_unknown", "standard_model")
    assert (asked.status_code, asked.json()["kind"]) == (202, fits.RUN_KIND)
    assert (twice.status_code, code(twice)) == (409, "fit_underway")


def test_write__same_idempotency_key__starts_one(shop: Path) -> None:
    client = server("admin")

    answers = [post(client, ROOT, BODY, **{"Idempotency-Key": "once"}) for _ in range(2)]

    assert {(one.status_code, one.json()["id"]) for one in answers} == {
        (202, JobRun.objects.get().pk)
    }


def test_roles_and_scopes__each_address__asks_for_its_own(shop: Path) -> None:
    row = version(1, "retired", promoted_at=NOW)
    version(2, "live")
    mine = f"{ROOT}{row.pk}/"
    writes = [ROOT, *(f"{mine}{name}/" for name in ("promote", "rollback", "fit", "stop"))]
    viewer, narrow = member("viewer"), server("decide")

    for address in (ROOT, mine):
        assert viewer.get(address).status_code == 200
        assert (narrow.get(address).status_code, Client().get(address).status_code) == (403, 401)
    for address in writes:
        refused = post(viewer, address, BODY)
        assert (refused.status_code, code(refused)) == (403, "role_missing")
        assert post(narrow, address, BODY).status_code == 403
        assert post(Client(), address, BODY).status_code == 401
    assert not JobRun.objects.exists()
    assert post(member("editor"), ROOT, BODY).status_code == 202
    assert viewer.get(f"{ROOT}999999/").status_code == 404


@pytest.mark.parametrize("query", ["key=%00", "kind=nope", "status=LIVE", "page_size=0"])
def test_list__a_filter_of_nothing__is_named(shop: Path, query: str) -> None:
    answer = server("admin").get(f"{ROOT}?{query}")

    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]["message"]
