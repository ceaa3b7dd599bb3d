"""Registrations of the events app."""

from django.apps import AppConfig

from personalization.lib import background
from personalization.lib.registries import Panel, config_parts, customer_panels


class EventsConfig(AppConfig):
    """The events app."""

    name = "personalization.events"
    label = "events"
    verbose_name = "Events"

    def ready(self) -> None:
        """Register the schema's share of the configuration and the jobs of web workers."""
        # Tables are not there yet when this module is imported.
        from personalization.events import fates, numbers, panels  # noqa: PLC0415
        from personalization.events.config import SchemaPart  # noqa: PLC0415

        config_parts.register("schema", SchemaPart())
        # The debugger promises two seconds.
        background.register("events.fates", seconds=0.5, run=fates.flush, kinds={"web"})
        background.register("events.numbers", seconds=300, run=numbers.seed, kinds={"web"})
        customer_panels.register(
            "timeline",
            Panel("Events", "studio/customer_timeline.html", panels.customer_timeline, order=20),
        )
