"""Registrations of the ops app."""

from django.apps import AppConfig


class OpsConfig(AppConfig):
    """The ops app."""

    name = "personalization.ops"
    label = "ops"
