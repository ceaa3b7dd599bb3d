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

_FIGURES = ("Recall@20", "NDCG@20", "coverage@20")


class Command(BaseCommand):
    """Train the models and learn how to blend them; those that pass serve within a second."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the strategy."""
        parser.add_argument(
            "--strategy", metavar="KEY", help="just the models that it and its fallbacks name"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Train, then print what came of it."""
        strategy = options["strategy"]
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
                    models=services.models_of(strategy) if strategy else None,
                    report=report,
                )
            except AppError as error:
                raise CommandError(error.message) from error
        _print(trained or [])


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
