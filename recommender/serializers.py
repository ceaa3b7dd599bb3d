"""Shapes of `/api/strategies/` and `/api/models/`."""

from typing import Any, ClassVar

from rest_framework import serializers

from recommender.engine.merchandising import MOST_PLACES
from recommender.mailings import MARKETING
from recommender.models import ModelVersion, Strategy
from recommender.selectors import SETTINGS


class StrategySerializer(serializers.ModelSerializer[Strategy]):
    """A recommender configuration that placements name."""

    class Meta:
        model = Strategy
        fields = ("key", "title", *SETTINGS)
        # that there is one already is a conflict, whenever it was made
        extra_kwargs: ClassVar[dict[str, Any]] = {"key": {"validators": []}}


class MailingSerializer(serializers.Serializer[None]):
    """What a call for lists may say in its query."""

    segment = serializers.CharField(default="", allow_blank=True, help_text="Only its members.")
    purpose = serializers.CharField(
        default=MARKETING, help_text="Must be in force, beside personalization."
    )
    count = serializers.IntegerField(
        default=12, min_value=1, max_value=MOST_PLACES, help_text="Products a customer."
    )
    anonymous = serializers.BooleanField(
        default=False, help_text="Also customers without a user id."
    )
    after = serializers.IntegerField(
        default=0, min_value=0, max_value=2**63 - 1, help_text="The last customer already read."
    )
    limit = serializers.IntegerField(
        default=None, min_value=1, max_value=10**9, help_text="Lines; all without it."
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
