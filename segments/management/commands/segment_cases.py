"""`manage.py segment_cases`: what an executor of the rule language says of a file of cases."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from segments.casebook import run_case_sql
from segments.engine.cases import Case, run_case

_EXECUTORS: Mapping[str, Callable[[Case], Iterator[list[str]]]] = {
    "evaluate": partial(run_case, executor="evaluate"),
    "fold": partial(run_case, executor="fold"),
    "sql": run_case_sql,
}


class Command(BaseCommand):
    """One JSON line a case: `{"id", "members": [[user], ...]}`, a list for each step."""

    help = "Print, for each case of a file, who is a member after each step."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the file and the executor."""
        parser.add_argument("file", type=Path, help='{"cases": [case, ...]}')
        parser.add_argument("--executor", choices=list(_EXECUTORS), default="evaluate")

    def handle(self, *_args: Any, file: Path, executor: str, **_options: Any) -> None:
        """Run; exit status 1 when a case could not be decided."""
        failed = 0
        for case in _read(file):
            line = _line(case, _EXECUTORS[executor])
            failed += "error" in line
            self.stdout.write(orjson.dumps(line).decode())
            self.stdout.flush()
        if failed:
            msg = f"{failed} cases could not be decided"
            raise CommandError(msg, returncode=1)


def _read(file: Path) -> list[Case]:
    try:
        cases = orjson.loads(file.read_bytes())["cases"]
    except (OSError, KeyError, TypeError, orjson.JSONDecodeError) as error:
        msg = f"{file} holds no cases: {error}"
        raise CommandError(msg) from error
    if not isinstance(cases, list):
        msg = f"{file} holds no list of cases"
        raise CommandError(msg)
    return cases


def _line(case: Any, run: Callable[[Case], Iterator[list[str]]]) -> dict[str, Any]:
    """Return what is printed of a case: all steps, or those before the one that failed."""
    line: dict[str, Any] = {"id": case.get("id") if isinstance(case, dict) else None, "members": []}
    try:
        for members in run(case):
            line["members"].append(members)
    except Exception as error:  # noqa: BLE001 -- one case, whatever it holds, must not end the others
        line["error"] = f"{type(error).__name__}: {error}"
    return line
