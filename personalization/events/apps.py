"""Registrations of the events app."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """The events app."""

    name = "personalization.events"
    label = "events"
