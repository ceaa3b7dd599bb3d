"""Reads of the decision log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import QuerySet

from personalization.content import serve as content
from personalization.decisions.models import Decision
from personalization.lib.uuid7 import day_of
from personalization.ops import serve as config
from personalization.ops.errors import NotBuilt
from personalization.ops.models import ConfigVersion
from segments.engine.language import Rule

NOT_RECORDED = "not_recorded"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A logged decision, and what its configuration says about each of its content placements.

    `audiences`: rules by the key of their campaign, as they were then.
    """

    decision: Decision
    candidates: Mapping[str, list[content.Candidate]]
    audiences: Mapping[str, Rule] = field(default_factory=dict)


def decisions_for(customer_id: int, limit: int = 50) -> QuerySet[Decision]:
    """Return what was decided for a customer lately, newest first; only what was logged."""
    return Decision.objects.filter(customer_id=customer_id).order_by("-at")[:limit]


def explanation(decision_id: str) -> Explanation | None:
    """Return why a decision came out as it did; None when it was not recorded.

    The campaigns are judged again, by the configuration and at the time of the decision; that the
    visitor was not in the audience of one follows from which of them showed.
    """
    try:
        decision = UUID(decision_id)
        day = day_of(decision)
    except (ValueError, OverflowError):
        return None
    row = Decision.objects.filter(day=day, id=decision).first()
    if row is None:
        return None
    asked = _asked(row)
    now_s, told = row.at.timestamp(), row.body.get("placements", {})
    return Explanation(
        row,
        {one.key: content.candidates(one, now_s, told[one.key]) for one in asked},
        {
            campaign.key: campaign.audience.rule
            for placement in asked
            for campaign in placement.campaigns
            if campaign.audience is not None
        },
    )


def _asked(row: Decision) -> list[content.LivePlacement]:
    """Return the placements of content that were asked for, as they were configured then."""
    version = ConfigVersion.objects.filter(version=row.config_version).first()
    if version is None:
        return []
    try:
        known = content.placements(config.build(version))
    except NotBuilt:
        return []  # today's code cannot read what was decided by
    found = [known[key] for key in row.body.get("placements", {}) if key in known]
    return [one for one in found if one.kind == content.CONTENT]
