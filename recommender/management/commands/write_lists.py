"""`manage.py write_lists`: a strategy's lists for many customers, for mailings."""

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from personalization.lib import clock
from personalization.lib.errors import AppError
from recommender import mailings
from recommender.mailings import Line, Mailing


class Command(BaseCommand):
    """Write what a strategy would show to each customer who allows it.

    Called again with the same file it goes on after the last whole line.
    """

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to write, and where to."""
        parser.add_argument("out", metavar="FILE", type=Path)
        parser.add_argument("--strategy", metavar="KEY", default="email")
        parser.add_argument("--segment", metavar="KEY", default="", help="only its members")
        parser.add_argument("--purpose", default=mailings.MARKETING)
        parser.add_argument("--count", type=int, default=12, help="items a customer")
        parser.add_argument(
            "--anonymous", action="store_true", help="also customers without a user id"
        )
        parser.add_argument("--format", choices=sorted(mailings.FORMATS), default="ndjson")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write, then say how many."""
        names = ("strategy", "segment", "purpose", "count", "anonymous")
        mailing = Mailing(**{name: options[name] for name in names})
        out, kind = options["out"], options["format"]
        try:
            made = _write(mailing, out, kind)
        except AppError as error:
            raise CommandError(error.message) from error
        except OSError as error:
            msg = f"{out} cannot be written: {error.strerror or error}"
            raise CommandError(msg) from error
        self.stdout.write(f"{made[True]} lists written to {out}")
        if made[False]:
            self.stderr.write(f"customers left out by a fault, which the log tells: {made[False]}")


def _write(mailing: Mailing, out: Path, kind: str) -> Counter[bool]:
    """Write; return how many customers have a list, and how many should but have none."""
    out.touch()
    with out.open("r+b") as file:
        lists = mailings.write(mailing, file, kind, actor="command", now=clock.now())
        return Counter(isinstance(one, Line) for one in lists)
