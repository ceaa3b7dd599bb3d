"""Registrations of the lib app."""

from django.apps import AppConfig


class LibConfig(AppConfig):
    """The lib app."""

    name = "personalization.lib"
    label = "lib"
