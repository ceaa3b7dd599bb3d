"""What a node keeps on its disk: whole or not at all, verified, and no reason to stop serving."""

from pathlib import Path
from typing import Any

import pytest

from personalization.lib import lastgood


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.LAST_GOOD_DIR = tmp_path / "kept"
    return tmp_path / "kept"


def test_recall__kept__same_bytes() -> None:
    lastgood.keep("a", "7", b"\nx\n\x00")
    assert lastgood.recall("a") == ("7", b"\nx\n\x00")


def test_keep__same_label__nothing_is_written(folder: Path) -> None:
    lastgood.keep("a", "7", b"one")
    before = (folder / "a").stat().st_ino
    lastgood.keep("a", "7", b"two")
    assert (folder / "a").stat().st_ino == before
    lastgood.keep("a", "8", b"two")
    assert lastgood.recall("a") == ("8", b"two")
    assert [path.name for path in folder.iterdir()] == ["a"]


@pytest.mark.parametrize("damage", ["cut", "label", "empty", "gone"])
def test_recall__damaged__none(folder: Path, damage: str) -> None:
    lastgood.keep("a", "7", b"body")
    path = folder / "a"
    whole = path.read_bytes()
    changed = {"cut": whole[:-1], "label": whole.replace(b" 7\n", b" 8\n"), "empty": b""}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(changed[damage])
    assert lastgood.recall("a") is None


def test_keep__disk_refuses__logged_and_what_was_kept_stays(folder: Path, settings: Any) -> None:
    lastgood.keep("a", "7", b"body")
    settings.LAST_GOOD_DIR = folder / "a" / "below"  # a file where a folder must be
    lastgood.keep("a", "8", b"other")
    settings.LAST_GOOD_DIR = folder
    assert lastgood.recall("a") == ("7", b"body")
