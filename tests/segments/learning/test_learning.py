"""From the log to scores that rules read: runs, the gate, promotion, roll-back, damage, consent."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection

from personalization.access.models import AuditEvent
from personalization.consent.models import ConsentState
from personalization.customers.models import Customer
from personalization.lib import artifacts, clock
from personalization.lib.errors import Conflict, Unprocessable
from personalization.ops.models import JobRun
from segments.learning import members, registry, scores, scoring, services
from segments.learning.engine.recipes import RECIPES, Recipe
from segments.learning.scores import Owned
from segments.learning.tasks import learn as learn_task
from segments.learning.tasks import score as score_task
from segments.models.learning import LearnedModel, Observation, Score
from segments.models.rules import ListMember, Segment
from tests.recommender.shop import NOW, customer, events, viewed
from tests.segments.learning.shop import habits

LATER = NOW + timedelta(hours=7)


# three kinds of customers, no search for their number
KINDS = services.cluster_recipe("kinds", algorithm="kmeans", k=3)


def learn(slot: str, *recipes: Recipe, now: datetime = NOW) -> dict[str, services.Learned]:
    found = services.learn(slot=slot, actor="test", now=now, recipes=recipes)
    assert found is not None
    return {one.key: one for one in found}


def keys() -> set[str]:
    return set(Score.objects.values_list("key", flat=True))


def test_learn__shop_with_habits__every_model_serves_and_scores(shop: Path) -> None:
    habits(240, busy=True)

    # a window of two months: a small shop has few buyers
    recipes = RECIPES | {"next_category": replace(RECIPES["next_category"], config={"days": 60.0})}
    learned = learn("s1", *recipes.values())
    scored = services.score(slot="s1", now=NOW)

    assert {key: (one.status, one.reason) for key, one in learned.items()} == dict.fromkeys(
        RECIPES, ("live", "")
    )
    assert scored is not None
    run = JobRun.objects.get(kind=services.SCORE_KIND)
    assert (run.status, run.done) == (JobRun.Status.SUCCEEDED, run.total)
    everybody = Score.objects.values("customer_id").distinct().count()
    assert scored["customers"] == everybody > 200
    found = keys()
    assert {"purchase_30d", "churn_30d", "value_90d", "alive", "cluster:customers"} <= found
    assert {"feature:orders", "feature:days_since_order", "next_category:toys"} <= found
    eager, others = (
        np.mean(list(rows.values_list("value", flat=True)))
        for rows in (
            Score.objects.filter(key="purchase_30d", customer_id__in=_ids(start))
            for start in (0, 1)
        )
    )
    assert eager > others
    assert Observation.objects.count() == len(RECIPES)
    clusters = Observation.objects.get(model__key="customers")
    assert sum(clusters.sizes.values()) == everybody
    drift = Observation.objects.get(model__key="purchase_30d").drift
    assert drift["features"][0]["psi"] >= drift["features"][-1]["psi"]


def _ids(start: int) -> list[int]:
    """Ids of the eager (0) or of the first of the others (1), in the order of creation."""
    return list(Customer.objects.order_by("pk").values_list("pk", flat=True))[start::3]


def test_learn__same_slot_again__nothing(shop: Path) -> None:
    habits(120)
    learn("s1", KINDS)

    again = services.learn(slot="s1", actor="test", now=NOW, recipes=[KINDS])

    assert again is None
    assert LearnedModel.objects.count() == 1


def test_learn__hardly_any_customer__says_what_is_missing(shop: Path) -> None:
    events([viewed(customer("ann"), "mug", 2)])

    learned = learn("s1", *RECIPES.values())

    assert {one.status for one in learned.values()} == {"untrained"}
    assert "100 customers" in learned["customers"].reason
    assert "windows" in learned["purchase_30d"].reason
    assert JobRun.objects.get().status == "succeeded"


def test_tasks__empty_shop__start_no_run(shop: Path) -> None:
    learn_task()
    score_task()

    assert not JobRun.objects.exists()


def test_tasks__twice__learn_and_score_once(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    habits(120)
    monkeypatch.setattr(services, "due_recipes", lambda: [KINDS])
    for _ in range(2):
        score_task()
        learn_task(slot="n1")
        score_task()

    kinds = sorted(JobRun.objects.values_list("kind", flat=True))
    assert kinds == [services.LEARN_KIND, services.SCORE_KIND]
    assert "cluster:kinds" in keys()


def test_learn__refit__clusters_keep_their_numbers(shop: Path) -> None:
    habits(150)
    learn("s1", KINDS)
    services.score(slot="s1", now=NOW)
    before = dict(Score.objects.filter(key="cluster:kinds").values_list("customer_id", "value"))

    learn("s2", KINDS)
    services.score(slot="s2", now=NOW)

    after = dict(Score.objects.filter(key="cluster:kinds").values_list("customer_id", "value"))
    same = np.mean([after[who] == label for who, label in before.items()])
    assert same > 0.9
    assert LearnedModel.objects.get(key="kinds", status="live").version == 2


def test_learn__mixture__each_membership_is_a_score(shop: Path) -> None:
    habits(120)
    learn("s1", services.cluster_recipe("soft", algorithm="gaussian_mixture", k=3))
    services.score(slot="s1", now=NOW)

    total: dict[int, float] = {}
    for who, value in Score.objects.filter(key__startswith="cluster:soft:").values_list(
        "customer_id", "value"
    ):
        total[who] = total.get(who, 0.0) + value
    assert set(np.round(list(total.values()), 6)) == {1.0}


def test_cluster_recipe__unknown_algorithm__says_which_exist() -> None:
    with pytest.raises(Unprocessable, match="kmeans"):
        services.cluster_recipe("x", algorithm="magic")


def test_learn__minibatch_again__learns_on_and_other_settings_begin_anew(shop: Path) -> None:
    habits(120)
    kinds = services.cluster_recipe("moving", algorithm="minibatch", k=3)
    learn("s1", kinds)
    learn("s2", kinds)
    learn("s3", services.cluster_recipe("moving", algorithm="minibatch", k=4))

    seen = [
        float(artifacts.load(sha256).arrays["cluster_seen"].sum())
        for sha256 in LearnedModel.objects.order_by("version").values_list(
            "manifest_sha256", flat=True
        )
    ]
    customers = LearnedModel.objects.get(version=1).metrics["customers"]
    assert seen[1] == seen[0] + customers
    assert seen[2] == seen[0]
    first, second = LearnedModel.objects.order_by("version")[:2]
    assert [len(one.metrics["candidates"]) for one in (first, second)] == [1, 0]
    bases = [one.manifest["facts"].get("base") for one in LearnedModel.objects.order_by("version")]
    assert bases == [None, 1, None]
    assert [one["label"] for one in second.metrics["clusters"]] == [0, 1, 2]


def test_learn__minibatch_with_damaged_files__begins_anew(shop: Path, settings: Any) -> None:
    habits(120)
    kinds = services.cluster_recipe("moving", algorithm="minibatch", k=3)
    learn("s1", kinds)
    for path in (shop / LearnedModel.objects.get().manifest_sha256).glob("*.npy"):
        path.unlink()
    settings.MODEL_CACHE_DIR = shop / "another-node"

    learned = learn("s2", kinds)

    assert learned["moving"].status == "live"
    assert len(LearnedModel.objects.get(version=2).metrics["candidates"]) == 1


def test_learn__density_of_some_features__noise_is_told_and_their_drift_alone(shop: Path) -> None:
    habits(150)
    used = ["orders", "sessions", "days_since_event"]
    dense = services.cluster_recipe("dense", algorithm="dbscan", features_used=used, reach=0.4)
    learn("s1", dense)
    services.score(slot="s1", now=NOW)

    model = LearnedModel.objects.get()
    seen = Observation.objects.get()
    assert model.metrics["noise"] == seen.sizes["-1"] / sum(seen.sizes.values()) > 0
    assert {one["feature"] for one in seen.drift["features"]} == set(used)


def test_lookalikes__of_a_list__score_everybody(shop: Path) -> None:
    who = habits(150)
    segment = Segment.objects.create(
        key="vips", title="VIPs", kind="list", created_at=NOW, updated_at=NOW
    )
    for one in who[0:120:3]:
        ListMember.objects.create(
            segment=segment, value=one.value, customer_id=one.customer_id, added_at=NOW
        )

    learned = learn("s1", services.lookalike_recipe("vips"))
    services.score(slot="s1", now=NOW)

    assert learned["vips"].status == "live"
    assert len(members.of_segment("vips")) == 40
    assert not len(members.of_segment("nobody"))
    metrics = LearnedModel.objects.get().metrics
    assert metrics["auc"] > 0.7
    ranked = Score.objects.filter(key="lookalike:vips").order_by("-value")
    unlisted = [one.customer_id for one in who[120::3]]
    best = list(
        ranked.exclude(customer_id__in=members.of_segment("vips")).values_list(
            "customer_id", flat=True
        )[:10]
    )
    assert len(set(best) & set(unlisted)) >= 5


def test_score__withdrawn_since__rows_go(shop: Path) -> None:
    who = habits(120)
    learn("s1", KINDS)
    services.score(slot="s1", now=NOW)
    ConsentState.objects.create(customer=who[0].customer, denied=2, updated_at=NOW)

    services.score(slot="s2", now=NOW)

    assert not Score.objects.filter(customer_id=who[0].customer_id).exists()
    assert Score.objects.filter(customer_id=who[1].customer_id).exists()


def test_score__killed_in_between__goes_on_where_it_was(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    habits(120)
    learn("s1", KINDS)
    monkeypatch.setattr(scoring, "GROUP", 50)
    real, calls = scores.replace, []

    def failing(*args: Any, **kwargs: Any) -> int:
        calls.append(kwargs["low"])
        if len(calls) == 2:
            msg = "the lights went out"
            raise OSError(msg)
        return real(*args, **kwargs)

    monkeypatch.setattr(scores, "replace", failing)
    with pytest.raises(OSError, match="lights"):
        services.score(slot="s1", now=NOW)
    found = services.score(slot="s1", now=LATER)

    assert found is not None
    assert found["customers"] == Score.objects.values("customer_id").distinct().count()
    assert len(calls) == 4
    assert calls[1] == calls[2]
    assert set(Score.objects.values_list("as_of", flat=True)) == {NOW}


def test_retire__live_model__next_scoring_removes_its_rows(shop: Path) -> None:
    habits(120)
    learn("s1", KINDS, services.cluster_recipe("others", algorithm="kmeans", k=2))
    services.score(slot="s1", now=NOW)

    registry.retire("kinds", actor="ann")
    services.score(slot="s2", now=NOW)

    assert "cluster:kinds" not in keys()
    assert "cluster:others" in keys()
    assert AuditEvent.objects.filter(action="retire", actor="ann").count() == 1


def test_promote_and_roll_back__pointer_moves_and_is_audited(shop: Path) -> None:
    habits(120)
    learn("s1", KINDS)
    learn("s2", KINDS, now=NOW + timedelta(hours=1))
    first, second = LearnedModel.objects.order_by("version")
    assert (first.status, second.status) == ("retired", "live")

    back = registry.rollback("kinds", actor="ann", now=LATER)
    forth = registry.promote(second.pk, actor="ann", now=LATER)

    assert (back.pk, forth.pk) == (first.pk, second.pk)
    assert registry.promote(second.pk, actor="ann", now=LATER).promoted_at == forth.promoted_at
    assert AuditEvent.objects.filter(action="promote", actor="ann").count() == 2
    with pytest.raises(Conflict):
        registry.rollback("nothing", actor="ann", now=LATER)


def test_promote__damaged_files__refused_and_the_live_one_stays(shop: Path, settings: Any) -> None:
    habits(120)
    for slot in ("s1", "s2"):
        learn(slot, KINDS)
    first = LearnedModel.objects.get(version=1)
    path = max((shop / first.manifest_sha256).glob("*.npy"), key=lambda one: one.stat().st_size)
    path.write_bytes(path.read_bytes()[:-3])
    settings.MODEL_CACHE_DIR = shop / "another-node"

    with pytest.raises(Unprocessable, match="cannot score"):
        registry.promote(first.pk, actor="ann", now=LATER)

    assert LearnedModel.objects.get(status="live").version == 2


def test_kept__live_and_the_newest__survive_pruning(shop: Path) -> None:
    habits(120)
    learn("s1", KINDS)

    assert registry.kept() == {LearnedModel.objects.get().manifest_sha256}


def _table(*rows: tuple[int, str, float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in {key for _, key, _ in rows}:
        mine = sorted((who, value) for who, k, value in rows if k == key)
        found[key] = (np.array([w for w, _ in mine]), np.array([v for _, v in mine], float))
    return found


@pytest.mark.django_db
def test_replace__owned_rows__become_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "_ROWS", 2)
    told: list[tuple[Sequence[int], Collection[str]]] = []

    def write(owned: Owned, *rows: tuple[int, str, float]) -> int:
        return scores.replace(
            _table(*rows),
            owned,
            low=0,
            high=100,
            as_of=NOW,
            announce=lambda ids, names: told.append((ids, names)),
        )

    everything = Owned(("a",), ("n:",))
    write(Owned(("x",)), (1, "x", 7.0))
    write(everything, (1, "a", 0.1), (1, "n:50%_\\\t", 1), (2, "a", 1e-17), (3, "a", 3))
    told.clear()

    changed = write(everything, (1, "a", 0.1), (2, "a", 0.5), (4, "n:q", 1))

    held = sorted(Score.objects.values_list("customer_id", "key", "value"))
    assert held == [(1, "a", 0.1), (1, "x", 7.0), (2, "a", 0.5), (4, "n:q", 1.0)]
    assert changed == 4
    assert {who for ids, _ in told for who in ids} == {1, 2, 3, 4}
    assert scores.remove(everything, announce=lambda *_: None) == 3


@pytest.mark.django_db
def test_replace__prefix_with_wildcards__owns_itself_alone() -> None:
    scores.replace(
        _table((1, "ab:c", 1), (1, "a_:c", 1)),
        Owned(prefixes=("a_:", "ab:")),
        low=0,
        high=9,
        as_of=NOW,
        announce=lambda *_: None,
    )

    scores.remove(Owned(prefixes=("a_:",)), announce=lambda *_: None)

    assert keys() == {"ab:c"}


@pytest.mark.django_db
def test_forget__customer__has_no_score_left() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO segments_score (customer_id, key, value) VALUES (1, 'a', 1), (2, 'a', 1)"
        )

    assert services.forget([1]) == 1
    assert list(Score.objects.values_list("customer_id", flat=True)) == [2]


def test_slot_at__night_by_night_once_something_scores(shop: Path) -> None:
    assert services.slot_at(NOW) == "first 2026-03-01 12h"
    habits(120)
    learn("s1", KINDS)

    assert services.slot_at(NOW) == "nightly 2026-03-01"
    with clock.frozen(LATER):
        assert services.rescore(slot="", now=LATER) is not None
        assert services.rescore(slot="", now=LATER) is None
