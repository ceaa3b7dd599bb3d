"""`manage.py replay`: build all profiles anew from the log, then swap them in at once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from personalization.events.processor import positions, replaying


class Command(BaseCommand):
    """One replay; serving and processing go on meanwhile."""

    help = "Build every profile anew from the event log and swap them in at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the group; there is one that replays so far."""
        parser.add_argument("--group", choices=[positions.PROFILE], default=positions.PROFILE)

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run."""
        done = replaying.replay(self._show)
        self.stdout.write(f"\n{done} profiles built anew")

    def _show(self, done: int, total: int) -> None:
        self.stdout.write(f"\r{done} of {total} customers", ending="")
        self.stdout.flush()
