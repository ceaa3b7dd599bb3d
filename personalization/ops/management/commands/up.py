"""`manage.py up`: servers, web, processor, worker and beat on this machine, kept running."""

import contextlib
import http.client
import shutil
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError

from personalization.lib import clock, ports
from personalization.lib.embedded import servers
from personalization.lib.supervisor.plan import Program
from personalization.lib.supervisor.supervisor import AlreadyRunningError, Supervisor
from personalization.ops import programs


class Command(BaseCommand):
    """The supervisor touches no database itself, so that nothing but a signal ends it."""

    help = "Run everything on this machine and start again whatever dies. Ctrl-C stops all."
    # Bad settings end it at once; what the database says is for `prepare` to look at.
    requires_system_checks = [Tags.compatibility]

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run until Ctrl-C or SIGTERM."""
        supervisor = Supervisor(settings.LOCAL_DIR, self._say)
        try:
            with supervisor.alone():
                self._serve(supervisor)
        except (AlreadyRunningError, ports.PortError, servers.EmbeddedServerError) as error:
            raise CommandError(str(error)) from error

    def _serve(self, supervisor: Supervisor) -> None:
        # Before anything is started: granian shares a port with its like, and two would answer.
        ports.require_free(settings.HOST, settings.PORT)
        # Counters of processes that are gone would be added to those of the new ones.
        shutil.rmtree(settings.LOCAL_DIR / "metrics", ignore_errors=True)
        if servers.wanted():
            self._say("servers", "starting " + ", ".join(servers.wanted()))
            servers.ensure()
        try:
            self._run(supervisor)
        finally:
            if servers.wanted():
                servers.stop(settings.LOCAL_DIR, servers.wanted())
                self._say("servers", "stopped")

    def _run(self, supervisor: Supervisor) -> None:
        """Prepare, then run all programs until the end."""
        early = programs.STORE_AWAY if programs.prepared_before() else None
        found = self._programs()
        if not supervisor.run_one(programs.prepare(), give_up_on=early):
            if supervisor.stopping:
                return
            self._say("up", "PostgreSQL is away: serving what this node last served")
            found = [programs.prepare(), *found]
        # The first preparation takes minutes, in which another clone may have come first.
        ports.require_free(settings.HOST, settings.PORT)
        supervisor.run(found, tick=self._announce)

    def _programs(self) -> list[Program]:
        """Return what runs; `manage.py demo` adds its own."""
        return programs.programs()

    _announced = False

    def _announce(self) -> None:
        """Say once that the web answers."""
        if not self._announced and web_answers():
            self._announced = True
            self._say("up", f"ready at http://127.0.0.1:{settings.PORT}/")

    def _say(self, name: str, state: str) -> None:
        self.stdout.write(f"{clock.now():%H:%M:%S} {name:10}{state}")
        self.stdout.flush()


def web_answers() -> bool:
    """Tell whether the web of this machine serves."""
    web = http.client.HTTPConnection("127.0.0.1", settings.PORT, timeout=2)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(web):
        web.request("GET", "/healthz/ready")
        return web.getresponse().status == http.HTTPStatus.OK
    return False
