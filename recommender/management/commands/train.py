"""`manage.py train`: train models from the event log, with progress and a table of metrics."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.table import Table

from personalization.lib import clock
from personalization.lib.console import console, progress
from personalization.lib.errors import AppError
from recommender import searching, services, tuned

_ACTOR = "manage.py train"
_FIGURES = ("Recall@20", "NDCG@20", "coverage@20")


class Command(BaseCommand):
    """Train the models and learn how to blend them; those that pass serve within a second."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the models, the minutes of a search, models to reset."""
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--strategy", metavar="KEY", help="just the models that it and its fallbacks name"
        )
        which.add_argument("--models", nargs="+", metavar="NAME", help="just these")
        parser.add_argument(
            "--search",
            type=float,
            metavar="MINUTES",
            help="look for better settings first; what does better by more than noise is used from"
            " then on, in every training",
        )
        parser.add_argument(
            "--reset",
            nargs="+",
            metavar="NAME",
            help="have these use their own settings again, without those that searches found;"
            " trains nothing",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Search and train, then print what came of it."""
        try:
            if options["reset"]:
                self._reset(options["reset"])
                return
            models = options["models"]
            if options["strategy"]:
                models = services.models_of(options["strategy"])
            if options["search"] is not None:
                _print_searched(_search(options["search"], models))
            _print(_train(models))
        except AppError as error:
            raise CommandError(error.message) from error
        except OSError as error:
            where = error.filename or settings.LOCAL_DIR
            msg = f"{where}: {error.strerror or error}"
            raise CommandError(msg) from error

    def _reset(self, names: list[str]) -> None:
        for name in names:
            tuned.reset(name, actor=_ACTOR)
            self.stdout.write(f"{name}: its own settings from the next training on")


def _search(minutes: float, models: Sequence[str] | None) -> list[searching.Searched]:
    now = clock.now()
    with progress() as report:
        found = searching.search(
            slot=f"manual {now.isoformat()}",
            actor=_ACTOR,
            now=now,
            minutes=minutes,
            models=models and [name for name in models if searching.has_settings(name)],
            report=report,
        )
    return found or []


def _train(models: Sequence[str] | None) -> list[services.Trained]:
    now = clock.now()
    with progress() as report:
        trained = services.train(
            slot=f"manual {now.isoformat()}", actor=_ACTOR, now=now, models=models, report=report
        )
    return trained or []


def _print_searched(found: list[searching.Searched]) -> None:
    table = Table(title="Settings, judged on questions that they were not chosen on")
    for column in ("model", "NDCG@20", "its own", "gain", "trials", "outcome"):
        table.add_column(column, justify="left" if column in {"model", "outcome"} else "right")
    for one in found:
        figures = [_figure(one.told.get(name)) for name in ("NDCG@20", "default", "gain")]
        kept = one.reason or "its own settings again"
        outcome = ", ".join(f"{name} {value:.4g}" for name, value in (one.settings or {}).items())
        table.add_row(one.model, *figures, str(one.told.get("trials", "-")), outcome or kept)
    console().print(table)


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
    console().print(table)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
