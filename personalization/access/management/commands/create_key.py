"""`manage.py create_key`: make an API key; the key stands alone on the last line."""

import getpass
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from personalization.access.engine.keys import PREFIXES, SCOPES
from personalization.access.services import create_key
from personalization.lib import clock
from personalization.lib.errors import AppError


class Command(BaseCommand):
    """Create an API key and print it on the last line."""

    help = "Create an API key. It is printed once, alone on the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--kind", choices=sorted(PREFIXES), required=True)
        parser.add_argument("--name", required=True, help="what the key is for")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            choices=sorted(SCOPES),
            help="repeatable; none: all",
        )
        parser.add_argument(
            "--origin",
            action="append",
            default=[],
            help="site that may use a public key; repeatable",
        )
        parser.add_argument("--days", type=int, help="expires after so many days; none: never")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Create the key, print it."""
        days = options["days"]
        try:
            row, key = create_key(
                name=options["name"],
                kind=options["kind"],
                actor=f"shell:{getpass.getuser()}",
                scopes=options["scope"],
                origins=options["origin"],
                expires_at=None if days is None else clock.now() + timedelta(days=days),
            )
        except AppError as error:
            faults = "; ".join(f"{p.path}: {p.problem}" for p in error.details)
            raise CommandError(f"{error.message}: {faults}") from error
        self.stderr.write(f"Key {row.pk} ({row.kind}) {row.name!r} created; it is shown this once:")
        self.stdout.write(key)
