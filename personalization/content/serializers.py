"""JSON of placements, campaigns and blocks in `/api`. Rules live in `engine/faults.py`."""

from typing import Any

from rest_framework import serializers

from personalization.content.models import Block, Campaign, Placement
from segments.serializers import RuleField


class PlacementSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]  # not generic at run time
    """A placement, by key."""

    key = serializers.CharField(max_length=100)
    default_content = serializers.JSONField(required=False)

    class Meta:
        model = Placement
        fields = ("key", "title", "kind", "strategy", "count", "default_content", "active")
        extra_kwargs = {"title": {"required": False}}


class CampaignSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]  # as above
    """A campaign, by key; its placement by key; its block as it shows."""

    key = serializers.CharField(max_length=100)
    placement = serializers.CharField(source="placement.key")
    block = serializers.SerializerMethodField()
    audience = RuleField(
        required=False,
        allow_null=True,
        help_text="Whom it is for, a rule of docs/rules.md; null: everybody.",
    )

    class Meta:
        model = Campaign
        fields = (
            "key", "title", "placement", "status", "priority", "starts_at", "ends_at", "audience",
            "block", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = ("status", "created_at", "updated_at")
        extra_kwargs = {"title": {"required": False}, "priority": {"required": False}}

    def get_block(self, row: Campaign) -> dict[str, Any] | None:
        """Return key and content of the block; None without one."""
        block = getattr(row, "block", None)
        return {"key": block.key, "content": block.content} if block else None


class BlockSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]  # as above
    """What one campaign shows."""

    key = serializers.CharField(max_length=100)
    campaign = serializers.CharField(source="campaign.key")
    content = serializers.JSONField()

    class Meta:
        model = Block
        fields = ("key", "campaign", "content")
