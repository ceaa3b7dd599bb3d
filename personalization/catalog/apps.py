"""Registrations of the catalog app."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """The catalog app."""

    name = "personalization.catalog"
    label = "catalog"
