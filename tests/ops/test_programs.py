"""When the programs of a node may start although PostgreSQL is away, and where they start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from personalization.ops import programs
from tests.faults.deployment import elsewhere


def test_prepared_before__node_that_never_was__no() -> None:
    assert not programs.prepared_before()


def test_prepared_before__same_tables__yes__new_release__no(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs.note_prepared()
    same = programs.prepared_before()

    monkeypatch.setattr(programs, "_tables", lambda: "those of the next release")

    assert same
    assert not programs.prepared_before()


def test_children__started_elsewhere__find_the_project_and_relative_paths(tmp_path: Path) -> None:
    """As `manage.py up` called from any folder, with a secret in a file beside it."""
    (tmp_path / "secret").write_text("s" * 60)
    given = {"SECRET_KEY_FILE": "secret", "LOCAL_DIR": "here", "MODEL_DIR": "models"}
    environment = {name: text for name, text in os.environ.items() if name != "SECRET_KEY"}
    told = "print(settings.SECRET_KEY, settings.LOCAL_DIR, settings.MODEL_DIR.absolute())"

    child = subprocess.run(
        [sys.executable, "-c", f"from django.conf import settings; {told}"],
        cwd=tmp_path,
        env=environment | given | programs.importable(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert child.stdout.split() == ["s" * 60, str(tmp_path / "here"), str(tmp_path / "models")]
    assert all(one.environment["PYTHONPATH"] for one in programs.programs())


def test_children__started_among_modules_of_the_same_names__import_none_of_them(
    tmp_path: Path,
) -> None:
    """Celery would have the folder first on the path of whatever imports its application."""
    reads = "import json, socket, sys, celery, recommender; from personalization.celery import app"

    child = subprocess.run(
        [sys.executable, "-c", f"{reads}; print(sys.path)"],
        cwd=elsewhere(tmp_path),
        env=os.environ | programs.importable(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert child.stderr == ""
    assert str(tmp_path) not in child.stdout
