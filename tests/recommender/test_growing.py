"""Models grown by the hour: what came since is in them, and they agree with a full fit."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.test import Client

from personalization.lib import artifacts, clock
from personalization.lib.errors import Conflict
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from recommender import dataset, live, registry, services
from recommender.engine import growing, training
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Interactions
from recommender.engine.cases import FoldIn
from recommender.engine.holdout import customers, cut_s
from recommender.engine.lists import rank
from recommender.engine.training import KINDS, Fitted, Log
from recommender.models import ModelVersion
from recommender.tasks import refresh
from tests.recommender.shop import NOW, customer, events, products, two_tastes, viewed
from tests.recommender.test_result_pages import version

LATER = NOW + timedelta(hours=2)
DAY_S = 86_400.0


def shop_log(users: int = 400, items: int = 60, steps: int = 20, seed: int = 3) -> Log:
    """Customers of three tastes over 60 days, all views; one item of each is new on the last."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(users), steps).astype(np.int32)
    days = rng.random((users, steps)) * 59
    days[:, : steps // 3] = 59 + rng.random((users, steps // 3))  # a sale
    at_s = np.sort(days * DAY_S, axis=1).ravel()
    each = items // 3
    what = rng.zipf(1.5, len(who)) % (each - 1)
    what[(at_s > 59 * DAY_S) & (rng.random(len(who)) < 0.5)] = each - 1
    what = who % 3 * each + what
    data = Interactions(
        who, what.astype(np.int32), np.ones(len(who), np.float32), at_s, users, items
    )
    return Log(data, np.full(len(who), KINDS.index("view"), np.int8))


def split(log: Log, at_s: float) -> tuple[Log, Log]:
    before = log.data.at_s <= at_s
    return (
        Log(log.data.where(before), log.kinds[before]),
        Log(log.data.where(~before), log.kinds[~before]),
    )


@pytest.mark.parametrize("name", ["popularity", "item_knn"])
def test_grow__a_day_of_events__nearer_to_the_full_fit_than_yesterday_was(name: str) -> None:
    log, recipe = shop_log(), RECIPES[name]
    base_log, since = split(log, 59 * DAY_S)
    base, _ = training.train(recipe, base_log, as_of_s=59 * DAY_S)
    whole, _ = training.train(recipe, log, as_of_s=60 * DAY_S)

    grown = growing.grow(recipe, base.arrays, since, from_s=59 * DAY_S, as_of_s=60 * DAY_S)

    asked = customers(log.data, cut_s(log.data.at_s)).cases
    lists = [
        rank(
            recipe.algorithm.from_arrays(arrays, recipe.config),
            asked,
            FoldIn(0.8),
            count=10,
            own=True,
        )[0].rows
        for arrays in (base.arrays, whole.arrays, grown.arrays)
    ]

    def shared(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(one, other, strict=True)]))

    assert shared(lists[2], lists[1]) > shared(lists[0], lists[1]) + 0.5
    assert shared(lists[2], lists[1]) > 9


def test_grow__popularity__sums_are_those_of_a_full_fit() -> None:
    log, recipe = shop_log(), RECIPES["popularity"]
    base_log, since = split(log, 50 * DAY_S)
    base, _ = training.train(recipe, base_log, as_of_s=50 * DAY_S)
    whole, _ = training.train(recipe, log, as_of_s=60 * DAY_S)

    grown = growing.grow(recipe, base.arrays, since, from_s=50 * DAY_S, as_of_s=60 * DAY_S)

    np.testing.assert_allclose(grown.arrays["evidence"], whole.arrays["evidence"], rtol=0.02)


def test_grow__nothing_came__says_so() -> None:
    log, recipe = shop_log(20), RECIPES["popularity"]
    base, _ = training.train(recipe, log, as_of_s=60 * DAY_S)
    _, since = split(log, 61 * DAY_S)

    with pytest.raises(training.NothingToLearnError, match="nothing came"):
        growing.grow(recipe, base.arrays, since, from_s=60 * DAY_S, as_of_s=61 * DAY_S)


def test_refresh__new_product_since_the_night__recommended_and_once_an_hour(shop: Path) -> None:
    two_tastes(40)
    services.train(slot="s1", actor="test", now=NOW, models=["popularity", "item_knn"])
    products("fresh")
    with clock.frozen(LATER):
        rows = []
        for number in range(12):
            who = customer(f"late{number}")
            rows += [viewed(who, "a0", -1), viewed(who, "fresh", -1.1)]
        events(rows)
        refresh()
        refresh()
        model = live.refresh()["item_knn"]

    assert (model.number, "fresh" in model.index) == (2, True)
    query = model.model.fold_in(np.array([model.index["a0"]]), np.ones(1, np.float32))
    found = [model.keys[row] for row in model.model.recommend(query, 3).rows]
    assert "fresh" in found
    version = ModelVersion.objects.get(algorithm="item_knn", status="live")
    assert version.manifest["facts"]["base"]["number"] == 1
    assert JobRun.objects.filter(kind=services.GROW_KIND).count() == 1


