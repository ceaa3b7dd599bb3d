"""Registrations of the decisions app."""

import atexit

from django.apps import AppConfig

from personalization.lib import background
from personalization.lib.registries import Panel, customer_panels, personal_data


class DecisionsConfig(AppConfig):
    """The decisions app."""

    name = "personalization.decisions"
    label = "decisions"
    verbose_name = "Decisions"

    def ready(self) -> None:
        """Write the decision log in the background of web workers, and what waits at exit."""
        from personalization.decisions import panels, personal, record  # noqa: PLC0415 -- models

        background.register("decisions.log", seconds=0.5, run=record.flush, kinds={"web"})
        atexit.register(record.flush_at_exit)
        personal_data.register("decisions", personal.LoggedDecisions())
        customer_panels.register(
            "decisions",
            Panel("Decided", "studio/customer_decisions.html", panels.customer_decisions, order=15),
        )
