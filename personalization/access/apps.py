"""Registrations of the access app."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """The access app."""

    name = "personalization.access"
    label = "access"

    def ready(self) -> None:
        """Hand the keys to the published configuration."""
        from personalization.access.config import AccessPart  # noqa: PLC0415 -- needs loaded models
        from personalization.lib.registries import config_parts  # noqa: PLC0415 -- as above

        config_parts.register("access", AccessPart())
