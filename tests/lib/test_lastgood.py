"""What a node keeps on its disk: whole or not at all, verified, and no reason to stop serving."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from personalization.lib import lastgood
from personalization.lib.clock import frozen

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


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


def test_recall__older_than_allowed__none_until_it_is_confirmed() -> None:
    with frozen(NOW):
        lastgood.keep("a", "7", b"body")
    with frozen(NOW + timedelta(hours=2)):
        old = lastgood.recall("a", max_age_s=3600)
        lastgood.confirm("a")
        confirmed = lastgood.recall("a", max_age_s=3600)
    assert (old, confirmed) == (None, ("7", b"body"))


def test_confirm__nothing_kept__nothing_happens(folder: Path) -> None:
    lastgood.confirm("a")
    assert not folder.exists()
