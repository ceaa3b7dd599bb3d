"""`manage.py login_link`: a link that logs a member of staff in once; alone on the last line."""

import getpass
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from personalization.access.engine.roles import ROLES
from personalization.access.staff import LINK_TTL, create_login
from personalization.lib import clock
from personalization.lib.errors import AppError


class Command(BaseCommand):
    """Print a one-time log-in link."""

    help = "Print a link that logs a member of staff in once, within 30 minutes."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("username", nargs="?", default="admin", help="made if new (admin)")
        parser.add_argument("--role", choices=ROLES, default="admin", help="of a new user (admin)")
        parser.add_argument(
            "--base",
            default=f"http://127.0.0.1:{settings.PORT}",
            help="address of the server as you see it (this machine, at PORT)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the link, print it."""
        try:
            token = create_login(
                username=options["username"],
                role=options["role"],
                actor=f"shell:{getpass.getuser()}",
                now=clock.now(),
            )
        except AppError as error:
            raise CommandError(error.message) from error
        minutes = int(LINK_TTL.total_seconds() // 60)
        who = options["username"]
        self.stderr.write(f"Its button logs {who!r} in once, within {minutes} minutes:")
        path = reverse("one-time-login", args=[token])
        self.stdout.write(f"{options['base'].rstrip('/')}{path}")
