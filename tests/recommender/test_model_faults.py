"""Model files that must not serve, runs that were killed, shops with next to nothing."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client

from personalization.access.services import create_key
from personalization.lib import artifacts, clock
from personalization.ops import services as jobs
from personalization.ops.fitprocess import FittingError
from personalization.ops.models import JobRun
from recommender import live, registry, services
from recommender.models import ModelVersion
from tests.recommender.shop import NOW, customer, events, ordered, products, two_tastes, viewed
from tests.recommender.test_result_pages import version

Damage = Callable[[Path], None]


def _largest(folder: Path) -> Path:
    return max(folder.glob("*.npy"), key=lambda path: path.stat().st_size)


def _cut(folder: Path) -> None:
    path = _largest(folder)
    path.write_bytes(path.read_bytes()[:-3])


def _flip(folder: Path) -> None:
    path = _largest(folder)
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)


def _swap(folder: Path) -> None:
    """Another array of the same length, whole in itself."""
    np.save(_largest(folder), np.zeros(3), allow_pickle=False)


def _gone(folder: Path) -> None:
    _largest(folder).unlink()


def _manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"full"', b'"fool"'))


@pytest.mark.django_db
@pytest.mark.parametrize("damage", [_cut, _flip, _swap, _gone, _manifest])
def test_live__files_of_the_newer_version_damaged__refused_and_the_previous_serves(
    shop: Path, damage: Damage
) -> None:
    version(0.2, newest_s=1)
    first = live.refresh()["popularity"]
    second = version(0.21, newest_s=2)
    for root in (shop, shop.parent / "cache"):
        for path in (root / second.manifest_sha256).iterdir():
            path.chmod(0o644)
        damage(root / second.manifest_sha256)

    assert live.refresh()["popularity"] is first


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": artifacts.FORMAT + 1}, "layout 2; this code reads 1"),
        ({"format": artifacts.FORMAT - 1}, "layout 0; this code reads 1"),
    ],
)
def test_load__layout_of_another_release__refused_by_name(
    shop: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, int], words: str
) -> None:
    monkeypatch.setattr(artifacts, "FORMAT", change["format"])
    sha256, _ = artifacts.save({"order": np.arange(3)}, {"algorithm": "popularity"})
    monkeypatch.undo()

    with pytest.raises(artifacts.ArtifactError, match=words):
        live.load("popularity", 1, sha256)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "facts",
    [
        {"algorithm": "popularity", "config": {"half_life_days": 3.0, "invented_later": 1}},
        {"algorithm": "item_knn", "config": {}},
        {"algorithm": "popularity"},
    ],
    ids=["setting of a newer release", "another algorithm", "manifest of old"],
)
def test_live__made_for_other_code__refused_and_the_previous_serves(
    shop: Path, facts: dict[str, Any]
) -> None:
    version(0.2, newest_s=1)
    first = live.refresh()["popularity"]
    sha256, manifest = artifacts.save(dict(first.model.to_arrays()), facts)
    ModelVersion.objects.update(status="retired")
    ModelVersion.objects.create(
        algorithm="popularity",
        number=9,
        status="live",
        manifest_sha256=sha256,
        manifest=manifest,
        created_at=NOW,
    )

    assert live.refresh()["popularity"] is first


@pytest.mark.django_db
@pytest.mark.parametrize("stored", [True, False], ids=["still stored", "stored no more"])
def test_live__a_file_lies_where_a_model_was_cached__the_others_load_after_a_restart(
    shop: Path, stored: bool
) -> None:
    two_tastes(8)
    services.train(slot="s1", actor="t", now=NOW, models=["popularity", "item_knn"])
    before = set(live.refresh())
    sha256 = ModelVersion.objects.get(algorithm="item_knn").manifest_sha256
    copy = shop.parent / "cache" / sha256
    shutil.rmtree(copy)
    copy.write_bytes(b"not a folder")
    if not stored:
        shutil.rmtree(shop / sha256)
    live.forget()

    assert before == {"popularity", "item_knn"}
    assert set(live.refresh()) == (before if stored else {"popularity"})


@pytest.mark.django_db
def test_promote__node_cannot_write_its_cache__422_with_the_reason(
    shop: Path, client: Client
) -> None:
    row = version(0.2, newest_s=1)
    ModelVersion.objects.update(status="retired")
    shutil.rmtree(shop.parent / "cache")
    (shop.parent / "cache").write_bytes(b"not a folder")
    _, secret = create_key(name="server", kind="secret", actor="t")
    answer = client.post(
        f"/api/models/{row.pk}/promote/", headers={"Authorization": f"Bearer {secret}"}
    )

    assert answer.status_code == 422
    assert "MODEL_CACHE_DIR" in answer.json()["error"]["message"]


@pytest.mark.django_db
def test_live__blend_without_weights__refused(shop: Path) -> None:
    facts = {"algorithm": live.BLEND, "config": {"sources": []}}
    sha256, _ = artifacts.save({}, facts)

    with pytest.raises(ValueError, match="needs sources"):
        live.load("blend_home", 1, sha256)


@pytest.mark.django_db
def test_train__killed_between_the_row_and_its_checkpoint__no_second_version(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_tastes(8)
    monkeypatch.setattr(registry, "gate", _killed)
    with pytest.raises(KeyboardInterrupt):
        services.train(slot="s1", actor="t", now=NOW, models=["popularity"])
    candidate = ModelVersion.objects.get()
    monkeypatch.undo()
    with clock.frozen(NOW + timedelta(minutes=10)):
        services.train(slot="s1", actor="t", now=NOW, models=["popularity"])

    assert candidate.status == "candidate"
    assert ModelVersion.objects.get().status == "live"
    assert JobRun.objects.get().status == "succeeded"


def _killed(*_args: Any, **_options: Any) -> ModelVersion:
    raise KeyboardInterrupt  # as a kill does, it passes every `except Exception`


@pytest.mark.django_db
def test_train__fitting_process_killed__run_fails_and_the_next_beat_goes_on(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_tastes(8)
    started = subprocess.Popen

    def doomed(*args: Any, **options: Any) -> "subprocess.Popen[bytes]":
        process = started(*args, **options)
        process.send_signal(signal.SIGKILL)
        return process

    monkeypatch.setattr(subprocess, "Popen", doomed)
    with pytest.raises(FittingError, match=r"was killed \(SIGKILL\)"):
        services.train(slot="s1", actor="t", now=NOW, models=["popularity"])
    failed = JobRun.objects.get().status
    monkeypatch.undo()
    trained = services.train(slot="s1", actor="t", now=NOW, models=["popularity"])

    assert (failed, ModelVersion.objects.count()) == ("failed", 1)
    assert trained is not None
    assert trained[0].status == "live"


_WORKER = """
import os, signal, sys
from pathlib import Path
from django.conf import settings
settings.configure(BASE_DIR=sys.argv[1])
from personalization.ops import fitprocess
with fitprocess.started("asleep", Path(sys.argv[1]), []):
    while not (Path(sys.argv[1]) / "pid").exists():
        pass
    os.kill(os.getpid(), signal.SIGKILL)
