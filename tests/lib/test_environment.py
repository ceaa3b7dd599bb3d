"""A variable that cannot be read is told by a check with an id, not by a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from personalization.lib.environment import NotingEnv

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("value", ["abc", "", "1.5", "1e3"])
def test_number__cannot_be_read__noted_and_the_default_holds(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SOME_DAYS", value)
    env = NotingEnv()

    assert env.int("SOME_DAYS", default=7) == 7
    assert env.unreadable == [("SOME_DAYS", "a whole number")]


def test_number__can_be_read__nothing_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SHARE", "0.5")
    env = NotingEnv()

    assert (env.float("SOME_SHARE", default=1.0), env.int("UNSET", default=3)) == (0.5, 3)
    assert env.unreadable == []


@pytest.mark.filterwarnings("ignore:Engine not recognized")
@pytest.mark.parametrize("url", ["garbage", "postgres://host:port/name", "mysql://host/name"])
def test_database__cannot_be_read__noted_and_the_own_one_holds(url: str) -> None:
    env, own = NotingEnv(), {"ENGINE": "own"}

    assert env.database(url, own) == own
    assert [name for name, _ in env.unreadable] == ["DATABASE_URL"]


def test_database__no_url__the_own_one() -> None:
    env, own = NotingEnv(), {"ENGINE": "own"}

    assert env.database("", own) == own
    assert env.unreadable == []


def test_up__unreadable_variables__refuses_with_ids_and_hints(tmp_path: Path) -> None:
    bad = {"PORT": "abc", "EVENT_RETENTION_DAYS": "x", "LOCAL_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env={**os.environ, **bad},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name in ("PORT", "EVENT_RETENTION_DAYS"):
        assert f"(ops.E017) {name} cannot be read" in done.stderr
        assert f"HINT: set {name} to a whole number" in done.stderr
