"""Registrations of the customers app."""

from django.apps import AppConfig


class CustomersConfig(AppConfig):
    """The customers app."""

    name = "personalization.customers"
    label = "customers"
