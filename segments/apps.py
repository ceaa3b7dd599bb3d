"""Registrations of the segments app."""

from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    """The segments app."""

    name = "segments"
    label = "segments"
    verbose_name = "Segments"
