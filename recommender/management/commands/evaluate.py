"""`manage.py evaluate`: how well the models do on a public data set, in a protocol of the field."""

import gzip
import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from recommender.engine.algorithms import RECIPES
from recommender.engine.evaluation import evaluate
from recommender.engine.formats import Benchmark, purchases, sessions, temporal

_COUNT = 20
_MODELS = ("popularity", "item_knn")
_COLUMNS = ("Recall@20", "HR@20", "NDCG@20", "MRR@20", "coverage@20")


class Command(BaseCommand):
    """Fit on the known part, rank everything for each case, print a table or JSON."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take files and format."""
        parser.add_argument("--train", required=True, type=Path, help="plain or .gz")
        parser.add_argument("--test", type=Path, help="sessions: prefix<TAB>next item")
        parser.add_argument("--format", required=True, choices=["sessions", "temporal"])
        parser.add_argument("--days", type=float, default=30.0, help="temporal: test window")
        parser.add_argument("--json", action="store_true", help="print JSON alone")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Measure and print."""
        benchmark = _benchmark(options)
        if not benchmark.cases:
            msg = "no test case: nobody is on both sides of the cut"
            raise CommandError(msg)
        models = {name: _measure(name, benchmark) for name in _MODELS}
        found = {"protocol": benchmark.protocol, "cases": len(benchmark.cases), "models": models}
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        _print(found)


def _benchmark(options: dict[str, Any]) -> Benchmark:
    try:
        if options["format"] == "temporal":
            return temporal(purchases(_lines(options["train"])), days=options["days"])
        if options["test"] is None:
            msg = "--format sessions needs --test"
            raise CommandError(msg)
        return sessions(_lines(options["train"]), _lines(options["test"]))
    except OSError as error:
        msg = f"{error.filename}: {error.strerror}"
        raise CommandError(msg) from error
    except ValueError as error:
        msg = f"the file is not in the format {options['format']}: {error}"
        raise CommandError(msg) from error


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        yield from file


def _measure(name: str, benchmark: Benchmark) -> dict[str, Any]:
    recipe = RECIPES[name]
    started = time.perf_counter()
    model = recipe.algorithm.fit(benchmark.known, recipe.config, as_of_s=benchmark.as_of_s)
    fitted = time.perf_counter()
    # an item that only the test knows is part of the ranking and can never be found: that is honest
    repeats = evaluate(model, benchmark.cases, count=_COUNT, own=True)
    asked = time.perf_counter()
    discovery = evaluate(model, benchmark.cases, count=_COUNT, own=False)
    return {
        "config": recipe.config.to_json(),
        "metrics": repeats.to_json(_COUNT),
        "discovery": discovery.to_json(_COUNT),
        "fit_s": round(fitted - started, 3),
        "per_case_us": round((asked - fitted) / len(benchmark.cases) * 1e6, 1),
    }


def _print(found: dict[str, Any]) -> None:
    table = Table(title=found["protocol"], title_justify="left")
    for column in ("model", *_COLUMNS, "new items: Recall@20", "fit s", "µs a case"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name, one in found["models"].items():
        figures = [f"{one['metrics'][column]:.4f}" for column in _COLUMNS]
        new = one["discovery"]["Recall@20"]
        table.add_row(
            name,
            *figures,
            "-" if new is None else f"{new:.4f}",
            f"{one['fit_s']:.1f}",
            f"{one['per_case_us']:.0f}",
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)
