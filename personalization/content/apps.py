"""Registrations of the content app."""

from django.apps import AppConfig


class ContentConfig(AppConfig):
    """The content app."""

    name = "personalization.content"
    label = "content"
    verbose_name = "Content"

    def ready(self) -> None:
        """Hand content to the published configuration."""
        from personalization.content.config import ContentPart  # noqa: PLC0415 -- needs models
        from personalization.lib.registries import config_parts  # noqa: PLC0415 -- as above

        config_parts.register("content", ContentPart())
