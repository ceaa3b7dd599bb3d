"""Shapes of `/api/strategies/` and `/api/models/`."""

from rest_framework import serializers

from recommender.models import ModelVersion, Strategy
from recommender.selectors import SETTINGS


class StrategySerializer(serializers.ModelSerializer[Strategy]):
    """A recommender configuration that placements name."""

    class Meta:
        model = Strategy
        fields = ("key", "title", *SETTINGS)


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """A trained model."""

    class Meta:
        model = ModelVersion
        fields = (
            "id",
            "algorithm",
            "number",
            "status",
            "reason",
            "metrics",
            "manifest_sha256",
            "created_at",
            "promoted_at",
        )
        read_only_fields = fields
