"""From the log to what serves: runs, the gate, promotion, roll-back, damaged files."""

from datetime import timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from personalization.access.models import AuditEvent
from personalization.catalog.models import UnknownItem
from personalization.catalog.services import delete_products
from personalization.customers.models import Profile
from personalization.lib import clock
from personalization.lib.errors import Conflict, Unprocessable
from personalization.ops import serve as config
from personalization.ops import services as jobs
from personalization.ops.errors import Cancelled
from personalization.ops.models import JobRun
from recommender import live, registry, searching, services
from recommender.engine.algorithms import RECIPES
from recommender.engine.gate import Evidence, objection
from recommender.engine.training import BLENDS, Fitted, facts_of
from recommender.models import ModelVersion
from recommender.strategies import save_strategy
from recommender.tasks import retrain, search
from tests.recommender import contract
from tests.recommender.shop import NOW, customer, events, two_tastes, viewed
from tests.recommender.stocked import ask

LATER = NOW + timedelta(hours=1)
NAMES = ("popularity", "item_knn", "bought_together", "blend_home")


def train(slot: str, **options: object) -> list[services.Trained] | None:
    return services.train(slot=slot, actor="test", now=NOW, **options)  # type: ignore[arg-type]


def damage(storage: Path, sha256: str) -> None:
    path = max((storage / sha256).glob("*.npy"), key=lambda p: p.stat().st_size)
    path.write_bytes(path.read_bytes()[:-3])


def test_train__two_tastes__models_beat_popularity_and_serve(shop: Path) -> None:
    two_tastes()
    events([viewed(customer("last"), "ghost", 1)])

    trained = train("s1", models=NAMES)

    assert trained is not None
    assert {one.model: one.status for one in trained} == dict.fromkeys(NAMES, "live")
    knn = trained[1].metrics
    assert knn["Recall@20"] >= knn["popularity"]["Recall@20"]
    assert knn["intervals"]["NDCG@20"][0] <= knn["NDCG@20"] <= knn["intervals"]["NDCG@20"][1]
    assert knn["users"] == 80
    assert set(live.refresh()) == {"popularity", "item_knn", "bought_together"}
    home = live.blends()["blend_home"].blend
    assert dict(home.sources)["item_knn"] > 0
    assert list(UnknownItem.objects.values_list("key", "events")) == [("ghost", 1)]
    run = JobRun.objects.get(kind=services.RUN_KIND)
    assert (run.status, run.done, run.total) == ("succeeded", 5, 5)


def test_train__same_slot_again__nothing(shop: Path) -> None:
    two_tastes(8)
    train("s1", models=["popularity"])

    assert train("s1", models=["popularity"]) is None
    assert ModelVersion.objects.count() == 1


def test_retrain_task__twice__trains_once(shop: Path) -> None:
    two_tastes(8)
    retrain()
    number = JobRun.objects.count()
    retrain(slot=JobRun.objects.get().slot)

    assert (number, JobRun.objects.count()) == (1, 1)
    assert ModelVersion.objects.filter(algorithm="popularity").count() == 1


def test_retrain_task__a_strategy_names_another_model__it_is_trained_and_serves(
    shop: Path,
) -> None:
    two_tastes(8)
    values = {"title": "Rising", "algorithm": "trending", "params": {}}
    save_strategy(key="rising", values=values, actor="test")
    config.reload()
    retrain()

    live.refresh()
    assert ask("rising").degraded == ()
    assert {item.source for item in ask("rising").items} == {"trending"}


def test_due_models__what_active_strategies_name_and_groups_hold__blends_last(shop: Path) -> None:
    before = services.due_models()
    person = customer("one").customer
    Profile.objects.create(customer=person, country="DE", updated_at=NOW)
    named = [{"algorithm": "ease"}, {"algorithm": "content", "seeds": ["item"]}]
    given = {"title": "Mine", "algorithm": "popularity", "params": {}, "sources": named}
    save_strategy(key="mine", values=given, actor="test")
    save_strategy(key="off", values={**given, "sources": [], "algorithm": "svd"}, actor="test")
    save_strategy(key="off", values={"active": False}, actor="test")
    after = services.due_models()

    assert before == services.ALL
    assert set(after) - set(before) == {"ease", "content", "popular_in_group"}
    assert after[-len(BLENDS) :] == tuple(BLENDS)


