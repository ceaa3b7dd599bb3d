"""`manage.py segment_learn`: learn clusters and scores from the log, and score everybody."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.table import Table

from personalization.lib import clock
from personalization.lib.console import console, progress
from personalization.lib.errors import AppError
from segments.learning import pages, services
from segments.learning.engine.clusters import ALGORITHMS
from segments.learning.engine.recipes import RECIPES, Recipe
from segments.models.learning import LearnedModel


class Command(BaseCommand):
    """Learn models and score customers; those that pass the gate are in rules at once."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to learn."""
        parser.add_argument(
            "keys", nargs="*", help=f"models: {', '.join(RECIPES)}, your own; none: all"
        )
        parser.add_argument("--clusters", metavar="KEY", help="learn clusters of your own")
        parser.add_argument("--algorithm", choices=list(ALGORITHMS), default="kmeans")
        parser.add_argument("--k", type=int, default=0, help="how many clusters; 0: found")
        parser.add_argument("--features", nargs="*", default=[], help="features to use; all")
        parser.add_argument("--lookalike", metavar="SEGMENT", help="learn who is like its members")
        parser.add_argument("--score-only", action="store_true", help="ask the live models alone")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Learn, score, and print what came of it."""
        now = clock.now()
        slot = f"manual {now.isoformat()}"
        try:
            if not options["score_only"]:
                _learn(_recipes(options), slot)
            found = services.score(slot=slot, now=now) or {}
        except AppError as error:
            raise CommandError(error.message) from error
        self.stdout.write(
            f"{found.get('customers', 0):,} customers scored by {found.get('models', 0)} models,"
            f" {found.get('changed', 0):,} scores changed"
        )


def _recipes(options: dict[str, Any]) -> list[Recipe]:
    due = {one.key: one for one in services.due_recipes()}
    unknown = [key for key in options["keys"] if key not in due]
    if unknown:
        msg = f"no model is called {unknown[0]!r}; there are {', '.join(due)}"
        raise CommandError(msg)
    found = [due[key] for key in options["keys"]]
    if options["clusters"]:
        found.append(
            services.cluster_recipe(
                options["clusters"],
                algorithm=options["algorithm"],
                k=options["k"],
                features_used=options["features"],
            )
        )
    if options["lookalike"]:
        found.append(services.lookalike_recipe(options["lookalike"]))
    return found or list(due.values())


def _learn(recipes: list[Recipe], slot: str) -> None:
    with progress() as report:
        learned = services.learn(
            slot=slot,
            actor="manage.py segment_learn",
            now=clock.now(),
            recipes=recipes,
            report=report,
        )
    _print(learned or [])


def _print(learned: list[services.Learned]) -> None:
    table = Table(title="Models of customers")
    for column in ("model", "version", "algorithm", "quality", "outcome"):
        table.add_column(column)
    for one in learned:
        row = LearnedModel.objects.filter(key=one.key, version=one.version or 0).first()
        outcome = one.status + (f": {one.reason}" if one.reason else "")
        quality = pages.quality(row) if row is not None else "-"
        table.add_row(one.key, str(one.version or "-"), one.algorithm or "-", quality, outcome)
    console().print(table)
