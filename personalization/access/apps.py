"""Registrations of the access app."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """The access app."""

    name = "personalization.access"
    label = "access"
