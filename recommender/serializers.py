"""Shapes of `/api/strategies/` and `/api/models/`."""

from rest_framework import serializers

from recommender.models import ModelVersion, Strategy


class StrategySerializer(serializers.ModelSerializer[Strategy]):
    """A recommender configuration that placements name."""

    class Meta:
        model = Strategy
        fields = (
            "key",
            "title",
            "use",
            "sources",
            "weights",
            "algorithm",
            "params",
            "rules",
            "fallback",
            "exclude_bought_days",
            "active",
        )


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
