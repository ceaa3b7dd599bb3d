"""Registrations of the monitoring app."""

from django.apps import AppConfig

from personalization.lib import background
from personalization.lib.registries import Panel, index_panels


class MonitoringConfig(AppConfig):
    """The monitoring app."""

    name = "personalization.monitoring"
    label = "monitoring"
    verbose_name = "Monitoring"

    def ready(self) -> None:
        """Have long-lived processes write their counts, and the overview show them."""
        from personalization.monitoring import panels, services  # noqa: PLC0415 -- needs loaded models

        services.start_from_here()
        both = {"web", "processor"}
        background.register("monitoring.flush", seconds=5, run=services.flush, kinds=both)
        background.register(
            "monitoring.lag", seconds=5, run=services.flush_lag, kinds={"processor"}
        )
        background.register(
            "monitoring.files", seconds=60, run=services.tidy_metric_files, kinds={"web"}
        )
        index_panels.register(
            "state", Panel("State of the system", "studio/figures.html", panels.state, order=10)
        )
