"""`manage.py prepare`: checks of the servers, migrations, static files, before anything serves."""

from typing import Any

from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from personalization.ops import programs

# Any fixed number: two machines that start at once migrate one after the other.
_LOCK = 7_313_001


class Command(BaseCommand):
    """Safe to run on every start and on several machines at once."""

    help = "Refuse servers that are not fit, bring the tables up to date, collect static files."

    def handle(self, *_args: Any, **options: Any) -> None:
        """Look at PostgreSQL and Redis, then run both under a lock of the database.

        Django looks at a database only when asked to, and `call_command` asks for no check.
        """
        try:
            connection.ensure_connection()
        except OperationalError as error:
            msg = f"PostgreSQL cannot be reached: {error}".strip()
            raise CommandError(msg, returncode=programs.STORE_AWAY) from error
        self.check(tags=[Tags.database], databases=["default"])
        quiet = max(0, int(options["verbosity"]) - 1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            call_command("migrate", interactive=False, verbosity=quiet)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
        call_command("collectstatic", interactive=False, verbosity=0)
        programs.note_prepared()
