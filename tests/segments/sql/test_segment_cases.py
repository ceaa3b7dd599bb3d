"""`manage.py segment_cases`: a line a case, whatever the executor, and no case hidden."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

CASE: dict[str, Any] = {
    "id": "c1",
    "timezone": "UTC",
    "segment": {
        "and": [
            {
                "kind": "count",
                "event": "view",
                "window": {"type": "last", "seconds": 60},
                "op": "gte",
                "value": 1,
            },
            {"kind": "profile", "key": "country", "op": "eq", "value": "DE"},
            {"not": {"kind": "profile", "key": "orders", "op": "gt", "value": 3}},
            {"kind": "profile", "key": "consent.marketing", "op": "neq", "value": False},
        ]
    },
    "profiles": {
        "u1": {"country": "DE", "consent.marketing": True},
        "u2": {"country": "DE", "orders": 4, "consent.marketing": True},
        "u3": {"country": "Germany", "consent.marketing": False},
    },
    "steps": [
        {
            "at": 100,
            "ingest": [
                {"id": f"e{n}", "seq": n, "user": f"u{n}", "name": "view", "ts": 90, "props": {}}
                for n in (1, 2, 3)
            ],
        },
        {"at": 120, "ingest": [], "traits": {"u2": {"orders": 3}}},
        {"at": 150, "ingest": []},
    ],
}


def run(path: Path, executor: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("segment_cases", str(path), executor=executor, stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.django_db
@pytest.mark.parametrize("executor", ["evaluate", "fold", "sql"])
def test_segment_cases__readable_file__prints_the_members(executor: str, tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"cases": [CASE]}))

    assert run(path, executor) == [{"id": "c1", "members": [["u1"], ["u1", "u2"], []]}]


@pytest.mark.django_db
@pytest.mark.parametrize("executor", ["evaluate", "fold", "sql"])
def test_segment_cases__case_that_cannot_be_read__is_told_and_the_rest_runs(
    executor: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"cases": [{**CASE, "segment": {"kind": "nothing"}}, 7, CASE]}))
    out = StringIO()

    with pytest.raises(CommandError, match="2 cases") as raised:
        call_command("segment_cases", str(path), executor=executor, stdout=out)

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert raised.value.returncode == 1
    assert ["error" in line for line in lines] == [True, True, False]


def test_segment_cases__no_cases__says_so(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    path.write_text("{}")

    with pytest.raises(CommandError, match="holds no cases"):
        call_command("segment_cases", str(path))
