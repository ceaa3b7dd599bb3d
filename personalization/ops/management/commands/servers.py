"""`manage.py servers start|stop|status|watch|remove`: the project's own PostgreSQL and Redis."""

import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from personalization.lib.embedded import paths, servers
from personalization.lib.stop import Stop
from personalization.lib.supervisor import supervisor

_LOOK_EVERY_S = 0.5


class Command(BaseCommand):
    """Servers that a URL in the settings replaces are left alone."""

    help = "Start, stop, look at, keep running or delete the project's own PostgreSQL and Redis."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do."""
        parser.add_argument("action", choices=["start", "stop", "status", "watch", "remove"])

    def handle(self, *_args: Any, action: str, **_options: Any) -> None:
        """Do it."""
        try:
            getattr(self, f"_{action}")()
        except (supervisor.AlreadyRunningError, servers.EmbeddedServerError) as error:
            raise CommandError(str(error)) from error

    def _start(self) -> None:
        servers.ensure()
        self._status()

    def _stop(self) -> None:
        servers.stop(settings.LOCAL_DIR, servers.wanted())
        self._status()

    def _remove(self) -> None:
        # an `up` that runs would start servers anew, and empty
        with supervisor.held(settings.LOCAL_DIR):
            servers.remove(settings.LOCAL_DIR)

    def _status(self) -> None:
        for name in servers.wanted():
            state = "running" if servers.answers(settings.LOCAL_DIR, name) else "down"
            self.stdout.write(f"{name:10}{state}")
        self.stdout.write(f"{'data':10}{paths.data_dir(settings.LOCAL_DIR)}")
        self.stdout.write(f"{'sockets':10}{paths.socket_dir(settings.LOCAL_DIR)}")

    def _watch(self) -> None:
        """Start again whatever dies, until told to stop; a failure is told once until it ends."""
        stop = Stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        told = ""
        while not stop.wait(_LOOK_EVERY_S):
            try:
                started = servers.ensure()
            except (servers.EmbeddedServerError, OSError) as error:
                if str(error) != told:
                    self.stderr.write(str(error))
                told = str(error)
            else:
                told = ""
                for name in started:
                    self.stdout.write(f"{name} was down and runs again")
