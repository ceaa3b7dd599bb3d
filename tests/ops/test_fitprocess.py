"""Folders of fitting processes: one in use stays, what a kill left goes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from personalization.ops import fitprocess

_KILLED = """
import os, signal, sys
from django.conf import settings
settings.configure(LOCAL_DIR=sys.argv[1])
from personalization.ops import fitprocess
with fitprocess.folder() as folder:
    (folder / "large.npy").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def root(settings: Any, tmp_path: Path) -> Path:
    """LOCAL_DIR, as empty as on a new node."""
    settings.LOCAL_DIR = tmp_path / "local"
    return tmp_path / "local"


def _folders(root: Path) -> list[Path]:
    return list(root.glob("fit-*"))


def test_folder__its_process_was_killed__gone_when_the_next_is_made(root: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(root)], check=False, timeout=300)
    (left,) = _folders(root)

    with fitprocess.folder() as made:
        during = _folders(root)

    assert (left / "large.npy").exists() is False
    assert during == [made]
    assert _folders(root) == []


def test_drop_left__a_folder_is_in_use__stays(root: Path) -> None:
    with fitprocess.folder() as first, fitprocess.folder() as second:
        gone = fitprocess.drop_left()
        still = first.is_dir() and second.is_dir()

    assert (gone, still) == (0, True)


def test_drop_left__new_node__nothing(root: Path) -> None:
    assert fitprocess.drop_left() == 0


def test_started__process_ends_without_a_result__its_last_words(root: Path) -> None:
    with (
        fitprocess.folder() as folder,
        fitprocess.started("no_such_module", folder, ["a"]) as wait,
        pytest.raises(fitprocess.FittingError, match=r"ended with 1: .*no_such_module"),
    ):
        wait("a", lambda: None)
