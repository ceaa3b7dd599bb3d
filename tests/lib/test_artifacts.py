"""Model files: what is stored comes back, what was damaged is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personalization.lib import artifacts
from personalization.lib.artifacts import ArtifactError

ARRAYS = {"data": np.arange(1000, dtype=np.float32), "nothing": np.zeros(0, np.int32)}


@pytest.fixture
def folders(settings: Any, tmp_path: Path) -> tuple[Path, Path]:
    """The storage and the node's cache, both empty."""
    storage, cache = tmp_path / "storage", tmp_path / "cache"
    settings.STORAGES = settings.STORAGES | {
        "models": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(storage)},
        }
    }
    settings.MODEL_CACHE_DIR = cache
    return storage, cache


def test_load__saved__same_arrays_and_facts(folders: tuple[Path, Path]) -> None:
    sha256, _ = artifacts.save(ARRAYS, {"algorithm": "test"})

    loaded = artifacts.load(sha256)

    assert loaded.facts == {"algorithm": "test"}
    assert all((loaded.arrays[name] == ARRAYS[name]).all() for name in ARRAYS)
    assert isinstance(loaded.arrays["data"].base, np.memmap)


def test_save__twice__one_name_and_no_second_copy(folders: tuple[Path, Path]) -> None:
    first, _ = artifacts.save(ARRAYS, {})
    second, _ = artifacts.save(ARRAYS, {})

    assert first == second
    assert len(list(folders[0].rglob("*.npy"))) == 2


def test_save__half_written_before_a_kill__repaired(folders: tuple[Path, Path]) -> None:
    sha256, _ = artifacts.save(ARRAYS, {})
    (folders[0] / sha256 / "data.npy").write_bytes(b"half")

    artifacts.save(ARRAYS, {})

    assert (artifacts.load(sha256).arrays["data"] == ARRAYS["data"]).all()


@pytest.mark.parametrize("damage", ["flip", "truncate", "lengthen", "remove", "manifest"])
@pytest.mark.parametrize("place", ["cache", "storage"])
def test_load__damaged__cache_is_fetched_again_storage_is_refused(
    folders: tuple[Path, Path], damage: str, place: str
) -> None:
    sha256, _ = artifacts.save(ARRAYS, {})
    if place == "cache":
        artifacts.load(sha256)
    folder = folders[place == "cache"] / sha256
    path = folder / ("manifest.json" if damage == "manifest" else "data.npy")
    body = path.read_bytes()
    path.chmod(0o644)
    if damage == "remove":
        path.unlink()
    else:
        damaged = {"truncate": body[:-7], "lengthen": body + b"\0"}
        path.write_bytes(damaged.get(damage, body[:-1] + bytes([body[-1] ^ 1])))

    if place == "cache":
        assert (artifacts.load(sha256).arrays["data"] == ARRAYS["data"]).all()
    else:
        with pytest.raises(ArtifactError):
            artifacts.load(sha256)
        assert not [p for p in folders[1].glob("*") if p.name.startswith(sha256[:12] + "-")]


def _file(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_bytes(b"not a folder")


def _manifest_folder(folder: Path) -> None:
    (folder / "manifest.json").mkdir(parents=True)


def _link_to_nothing(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.symlink_to("nowhere")


@pytest.mark.parametrize("lay", [_file, _manifest_folder, _link_to_nothing])
def test_load__something_else_lies_in_the_cache__fetched_anew(
    folders: tuple[Path, Path], lay: Callable[[Path], None]
) -> None:
    sha256, _ = artifacts.save(ARRAYS, {})
    lay(folders[1] / sha256)

    assert (artifacts.load(sha256).arrays["data"] == ARRAYS["data"]).all()


def test_load__cache_is_no_folder__refused_naming_the_setting(folders: tuple[Path, Path]) -> None:
    sha256, _ = artifacts.save(ARRAYS, {})
    _file(folders[1])

    with pytest.raises(ArtifactError, match=r"\(MODEL_CACHE_DIR\) cannot be written"):
        artifacts.load(sha256)


def test_save__storage_cannot_be_written__refused_naming_the_setting(
    folders: tuple[Path, Path],
) -> None:
    _file(folders[0])

    with pytest.raises(ArtifactError, match=r"\(MODEL_DIR\) cannot be written"):
        artifacts.save(ARRAYS, {})


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "G" * 64])
def test_load__not_a_hash__refused(folders: tuple[Path, Path], name: str) -> None:
    with pytest.raises(ArtifactError):
        artifacts.load(name)


def test_save__objects__refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="plain dtype"):
        artifacts.save({"data": np.array([{}], dtype=object)}, {})


def test_load__newer_layout__refused(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "FORMAT", 2)
    sha256, _ = artifacts.save(ARRAYS, {})
    monkeypatch.undo()

    with pytest.raises(ArtifactError, match="layout 2"):
        artifacts.load(sha256)


def test_prune_cache__others_go__mapped_ones_stay_readable(folders: tuple[Path, Path]) -> None:
    keep, _ = artifacts.save(ARRAYS, {"n": 1})
    drop, _ = artifacts.save(ARRAYS, {"n": 2})
    mapped = artifacts.load(drop).arrays["data"]
    artifacts.load(keep)

    assert artifacts.prune_cache({keep}) == 1
    assert float(mapped.sum()) == float(ARRAYS["data"].sum())
    assert [path.name for path in folders[1].iterdir()] == [keep]


def test_load__copies_on_the_node__cannot_be_written_and_can_be_pruned(
    folders: tuple[Path, Path],
) -> None:
    sha256, _ = artifacts.save(ARRAYS, {})
    artifacts.load(sha256)
    modes = {path.stat().st_mode & 0o777 for path in (folders[1] / sha256).iterdir()}

    assert modes == {0o444}
    assert artifacts.prune_cache(()) == 1
    assert not (folders[1] / sha256).exists()
