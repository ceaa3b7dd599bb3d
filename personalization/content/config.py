"""The share of content in the published configuration: placements and their live campaigns."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from personalization.content import restoring
from personalization.content.engine import choice, faults
from personalization.content.models import Campaign, Placement
from personalization.lib.errors import Problem, Unprocessable
from segments import audiences
from segments.serve import audience


class ContentPart:
    """Placements by key. Drafts and ended campaigns are not part of it."""

    def export(self) -> dict[str, Any]:
        """Return placements by key, their published campaigns by age."""
        campaigns: dict[int, list[dict[str, Any]]] = {}
        rows = Campaign.objects.filter(status=Campaign.Status.PUBLISHED).select_related("block")
        for row in rows.order_by("id"):
            campaigns.setdefault(row.placement_id, []).append(exported(row))
        return {
            "placements": [
                {
                    "key": row.key,
                    "kind": row.kind,
                    "strategy": row.strategy,
                    "count": row.count,
                    "default_content": row.default_content,
                    "active": row.active,
                    "campaigns": campaigns.get(row.pk, []),
                }
                for row in Placement.objects.order_by("key")
            ]
        }

    def validate(self, data: Any) -> None:
        """Raise Unprocessable naming every fault with its path."""
        problems = list(faults.published_faults(data))
        if problems:
            msg = "the content could not be served"
            raise Unprocessable(msg, details=problems)

    def check(self, data: Any, whole: Mapping[str, Any]) -> None:
        """Raise Unprocessable naming what is not there: strategies, and what audiences name."""
        known = {row["key"] for row in whole.get("strategies", ())}
        problems = [*faults.strategy_faults(data, known), *_audience_faults(data, whole)]
        if problems:
            msg = "the content names what is not there"
            raise Unprocessable(msg, details=problems)

    def restore(self, data: Any) -> None:
        """Make placements and published campaigns what they were."""
        restoring.restore(data)

    def load(self, data: Any) -> Mapping[str, choice.LivePlacement]:
        """Return {key: LivePlacement}, read-only."""
        return choice.parse(data, audience)


def exported(row: Campaign) -> dict[str, Any]:
    """Return a campaign as it stands in what is published."""
    block = getattr(row, "block", None)
    return {
        "key": row.key,
        "priority": row.priority,
        "starts_at_s": _seconds(row.starts_at),
        "ends_at_s": _seconds(row.ends_at),
        "audience": row.audience,
        "block": {"key": block.key, "content": block.content} if block else None,
    }


def _audience_faults(data: Any, whole: Mapping[str, Any]) -> Iterator[Problem]:
    known = audiences.published(whole)
    for at, placement in enumerate(data["placements"]):
        for i, campaign in enumerate(placement["campaigns"]):
            path = f"placements[{at}].campaigns[{i}]."
            yield from faults.audience_faults(campaign.get("audience"), known, path)


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at else None
