"""When the programs of a node may start although PostgreSQL is away, and where they start."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from personalization.ops import programs


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


def test_up__relative_paths__mean_where_it_was_called(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"MODEL_DIR": "models", "GEO_MMDB": "geo.mmdb", "LAST_GOOD_DIR": "/var/last-good"}
    for name in (*given, "LOCAL_DIR", "MODEL_CACHE_DIR"):
        monkeypatch.setenv(name, given.get(name, ""))
        setattr(settings, name, Path(given.get(name, tmp_path / name)))
    monkeypatch.chdir(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings.HOST, settings.PORT = other.getsockname()
        with pytest.raises(CommandError, match="is taken"):
            call_command("up")

    assert Path.cwd() == settings.BASE_DIR
    assert os.environ["MODEL_DIR"] == str(tmp_path / "models")
    assert os.environ["GEO_MMDB"] == str(tmp_path / "geo.mmdb")
    assert os.environ["LAST_GOOD_DIR"] == "/var/last-good"