def test_train__a_named_model_is_too_dear__refused_with_its_estimate_and_the_others_go_on(
    shop: Path, settings: Any
) -> None:
    two_tastes(8)
    settings.TRAIN_MODEL_GB = 1e-5
    trained = train("s1", models=["ease", "popularity"])

    assert trained is not None
    assert [one.status for one in trained] == ["refused", "live"]
    assert "would take about" in trained[0].reason


def test_retrain_task__empty_shop__its_first_events_find_the_slot_free(shop: Path) -> None:
    retrain()
    runs = JobRun.objects.count()
    two_tastes(8)
    retrain()

    assert runs == 0
    assert live.refresh()["popularity"].number == 1


def test_retrain_task__worker_died__a_later_beat_of_the_night_trains(shop: Path) -> None:
    two_tastes(8)
    slot = services.slot_at(NOW)
    jobs.start_run(kind=services.RUN_KIND, slot=slot)
    retrain()
    before = ModelVersion.objects.count()
    with clock.frozen(NOW + timedelta(minutes=15)):
        retrain()

    assert before == 0
    assert JobRun.objects.get().status == "succeeded"
    assert live.refresh()["popularity"].number == 1


@pytest.mark.django_db(transaction=True)
def test_promote__files_are_fetched__no_transaction_holds_the_processors_back(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_tastes(8)
    train("s1", models=["popularity"])
    ModelVersion.objects.update(status="retired")
    held: list[bool] = []
    load = live.load

    def watched(name: str, number: int, sha256: str) -> live.Live | live.LiveBlend:
        held.append(connection.in_atomic_block)
        return load(name, number, sha256)

    monkeypatch.setattr(live, "load", watched)
    registry.promote(ModelVersion.objects.get().pk, actor="test", now=LATER)

    assert held == [False]


def test_slot__nothing_serves__hourly_then_nightly(shop: Path) -> None:
    two_tastes(8)
    first = services.slot_at(NOW)
    train(first, models=["popularity"])

    assert (first, services.slot_at(LATER)) == ("first 2026-03-01 12h", "nightly 2026-03-01")


def test_train__empty_shop__rejected_with_a_reason_and_the_run_succeeds(shop: Path) -> None:
    trained = train("s1", models=NAMES)

    assert trained is not None
    assert [one.status for one in trained] == ["rejected", "rejected", "rejected", "refused"]
    assert "no interactions" in trained[0].reason
    assert live.refresh() == {}


def test_train__unknown_model__refused_before_a_run(shop: Path) -> None:
    with pytest.raises(Unprocessable):
        train("s1", models=["magic"])

    assert not JobRun.objects.exists()


def test_train__cancelled__stops_and_resumes_where_it_was(shop: Path) -> None:
    two_tastes(8)

    def cancel_at_the_second(_stage: str, done: int, _total: int) -> None:
        if done == 2:
            jobs.request_cancel(JobRun.objects.get().pk, actor="t")

    with pytest.raises(Cancelled):
        train("s1", models=["popularity", "item_knn"], report=cancel_at_the_second)
    cancelled = JobRun.objects.get()
    jobs.resume(cancelled.pk, actor="t")
    train("s1", models=["popularity", "item_knn"])

    assert cancelled.status == "cancelled"
    assert JobRun.objects.get().status == "succeeded"
    assert ModelVersion.objects.filter(algorithm="popularity").count() == 1


def test_train__its_manifest__says_what_it_was_made_of(shop: Path) -> None:
    two_tastes(20)
    train("s1", models=["item_knn"])
    version = ModelVersion.objects.get()
    folder, facts = shop / version.manifest_sha256, version.manifest["facts"]
    stored = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

    assert stored["manifest.json"] == version.manifest_sha256
    told = {f"{name}.npy": one["sha256"] for name, one in version.manifest["arrays"].items()}
    assert stored == {"manifest.json": version.manifest_sha256} | told
    window = [facts[name] for name in ("from_s", "newest_s", "until_s")]
    assert window == [(NOW - timedelta(hours=720.0)).timestamp(), *[NOW.timestamp()] * 2]
    assert [facts[name] for name in ("interactions", "users", "items")] == [280, 20, 20]
    assert facts["config"] == RECIPES["item_knn"].config.to_json()
    assert facts["metrics"]["NDCG@20"] == version.metrics["NDCG@20"]
    assert {"python", "numpy", "scipy", "implicit"} <= set(facts["libraries"])


def test_train__equal_data__equal_files(shop: Path) -> None:
    two_tastes(20)
    train("s1", models=["item_knn"])
    train("s2", models=["item_knn"])

    hashes = ModelVersion.objects.values_list("manifest_sha256", flat=True)
    assert len(set(hashes)) == 1


def test_promote__damaged_files__refused_and_the_previous_serves(shop: Path) -> None:
    two_tastes(20)
    train("s1", models=["item_knn"])
    first = live.refresh()["item_knn"]
    events([viewed(customer("new"), "a1", 1)])
    version = registry.register(
        name="item_knn",
        fitted=Fitted(first.model.to_arrays(), {"interactions": 300, "items": 20}, {}),
        item_keys=first.keys,
        about={},
        run_id=None,
        now=LATER,
    )
    damage(shop, version.manifest_sha256)

    with pytest.raises(Unprocessable, match="cut short"):
        registry.promote(version.pk, actor="test", now=LATER)

    assert live.refresh()["item_knn"] is first


def test_live__pointer_moves_to_damaged_files__previous_serves(
    shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A node whose storage lost bytes after the promotion keeps what it has in memory."""
    two_tastes(20)
    train("s1", models=["item_knn"])
    first = live.refresh()["item_knn"]
    ModelVersion.objects.update(status="retired")
    broken = ModelVersion.objects.get()
    broken.pk, broken.run, broken.number = None, None, 2
    broken.manifest_sha256, broken.status = "0" * 64, "live"
    broken.save()

    assert live.refresh()["item_knn"] is first
    assert live.refresh()["item_knn"] is first


def test_rollback__after_two__the_first_serves_again(shop: Path) -> None:
    two_tastes(20)
    train("s1", models=["popularity"])
    events([viewed(customer("new"), "a1", 0.1)])
    services.train(slot="s2", actor="test", now=LATER, models=["popularity"])

    back = registry.rollback("popularity", actor="ann", now=LATER + timedelta(hours=1))

    assert (back.number, live.refresh()["popularity"].number) == (1, 1)
    assert AuditEvent.objects.filter(action="promote", actor="ann").count() == 1
    assert ModelVersion.objects.filter(algorithm="popularity", status="live").count() == 1


def test_rollback__nothing_before__conflict(shop: Path) -> None:
    with pytest.raises(Conflict):
        registry.rollback("popularity", actor="ann", now=NOW)


GOOD = {"NDCG@20": 0.3, "users": 100, "popularity": {"NDCG@20": 0.2}}
# of what is new to somebody, as pages show it
BAD = GOOD | {"NDCG@20": 0.1}
NEW = GOOD | {"NDCG@20": 0.21}


@pytest.mark.parametrize(
    ("candidate", "before", "words"),
    [
        (Evidence(100, 10, GOOD), None, ""),
        (Evidence(0, 0, {}), None, "no interactions"),
        (Evidence(100, 10, GOOD), Evidence(201, 10, GOOD), "is an import broken"),
        (Evidence(100, 10, GOOD), Evidence(100, 21, GOOD), "is an import broken"),
        (Evidence(100, 10, GOOD | {"NDCG@20": 0.2}), None, "does not beat popularity"),
        (Evidence(100, 10, GOOD), Evidence(100, 10, GOOD | {"NDCG@20": 0.5}), "fell from"),
        (Evidence(100, 10, GOOD), Evidence(100, 10, GOOD | {"NDCG@20": 0.4}), ""),
        (Evidence(100, 10, GOOD | {"NDCG@20": 0.1, "users": 29}), None, ""),
        (Evidence(100, 10, GOOD | {"discovery": BAD}), None, "0.1000 does not beat"),
        (Evidence(100, 10, GOOD | {"discovery": BAD | {"users": 29}}), None, ""),
        (Evidence(100, 10, GOOD | {"discovery": NEW}), Evidence(100, 10, GOOD), ""),
        (
            Evidence(100, 10, GOOD | {"discovery": NEW}),
            Evidence(100, 10, GOOD | {"discovery": NEW | {"NDCG@20": 0.6}}),
            "fell from the live model's 0.6000",
        ),
        (Evidence(100, 20, GOOD, top_share=0.51), None, "does a tag send it on every page"),
        (Evidence(100, 19, GOOD, top_share=0.51), None, ""),
        (Evidence(100, 20, GOOD, 5.0), Evidence(100, 20, GOOD, 5.0), "nothing new happened"),
        (Evidence(100, 20, GOOD, 6.0), Evidence(100, 20, GOOD, 5.0), ""),
        (
            Evidence(100, 20, GOOD, 5.0, settings={"half_life_days": 9}),
            Evidence(100, 20, GOOD, 5.0, settings={"half_life_days": 30}),
            "",
        ),
    ],
)
def test_gate(candidate: Evidence, before: Evidence | None, words: str) -> None:
    found = objection(candidate, before, is_popularity=False)

    assert words in found if words else found == ""


def test_gate__data_halved__live_model_stays(shop: Path) -> None:
    two_tastes(20)
    train("s1", models=["popularity"])
    delete_products([f"a{n}" for n in range(10)] + ["b1"], actor="test", now=NOW)

    trained = train("s2", models=["popularity"])

    assert trained is not None
    assert trained[0].status == "rejected"
    assert live.refresh()["popularity"].number == 1


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("popularity", "live", ""),
        ("item_knn", "rejected", "NDCG@20 0.2000 does not beat popularity's 0.2000"),
    ],
)
def test_gate__no_better_than_popularity__popularity_alone_serves(
    shop: Path, name: str, status: str, reason: str
) -> None:
    data, recipe = contract.interactions(), RECIPES[name]
    model = recipe.algorithm.fit(data, recipe.config, as_of_s=contract.AS_OF_S)
    made = registry.register(
        name=name,
        fitted=Fitted(model.to_arrays(), facts_of(data), GOOD | {"NDCG@20": 0.2}),
        item_keys=[str(row) for row in range(data.n_items)],
        about={"mode": registry.FULL, "until_s": 0.0},
        run_id=None,
        now=NOW,
    )

    found = registry.gate(made, actor="test", now=NOW)

    assert (found.status, found.reason) == (status, reason)


def test_train_command__strategy__trains_its_ladder_and_prints_a_table(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_tastes(20)

    call_command("train", strategy="similar", stdout=StringIO())

    printed = capsys.readouterr().out
    assert "item_knn" in printed
    assert "NDCG@20" in printed
    assert set(ModelVersion.objects.values_list("algorithm", flat=True)) == {
        "popularity",
        "item_knn",
    }


def test_train_command__model_disk_cannot_be_written__said_and_the_run_tells_it(
    shop: Path,
) -> None:
    two_tastes(8)
    shop.write_bytes(b"no folder")

    with pytest.raises(CommandError, match=r"\(MODEL_DIR\) cannot be written"):
        call_command("train", models=["popularity"], stdout=StringIO())

    assert "MODEL_DIR" in JobRun.objects.get().error


def test_train_command__nothing_can_be_laid_out__said(shop: Path, settings: Any) -> None:
    two_tastes(8)
    settings.LOCAL_DIR = shop.parent / "file" / "local"
    (shop.parent / "file").write_bytes(b"no folder")

    with pytest.raises(CommandError, match="Not a directory"):
        call_command("train", models=["popularity"], stdout=StringIO())


@pytest.mark.parametrize(
    ("task", "kind"), [(retrain, services.RUN_KIND), (search, searching.RUN_KIND)]
)
def test_task__its_run_is_stopped__no_error(
    shop: Path, settings: Any, task: Any, kind: str
) -> None:
    two_tastes(8)
    settings.RECOMMENDER_SEARCH_MINUTES = 1
    JobRun.objects.create(
        kind=kind, slot="s", params={"models": [], "minutes": 1}, cancel_requested=True,
        created_at=NOW,
    )  # fmt: skip

    task(slot="s")

    assert JobRun.objects.get().status == "cancelled"


def test_train_command__unknown_strategy__says_which_exist(shop: Path) -> None:
    with pytest.raises(CommandError, match="for-you"):
        call_command("train", strategy="magic")
