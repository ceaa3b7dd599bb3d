"""`manage.py train`: train models from the event log, with progress and a table of metrics."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from personalization.lib import clock
from personalization.lib.errors import AppError
from recommender import services
from recommender.engine.strategies import BLEND_OF, spec_of
from recommender.engine.training import BLENDS
from recommender.models import Strategy

_FIGURES = ("Recall@20", "NDCG@20", "coverage@20")


class Command(BaseCommand):
    """Train the models and learn how to blend them; those that pass serve within a second."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the strategy."""
        parser.add_argument(
            "--strategy", metavar="KEY", help="train just the models that this strategy needs"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Train, then print what came of it."""
        models = _models_of(options["strategy"]) if options["strategy"] else services.ALL
        now = clock.now()
        progress = Progress(
            TextColumn("{task.description:24}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),
        )
        with progress:
            task = progress.add_task("starting", total=None)

            def report(stage: str, done: int, total: int) -> None:
                progress.update(task, description=stage, completed=done, total=total)

            try:
                trained = services.train(
                    slot=f"manual {now.isoformat()}",
                    actor="manage.py train",
                    now=now,
                    models=models,
                    report=report,
                )
            except AppError as error:
                raise CommandError(error.message) from error
        _print(trained or [])


def _models_of(strategy: str) -> tuple[str, ...]:
    """Return the models of a strategy and of those it falls back to."""
    rows = {row.key: row for row in Strategy.objects.all()}
    if strategy not in rows:
        msg = f"there is no strategy {strategy!r}; there are {', '.join(sorted(rows))}"
        raise CommandError(msg)
    found: list[str] = []
    while strategy in rows:
        row = rows.pop(strategy)
        spec = spec_of(_exported(row))
        found += [source.algorithm for source in spec.sources]
        found += [BLEND_OF[spec.use]] if spec.learned else []
        strategy = row.fallback
    # blends are learned of models that are there
    return tuple(sorted(dict.fromkeys(found), key=lambda name: name in BLENDS))


def _exported(row: Strategy) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in row._meta.fields}


def _print(trained: list[services.Trained]) -> None:
    table = Table(title="Models, measured on the last days of the data")
    for column in ("model", "version", *_FIGURES, "popularity NDCG@20", "users", "outcome"):
        table.add_column(column, justify="left" if column in {"model", "outcome"} else "right")
    for one in trained:
        figures = [_figure(one.metrics.get(name)) for name in _FIGURES]
        floor = _figure(one.metrics.get("popularity", {}).get("NDCG@20"))
        outcome = one.status + (f": {one.reason}" if one.reason else "")
        users = f"{one.metrics['users']:,}" if one.metrics else "-"
        table.add_row(one.model, str(one.number or "-"), *figures, floor, users, outcome)
    # in a pipe or a log there is no width to respect
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
