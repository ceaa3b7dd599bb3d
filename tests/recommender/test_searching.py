"""Settings found by a run over the log: adopted, used by nights, shown, taken back."""

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.lib import clock
from personalization.lib.errors import Unprocessable
from personalization.ops import fitprocess
from personalization.ops import services as jobs
from personalization.ops.errors import Cancelled
from personalization.ops.models import JobRun
from recommender import checks, registry, searching, services, trying, tuned
from recommender.models import FoundSettings, ModelVersion
from recommender.tasks import search as task
from tests.recommender.shop import NOW, customer, events, products, viewed

# Long enough for some trials of a model that fits in milliseconds.
MINUTES = 0.02
SUNDAY = NOW.replace(hour=21)
FOUND = {"half_life_days": 3.5}
TOLD = {
    "NDCG@20": 0.3,
    "default": 0.2,
    "gain": 0.1,
    "interval": [0.05, 0.15],
    "questions": 70,
    "trials": 12,
}


def fashions(people: int = 110) -> None:
    """Eight fashions of six products follow each other; all look at three of each, by chance."""
    products(*(f"f{fashion}-{n}" for fashion in range(8) for n in range(6)))
    rng = np.random.default_rng(5)
    rows = []
    for number in range(people):
        who = customer(f"u{number}")
        for fashion in range(8):
            hours = 24 * 6 * (7 - fashion)
            rows += [
                viewed(who, f"f{fashion}-{n}", hours + 40 * step + number / 10)
                for step, n in enumerate(rng.permutation(6)[:3].tolist())
            ]
    events(rows)


def search(slot: str = "s1", **options: Any) -> list[searching.Searched] | None:
    given = {"models": ["popularity"], "minutes": MINUTES, **options}
    return searching.search(slot=slot, actor="t", now=NOW, **given)


def adopt(name: str = "popularity", **settings: Any) -> None:
    run = JobRun.objects.create(kind="k", slot=str(settings), created_at=NOW)
    given = settings or FOUND
    tuned.adopt(name, given, told=TOLD, run_id=run.pk, actor="t", at=NOW)


def test_search__fashions__found_adopted_and_trained_with(shop: Path) -> None:
    fashions()
    found = search()

    assert found is not None
    assert found[0].settings, found[0].reason
    assert found[0].settings["half_life_days"] < 30
    run = JobRun.objects.get(kind=searching.RUN_KIND)
    assert (run.status, run.result["models"][0]["model"]) == ("succeeded", "popularity")
    assert run.total == 1
    assert AuditEvent.objects.filter(action="adopt").count() == 1
    assert search() is None

    services.train(slot="n1", actor="t", now=NOW, models=["popularity"])
    version = ModelVersion.objects.get()
    assert version.status == "live"
    assert (
        version.manifest["facts"]["config"]["half_life_days"] == found[0].settings["half_life_days"]
    )
    assert registry.is_as_trained_now(version)


def test_search__killed__goes_on_after_its_trials(shop: Path) -> None:
    fashions()
    trials = [{"settings": {}, "value": 0.9, "seconds": 60 * MINUTES}]
    run = jobs.start_run(
        kind=searching.RUN_KIND,
        slot="s1",
        params={"models": ["popularity", "buy_again"], "minutes": MINUTES},
    )
    assert run is not None
    done: dict[str, Any] = {
        "model": "buy_again",
        "settings": None,
        "reason": "x",
        "told": {},
        "seconds": 0.0,
    }
    jobs.advance(run.pk, checkpoint={"trials": {"popularity": trials}, "models": {}})
    jobs.advance(
        run.pk, checkpoint={"trials": {"popularity": trials}, "models": {"buy_again": done}}
    )
    jobs.fail(run.pk, error="killed")
    found = search(models=["als"], minutes=99)

    assert found is not None
    assert [one.model for one in found] == ["popularity", "buy_again"]
    assert found[0].reason == "none of 1 settings did better than those in force"
    assert found[1].reason == "x"


