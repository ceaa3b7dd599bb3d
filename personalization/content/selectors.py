"""Reads of content: which campaigns name a segment, and in which state one is."""

from django.urls import reverse

from personalization.access.audit import state
from personalization.content.models import Campaign
from personalization.lib.registries import SegmentUse
from segments.audiences import segments_of
from segments.engine.language import digest


def campaigns_naming(segment: str) -> list[SegmentUse]:
    """Return the campaigns, published or drafts, whose audience names a segment."""
    rows = Campaign.objects.filter(audience__isnull=False).exclude(status=Campaign.Status.ENDED)
    return [
        SegmentUse(
            row.key,
            f"campaign {row.title}",
            reverse("admin:content_campaign_change", args=[row.pk]),
        )
        for row in rows.order_by("title")
        if row.audience is not None and segment in segments_of(row.audience)
    ]


def mark_of(campaign: Campaign) -> str:
    """Return what tells one state of a campaign and its block from another."""
    block = getattr(campaign, "block", None)
    return digest([state(campaign), state(block) if block else None], 16)
