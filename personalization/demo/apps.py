"""Registrations of the demo app."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """The demo app."""

    name = "personalization.demo"
    label = "demo"
    verbose_name = "Demo shop"
