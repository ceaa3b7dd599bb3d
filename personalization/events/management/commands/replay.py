"""`manage.py replay`: build what was folded anew from the log, then swap it in at once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from personalization.events.processor import positions, replaying
from personalization.lib.registries import replays


class Command(BaseCommand):
    """One replay; serving and processing go on meanwhile."""

    help = "Build every profile, or what another group folds, anew from the log and swap it in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the group."""
        groups = [positions.PROFILE, *(name for name, _ in replays.items())]
        parser.add_argument("--group", choices=groups, default=positions.PROFILE)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        if options["group"] != positions.PROFILE:
            done = replays[options["group"]](self._show_events)
            self.stdout.write(f"\n{done} events folded anew")
            return
        done = replaying.replay(self._show)
        self.stdout.write(f"\n{done} profiles built anew")

    def _show(self, done: int, total: int) -> None:
        self.stdout.write(f"\r{done} of {total} customers", ending="")
        self.stdout.flush()

    def _show_events(self, done: int) -> None:
        self.stdout.write(f"\r{done} events", ending="")
        self.stdout.flush()
