"""`make clean` and `manage.py servers remove` leave alone what runs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from personalization.lib.supervisor import supervisor
from tests.faults.deployment import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture(name="clone")
def _clone(tmp_path: Path) -> Path:
    """A folder with the Makefile and a .local with something in it, but no environment."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".local").mkdir(mode=0o711)
    (tmp_path / ".local" / "kept").touch()
    return tmp_path


def _install(clone: Path, line: str) -> None:
    """Make an environment whose python does `line`."""
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{line}\n")
    python.chmod(0o755)


@contextmanager
def _up_runs_in(local: Path) -> Iterator[None]:
    with supervisor.held(local):
        (local / "up.json").write_text('{"supervisor": 4711}')
        yield


def _make_clean(clone: Path) -> subprocess.CompletedProcess[str]:
    names = ("DATABASE_URL", "REDIS_URL", "BROKER_URL")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        ["make", "clean", f"PYTHON={sys.executable}"],
        cwd=clone,
        env=environment | {"LOCAL_DIR": str(clone / ".local")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_clean__up_runs__refused_in_a_sentence_and_nothing_goes__stopped__all_goes(
    clone: Path,
) -> None:
    _install(clone, f'cd {ROOT} && exec {sys.executable} "$@"')
    with _up_runs_in(clone / ".local"):
        refused = _make_clean(clone)
        stood = (clone / ".local" / "kept").exists() and (clone / ".venv").exists()
    done = _make_clean(clone)

    told = refused.stderr.splitlines()
    assert (refused.returncode, stood) == (2, True)
    assert len(told) == 2, told  # the other is make's own
    assert "runs in" in told[0]
    assert "(process 4711): stop it first" in told[0]
    assert (done.returncode, done.stderr) == (0, "")
    assert not (clone / ".local").exists()
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("broken", [False, True])
def test_clean__no_environment_that_works__the_lock_says_what_runs(
    clone: Path, broken: bool
) -> None:
    if broken:
        _install(clone, "echo Traceback >&2; exit 1")
    with _up_runs_in(clone / ".local"):
        refused = _make_clean(clone)
        stood = (clone / ".local" / "kept").exists()
    done = _make_clean(clone)

    told = refused.stderr.splitlines()
    assert (refused.returncode, stood) == (2, True)
    assert len(told) == 2, told
    assert "stop it first, with Ctrl-C" in told[0]
    assert (done.returncode, done.stderr) == (0, "")
    assert not (clone / ".local").exists()


def test_clean__nothing_was_made__nothing_to_say(clone: Path) -> None:
    shutil.rmtree(clone / ".local")

    done = _make_clean(clone)

    assert (done.returncode, done.stderr) == (0, "")
