"""Registrations of the content app."""

from django.apps import AppConfig

from personalization.lib import registries


class ContentConfig(AppConfig):
    """The content app."""

    name = "personalization.content"
    label = "content"
    verbose_name = "Content"

    def ready(self) -> None:
        """Hand content to the published configuration; tell which campaigns name a segment."""
        from personalization.content import selectors  # noqa: PLC0415 -- needs models
        from personalization.content.config import ContentPart  # noqa: PLC0415 -- as above

        registries.config_parts.register("content", ContentPart())
        registries.segment_users.register("campaigns", selectors.campaigns_naming)
