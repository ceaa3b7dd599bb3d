"""Registrations of the ops app."""

from django.apps import AppConfig

from personalization.lib import background
from personalization.lib.registries import readiness


class OpsConfig(AppConfig):
    """The ops app."""

    name = "personalization.ops"
    label = "ops"
    verbose_name = "Jobs and configuration"

    def ready(self) -> None:
        """Watch for newer configuration, and give signs of life, in long-lived processes."""
        from personalization.ops import checks, heartbeats, serve  # noqa: PLC0415 -- needs loaded models

        checks.register_all()
        readiness.register("configuration", serve.readiness)
        background.register(
            "heartbeat",
            seconds=heartbeats.EVERY_S,
            run=heartbeats.beat,
            kinds={"web", "worker", "beat"},  # the processor writes its own, with its leases
        )
        background.register("config", seconds=1.0, run=serve.watch, kinds={"web", "processor"})
