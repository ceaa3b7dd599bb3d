"""Registrations of the lib app."""

from django.apps import AppConfig

from personalization.lib import arrays


class LibConfig(AppConfig):
    """The lib app."""

    name = "personalization.lib"
    label = "lib"

    def ready(self) -> None:
        """Pass lists to PostgreSQL the quick way."""
        arrays.register()
