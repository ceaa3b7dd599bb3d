"""When the programs of a node may start although PostgreSQL is away."""

import pytest

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
