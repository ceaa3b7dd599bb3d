"""Registrations of the recommender app."""

from django.apps import AppConfig


class RecommenderConfig(AppConfig):
    """The recommender app."""

    name = "recommender"
    label = "recommender"