def test_search__cancelled__its_trials_are_in_the_checkpoint(shop: Path) -> None:
    fashions()

    def cancel(stage: str, _done: int, _total: int) -> None:
        if stage.endswith("settings") and not stage.endswith(" 0 settings"):
            jobs.request_cancel(JobRun.objects.get().pk, actor="t")

    with pytest.raises(Cancelled):
        search(minutes=5, models=["als"], report=cancel)

    run = JobRun.objects.get()
    assert run.status == "cancelled"
    assert run.checkpoint["trials"]["als"][0]["settings"] == {}
    assert not FoundSettings.objects.exists()


def test_search__too_little_to_ask__says_so_and_the_run_succeeds(shop: Path) -> None:
    fashions(people=4)
    found = search()

    assert found is not None
    assert "50 are needed" in found[0].reason
    assert JobRun.objects.get().status == "succeeded"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"models": ["content"]}, "no settings to search of content"),
        ({"models": []}, "no settings to search of nothing"),
        ({"minutes": 0.0}, "0 minutes"),
        ({"minutes": float("nan")}, "nan minutes"),
    ],
)
def test_search__nothing_to_search__refused_before_a_run(
    shop: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(Unprocessable, match=words):
        search(**options)

    assert not JobRun.objects.exists()


def serving() -> None:
    ModelVersion.objects.create(
        algorithm="popularity", number=1, status="live", manifest={}, created_at=NOW
    )


@pytest.mark.parametrize(
    ("minutes", "at", "begins"),
    [
        (0.001, SUNDAY, True),
        (0.0, SUNDAY, False),
        (0.001, SUNDAY - timedelta(hours=1), False),
        (0.001, SUNDAY + timedelta(days=1), False),
    ],
)
def test_weekly__sunday_evening_where_a_setting_allows_it(
    shop: Path, settings: Any, minutes: float, at: Any, begins: bool
) -> None:
    settings.RECOMMENDER_SEARCH_MINUTES = minutes
    serving()
    with clock.frozen(at):
        task()
        task()

    slots = list(JobRun.objects.values_list("kind", "slot", "status"))
    assert slots == ([("recommender.search", "weekly 2026-W09", "succeeded")] if begins else [])


def test_weekly__nothing_serves_or_a_training_runs__waits(shop: Path, settings: Any) -> None:
    settings.RECOMMENDER_SEARCH_MINUTES = 1
    with clock.frozen(SUNDAY):
        task()
        serving()
        jobs.start_run(kind=services.RUN_KIND, slot="n")
        task()

    assert not JobRun.objects.filter(kind=searching.RUN_KIND).exists()


def test_weekly__a_training_was_killed__searches_once_that_is_silent(
    shop: Path, settings: Any
) -> None:
    settings.RECOMMENDER_SEARCH_MINUTES = 0.001
    serving()
    with clock.frozen(SUNDAY):
        jobs.start_run(kind=services.RUN_KIND, slot="manual")
    with clock.frozen(SUNDAY + timedelta(minutes=6)):
        task()

    assert JobRun.objects.filter(kind=searching.RUN_KIND).exists()


def test_check__minutes_beyond_the_evening__named(settings: Any) -> None:
    settings.RECOMMENDER_SEARCH_MINUTES = 31
    (found,) = checks.search_ends_in_its_evening(None)

    assert found.id == "recommender.E004"
    assert "30" in (found.hint or "")


def test_changes__the_shop_fixes_a_setting__goes_before_what_was_found(
    shop: Path, settings: Any
) -> None:
    adopt()
    adopt("item_knn", neighbours=77, half_life_days=9.0)
    settings.RECOMMENDER_HALF_LIFE_DAYS = ["item_knn=50"]

    assert tuned.changes() == {
        "popularity": FOUND,
        "item_knn": {"neighbours": 77, "half_life_days": 50.0},
    }


@pytest.mark.parametrize(
    ("name", "given"),
    [("gone", FOUND), ("popularity", {"gone": 1}), ("item_knn", {"measure": "gone"})],
)
def test_found__of_another_release__its_own_settings(
    shop: Path, name: str, given: dict[str, Any]
) -> None:
    adopt(name, **given)

    assert tuned.found() == {}


def test_register__settings_changed_meanwhile__told_as_fitted(shop: Path) -> None:
    fashions(people=4)
    services.train(slot="n1", actor="t", now=NOW, models=["popularity"])
    version = ModelVersion.objects.get()
    adopt()

    assert version.manifest["facts"]["config"]["half_life_days"] == 30
    assert not registry.is_as_trained_now(version)


@pytest.fixture
def pages(shop: Path, client: Client) -> tuple[Client, str]:
    """Staff, and the address of a version whose model has found settings."""
    fashions(people=4)
    services.train(slot="n1", actor="t", now=NOW, models=["popularity"])
    adopt()
    client.force_login(User.objects.create_superuser("ann", password="x" * 20))
    return client, f"/admin/recommender/modelversion/{ModelVersion.objects.get().pk}"


def test_page__found_settings__what_differs_when_and_what_it_gained(
    pages: tuple[Client, str],
) -> None:
    client, address = pages
    page = client.get(f"{address}/change/").content.decode()

    assert "A search found better settings on 2026-03-01 12:00 UTC" in page
    assert "0.3000 against 0.2000 with its own settings: +0.1000" in page
    assert '<th scope="row">half_life_days</th><td class="number">30</td>' in page


def test_reset__by_the_page__asked_done_and_audited(pages: tuple[Client, str]) -> None:
    client, address = pages
    asked = client.get(f"{address}/decide/reset/").content.decode()
    told = client.post(f"{address}/decide/reset/", follow=True).content.decode()
    again = client.post(f"{address}/decide/reset/", follow=True).content.decode()

    assert "with its own settings again" in asked
    assert "From now on popularity is trained with its own settings." in told
    assert "already" in again
    assert tuned.changes() == {}
    trail = AuditEvent.objects.get(action="reset")
    assert (trail.actor, trail.before) == ("ann", {"settings": FOUND})


def test_reset__viewer__may_not(pages: tuple[Client, str]) -> None:
    client, address = pages
    vera = User.objects.create_user("vera", password="x" * 20, is_staff=True)
    vera.groups.add(Group.objects.get(name="viewer"))
    client.force_login(vera)

    assert client.post(f"{address}/decide/reset/").status_code == 403
    assert FoundSettings.objects.exists()


def test_command__search__finds_trains_and_prints(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fashions(people=4)
    call_command("train", search=MINUTES, models=["popularity"], stdout=StringIO())

    printed = capsys.readouterr().out
    assert "50 are needed" in printed
    assert "coverage@20" in printed


def test_command__reset__its_own_settings_and_no_training(shop: Path) -> None:
    adopt()
    out = StringIO()
    call_command("train", reset=["popularity"], stdout=out)

    assert "its own settings from the next training on" in out.getvalue()
    assert (tuned.changes(), JobRun.objects.filter(kind=services.RUN_KIND).count()) == ({}, 0)
    with pytest.raises(CommandError, match="already"):
        call_command("train", reset=["popularity"])
    with pytest.raises(CommandError, match="no model is called 'nope'"):
        call_command("train", reset=["nope"])


@pytest.mark.parametrize("minutes", [float("inf"), 1e308, -1.0])
def test_command__search_of_no_such_length__said_before_a_run(shop: Path, minutes: float) -> None:
    with pytest.raises(CommandError, match="cannot take"):
        call_command("train", search=minutes, models=["popularity"])

    assert not JobRun.objects.exists()


def test_trials__a_line_in_the_making__left_out(tmp_path: Path) -> None:
    (tmp_path / "als").mkdir()
    (tmp_path / "als" / "trials.jsonl").write_bytes(b'{"value": 1}\n{"val')

    assert trying.trials(tmp_path, "als") == [{"value": 1}]
    assert trying.trials(tmp_path, "svd") == []
    assert not fitprocess.is_done(tmp_path / "als")