def test_refresh__two_models__checkpoint_and_result_name_both_and_no_catalogue_is_read(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_tastes(8)
    services.train(slot="s1", actor="test", now=NOW, models=["popularity", "item_knn"])
    events([viewed(customer("late"), "a0", -1)])
    monkeypatch.delattr(dataset, "side_of")
    monkeypatch.delattr(dataset, "groups_of")

    services.refresh(slot="h1", actor="test", now=LATER)

    run = JobRun.objects.get(kind=services.GROW_KIND)
    assert set(run.checkpoint["models"]) == {"popularity", "item_knn"}
    assert {one["model"] for one in run.result["models"]} == {"popularity", "item_knn"}


def _grown(base: ModelVersion, hours: float) -> ModelVersion:
    """Register what an hour makes of a version, as far as the gate looks at it."""
    made = registry.register(
        name=base.algorithm,
        fitted=Fitted(
            dict(artifacts.load(base.manifest_sha256).arrays), {"interactions": 1, "items": 3}, {}
        ),
        item_keys=["a", "b", "c"],
        about={
            "mode": registry.GROWN,
            "until_s": NOW.timestamp() + hours * 3600,
            "base": {"id": base.pk, "number": base.number, "interactions": 10, "items": 3},
        },
        run_id=None,
        now=NOW,
    )
    return registry.gate(made, actor="hour", now=NOW + timedelta(hours=hours))


def test_gate__a_night_came_while_it_grew__the_night_s_model_stays(shop: Path) -> None:
    old = version(0.2, newest_s=1)
    night = version(0.21, newest_s=2)

    late, timely = _grown(old, 1), _grown(night, 2)

    assert (late.status, timely.status) == ("rejected", "live")
    assert "grown from version 1" in late.reason


def test_pages__live_model_has_grown__figures_of_the_night_by_name(
    shop: Path, admin_client: Client
) -> None:
    night = version(0.2, newest_s=1)
    grown = _grown(night, 1)
    address = "/admin/recommender/modelversion/"

    page = admin_client.get(f"{address}{grown.pk}/change/").content.decode()
    listed = admin_client.get(address).content.decode()

    assert "Version 1, at the training of the night" in page
    assert '<th scope="row">NDCG@20</th><td class="number">0.2000 (0.1900 to 0.2100)</td>' in page
    assert "version 1; the figures below are of that time alone" in page
    assert listed.count("see v1, which it grew from") == 1
    own = admin_client.get(f"{address}{night.pk}/change/").content.decode()
    assert "This version" in own
    assert "of that time alone" not in own


def test_gate__live_model_has_grown__its_base_s_quality_is_the_measure(shop: Path) -> None:
    _grown(version(0.2, newest_s=1), 1)

    worse = version(0.1, newest_s=2)

    assert worse.status == "rejected"
    assert "fell from the live model's" in worse.reason


def test_rollback__the_live_one_has_grown__an_earlier_training_and_never_the_bad_one(
    shop: Path,
) -> None:
    good, bad = version(0.2, newest_s=1), version(0.21, newest_s=2)
    live_one = _grown(bad, 1)

    with pytest.raises(Conflict, match="version 3 does"):
        registry.rollback("popularity", actor="ann", now=LATER, leaving=bad.pk)
    back = registry.rollback("popularity", actor="ann", now=LATER, leaving=live_one.pk)
    version(0.22, newest_s=30_000)
    again = registry.rollback("popularity", actor="ann", now=LATER)

    assert (back, again) == (good, good)
    assert _grown(bad, 3).status == "rejected"


@pytest.mark.parametrize("what", ["nothing live", "nothing new", "training"])
def test_refresh__nothing_to_do__no_run(shop: Path, what: str) -> None:
    two_tastes(8)
    if what != "nothing live":
        services.train(slot="s1", actor="test", now=NOW, models=["popularity"])
    with clock.frozen(LATER):
        if what == "training":
            jobs.start_run(kind=services.RUN_KIND, slot="s2")
        assert services.refresh(slot="", actor="test", now=LATER) is None

    assert not JobRun.objects.filter(kind=services.GROW_KIND).exists()


def test_refresh__a_training_of_another_slot_was_killed__grows_once_that_is_silent(
    shop: Path,
) -> None:
    two_tastes(8)
    services.train(slot="s1", actor="test", now=NOW, models=["popularity"])
    events([viewed(customer("late"), "a0", -1)])
    with clock.frozen(LATER - jobs.STALE_AFTER):
        jobs.start_run(kind=services.RUN_KIND, slot="manual")
    with clock.frozen(LATER):
        at_once = services.refresh(slot="", actor="test", now=LATER)
    after = LATER + timedelta(seconds=1)
    with clock.frozen(after):
        grown = services.refresh(slot="", actor="test", now=after)

    assert at_once is None
    assert grown is not None
    assert [one.model for one in grown] == ["popularity"]
    killed = JobRun.objects.get(slot="manual")
    assert (killed.status, killed.error) == ("failed", "the process ended without a word")
