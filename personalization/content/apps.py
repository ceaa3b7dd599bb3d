"""Registrations of the content app."""

from django.apps import AppConfig


class ContentConfig(AppConfig):
    """The content app."""

    name = "personalization.content"
    label = "content"
