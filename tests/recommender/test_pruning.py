"""Model files of the distant past go; those that serve, or that one may go back to, stay."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from personalization.lib import artifacts, clock
from personalization.lib.errors import Unprocessable
from recommender import pruning, registry
from recommender.models import ModelVersion
from recommender.tasks import prune_models
from tests.recommender.shop import NOW

Status = ModelVersion.Status
LATER = clock.now() + timedelta(days=2)


def version(number: int, status: str, algorithm: str = "item_knn") -> str:
    facts = {"number": number, "algorithm": algorithm}
    sha256, manifest = artifacts.save({"data": np.arange(3)}, facts)
    ModelVersion.objects.create(
        algorithm=algorithm,
        number=number,
        status=status,
        manifest_sha256=sha256,
        manifest=manifest,
        created_at=NOW,
    )
    return sha256


def stored(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_prune_storage__more_than_are_kept__oldest_of_each_state_go(shop: Path) -> None:
    live = version(1, Status.LIVE)
    retired = [version(number, Status.RETIRED) for number in range(2, 2 + pruning.KEPT + 3)]
    rejected = [version(number, Status.REJECTED) for number in range(50, 52)]
    other = version(1, Status.RETIRED, "popularity")

    assert pruning.prune_storage(now=LATER) == 3
    assert pruning.prune_storage(now=LATER) == 0

    assert stored(shop) == {live, *retired[3:], *rejected, other}


def test_prune_storage__files_without_a_row__go_once_no_training_can_own_them(shop: Path) -> None:
    artifacts.save({"data": np.arange(3)}, {})

    assert pruning.prune_storage(now=clock.now()) == 0
    assert pruning.prune_storage(now=LATER) == 1
    assert stored(shop) == set()


def test_prune_storage__deletion_cut_short__goes_on_next_time(shop: Path) -> None:
    sha256, _ = artifacts.save({"data": np.arange(3)}, {})
    (shop / sha256 / "manifest.json").unlink()

    assert pruning.prune_storage(now=LATER) == 1
    assert stored(shop) == set()


def test_prune_storage__nothing_was_ever_trained__nothing(shop: Path) -> None:
    assert pruning.prune_storage(now=LATER) == 0


def test_promote__files_are_gone__refused(shop: Path) -> None:
    for number in range(1, pruning.KEPT + 2):
        version(number, Status.RETIRED)
    pruning.prune_storage(now=LATER)
    oldest = ModelVersion.objects.get(number=1)

    with pytest.raises(Unprocessable, match="lacks a file"):
        registry.promote(oldest.pk, actor="test", now=LATER)


def test_prune_task__twice__node_and_storage_hold_what_is_kept(shop: Path) -> None:
    kept = version(1, Status.LIVE)
    dropped, _ = artifacts.save({"data": np.arange(4)}, {})
    artifacts.load(kept)
    artifacts.load(dropped)

    with clock.frozen(LATER):
        prune_models()
        prune_models()

    assert stored(shop) == {kept}
    assert pruning.prune_node() == 0
