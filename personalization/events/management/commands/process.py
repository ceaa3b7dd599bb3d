"""`manage.py process`: fold the event log into profiles until told to stop."""

import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from personalization.events.processor import bulk, lanes, loop
from personalization.lib import background, collector
from personalization.lib.stop import Stop


class Command(BaseCommand):
    """One processor. Start as many as you like: they share the shards."""

    help = "Fold the event log into profiles. Ends cleanly on SIGTERM; several share the work."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Offer the two ways that end by themselves."""
        parser.add_argument("--once", action="store_true", help="Fold what waits, then end.")
        parser.add_argument(
            "--bulk", action="store_true", help="Fold a large backlog customer by customer first."
        )
        parser.add_argument(
            "--lanes",
            type=int,
            default=settings.PROCESSOR_LANES,
            help="Processes that share the work; %(default)s unless told.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        if options["bulk"]:
            events = bulk.run(self._show)
            self.stdout.write(f"\n{events} events folded")
        if options["once"]:
            loop.Processor().drain()
        elif not options["bulk"]:
            self._serve(max(options["lanes"], 1))

    def _serve(self, count: int) -> None:
        stop = Stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        collector.calm()
        try:
            lanes.serve(stop, _work, lanes=count)
        except lanes.LaneLostError as error:
            raise CommandError(str(error)) from error

    def _show(self, done: int, total: int) -> None:
        self.stdout.write(f"\r{done} of {total} customers", ending="")
        self.stdout.flush()


def _work(stop: Stop) -> None:
    background.start(loop.KIND)
    loop.run(stop)
    background.stop()
