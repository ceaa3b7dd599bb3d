"""Registrations of the consent app."""

from django.apps import AppConfig


class ConsentConfig(AppConfig):
    """The consent app."""

    name = "personalization.consent"
    label = "consent"