"""
_ASLEEP = """
import os, pathlib, sys, time
made = pathlib.Path(sys.argv[1]) / "pid.new"
made.write_text(str(os.getpid()))
made.rename(made.with_suffix(""))
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_started__worker_killed__its_fitting_process_ends(tmp_path: Path) -> None:
    (tmp_path / "asleep.py").write_text(_ASLEEP)

    killed = subprocess.run(
        [sys.executable, "-c", _WORKER, str(tmp_path)], check=False, timeout=300
    ).returncode

    about = Path("/proc") / (tmp_path / "pid").read_text() / "stat"
    assert killed == -signal.SIGKILL
    for _ in range(500):
        # nobody may have fetched its status yet
        if not about.exists() or about.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail("the fitting process outlived its worker")


@pytest.mark.django_db
def test_train__resumed_later__as_of_the_moment_that_it_began(shop: Path) -> None:
    two_tastes(8)
    params = {"as_of": NOW.isoformat()}
    jobs.start_run(kind=services.RUN_KIND, slot="s1", params=params)
    events([viewed(customer("late"), "a1", -0.1)])
    later = NOW + timedelta(minutes=30)
    with clock.frozen(later):
        services.train(slot="s1", actor="t", now=later, models=["popularity"])

    facts = ModelVersion.objects.get().manifest["facts"]
    assert facts["until_s"] == NOW.timestamp()
    assert facts["newest_s"] <= NOW.timestamp()


@pytest.mark.django_db
def test_train__dearer_than_allowed__refused_with_the_estimate(shop: Path, settings: Any) -> None:
    two_tastes(8)
    settings.TRAIN_MODEL_SECONDS = 1e-9

    trained = services.train(slot="s1", actor="t", now=NOW, models=["popularity", "blend_home"])

    assert trained is not None
    assert [one.status for one in trained] == ["refused", "refused"]
    assert "would take about" in trained[0].reason
    assert not ModelVersion.objects.exists()
    assert JobRun.objects.get().status == "succeeded"


def _one_customer() -> None:
    products("mug", "cup")
    ann = customer("ann")
    events([viewed(ann, "mug", 3), viewed(ann, "cup", 2), ordered(ann, ["mug", "cup"], 1)])


def _one_product() -> None:
    products("mug")
    events([viewed(customer(f"u{n}"), "mug", n) for n in range(5)])


def _all_alike() -> None:
    keys = ("mug", "cup", "pan")
    products(*keys)
    people = [customer(f"u{number}") for number in range(6)]
    events([viewed(who, key, 9 - n) for who in people for n, key in enumerate(keys)])


@pytest.mark.django_db
@pytest.mark.parametrize("fill", [_one_customer, _one_product, _all_alike])
def test_train__next_to_nothing__every_model_ends_sensibly(
    shop: Path, fill: Callable[[], None]
) -> None:
    fill()

    trained = services.train(slot="s1", actor="t", now=NOW)

    assert trained is not None
    assert {one.status for one in trained} <= {"live", "rejected", "refused"}
    popular = next(one for one in trained if one.model == "popularity")
    assert popular.status == "live"
    assert live.refresh()["popularity"].keys


def test_fitting_module__run_alone__without_django_and_celery() -> None:
    code = (
        "import sys, recommender.fitting, segments.learning.fitting;"
        " print({'django', 'celery', 'personalization'} & sys.modules.keys())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )

    assert found.stdout.strip() == "set()"
