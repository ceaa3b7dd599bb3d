"""`manage.py identity_token USERID`: what the shop's server would hand to that user's browser."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from personalization.access.serve import identity_token
from personalization.lib import clock


class Command(BaseCommand):
    """Print an identity token for a user id."""

    help = "Print the userToken with which a browser proves that it belongs to USERID."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("user_id", metavar="USERID")
        parser.add_argument("--hours", type=float, default=24, help="how long it is good for (24)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the token."""
        if not options["user_id"] or options["hours"] <= 0:
            msg = "USERID must not be empty and --hours must be more than 0"
            raise CommandError(msg)
        expires_at = clock.now() + timedelta(hours=options["hours"])
        self.stdout.write(identity_token(options["user_id"], expires_at=expires_at))
