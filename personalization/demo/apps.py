"""Registrations of the demo app."""

from django.apps import AppConfig

from personalization.lib.registries import log_fillers


class DemoConfig(AppConfig):
    """The demo app."""

    name = "personalization.demo"
    label = "demo"
    verbose_name = "Demo shop"

    def ready(self) -> None:
        """Have what learns by itself wait until the shop is filled."""
        from personalization.demo import state  # noqa: PLC0415 -- needs loaded models

        log_fillers.register(state.KIND, "the demo shop")
