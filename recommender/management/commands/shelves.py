"""`manage.py shelves`: what a strategy puts beside some products, for people to judge."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from personalization.catalog import serve as catalogue
from personalization.lib import clock
from recommender import live, reasons, serve
from recommender.engine.base import NOBODY
from recommender.engine.merchandising import MOST_PLACES
from recommender.visits import Visit


class Command(BaseCommand):
    """Ask a published strategy about products, as a page of each would."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the strategy, and which products."""
        parser.add_argument("items", nargs="*", metavar="KEY", help="keys; none: the most popular")
        parser.add_argument("--strategy", default="complements", metavar="KEY")
        parser.add_argument("--top", type=int, default=10, help="how many popular products")
        parser.add_argument("--count", type=int, default=4, help="places of a shelf")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print a table: the product, its shelf."""
        for name in ("top", "count"):
            if not 1 <= options[name] <= MOST_PLACES:
                msg = f"--{name} {options[name]}: give 1 to {MOST_PLACES}"
                raise CommandError(msg)
        strategy, view = options["strategy"], catalogue.refresh()
        live.refresh()
        if strategy not in serve.strategies():
            msg = f"there is no strategy {strategy!r}; there are {', '.join(serve.strategies())}"
            raise CommandError(msg)
        table = Table(title=f"Strategy {strategy}", title_justify="left")
        for column in ("product", "shelf", "source"):
            table.add_column(column)
        for key in options["items"] or _popular(options["top"]):
            visit = Visit(
                item=key, count=options["count"], personal=False, now_s=clock.now().timestamp()
            )
            found = serve.recommend(strategy, visit).items
            titles = "\n".join(reasons.title_of(one.id, view) for one in found)
            sources = "\n".join(one.source for one in found)
            table.add_row(f"{reasons.title_of(key, view)} ({key})", titles, sources)
        Console(width=None if sys.stdout.isatty() else 140).print(table)


def _popular(count: int) -> list[str]:
    model = live.models().get("popularity")
    if model is None:
        msg = "no popularity serves yet: name products, or run manage.py train first"
        raise CommandError(msg)
    return [model.keys[row] for row in model.model.recommend(NOBODY, count).rows.tolist()]
