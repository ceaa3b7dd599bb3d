"""Which campaign shows in a placement now. Dates are judged here, so no scheduler must be alive.

Knows nothing of tables or customers; what it reads is the published configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

CONTENT: Final = "content"
RECOMMENDATIONS: Final = "recommendations"
# Seconds since the epoch, or moments as tables have them.
T = TypeVar("T", float, datetime)


def verdict(starts_at: T | None, ends_at: T | None, now: T) -> str:
    """Return "" when `now` lies between (start included, end not; None: open), else why not."""
    if starts_at is not None and now < starts_at:
        return "not_started"
    if ends_at is not None and now >= ends_at:
        return "over"
    return ""


@dataclass(frozen=True, slots=True)
class LiveCampaign:
    """A published campaign with its block. Times are seconds since the epoch; None: open."""

    key: str
    priority: int
    starts_at_s: float | None
    ends_at_s: float | None
    block: str
    content: Mapping[str, Any]

    def verdict(self, now_s: float) -> str:
        """Return "" when live at `now_s` (start included, end not), else why it is not."""
        return verdict(self.starts_at_s, self.ends_at_s, now_s)


@dataclass(frozen=True, slots=True)
class LivePlacement:
    """One placement as served; `campaigns` best first."""

    key: str
    kind: str
    strategy: str
    count: int
    default_content: Mapping[str, Any]
    active: bool
    campaigns: tuple[LiveCampaign, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One campaign that was looked at, and why it lost; "" for the winner."""

    campaign: str
    block: str
    priority: int
    lost: str


def winner(placement: LivePlacement, now_s: float) -> LiveCampaign | None:
    """Return the live campaign of the highest priority; None: the default content shows."""
    for campaign in placement.campaigns:
        if not campaign.verdict(now_s):
            return campaign
    return None


def candidates(placement: LivePlacement, now_s: float) -> list[Candidate]:
    """Return every published campaign of the placement with why it lost, best first."""
    won = winner(placement, now_s)
    return [
        Candidate(
            campaign=campaign.key,
            block=campaign.block,
            priority=campaign.priority,
            lost="" if campaign is won else campaign.verdict(now_s) or "lower_priority",
        )
        for campaign in placement.campaigns
    ]


def parse(data: Any) -> Mapping[str, LivePlacement]:
    """Read the published content. Campaigns come in the order of their age; ties keep it.

    Raises
    ------
    KeyError, TypeError, ValueError
        Not of the published shape.
    """
    found = {row["key"]: _placement(row) for row in data["placements"]}
    return MappingProxyType(found)


def _placement(row: Mapping[str, Any]) -> LivePlacement:
    campaigns = [_campaign(campaign) for campaign in row["campaigns"]]
    return LivePlacement(
        key=str(row["key"]),
        kind=str(row["kind"]),
        strategy=str(row["strategy"]),
        count=int(row["count"]),
        default_content=MappingProxyType(dict(row["default_content"])),
        active=bool(row["active"]),
        campaigns=tuple(sorted(campaigns, key=lambda campaign: -campaign.priority)),
    )


def _campaign(row: Mapping[str, Any]) -> LiveCampaign:
    return LiveCampaign(
        key=str(row["key"]),
        priority=int(row["priority"]),
        starts_at_s=row["starts_at_s"],
        ends_at_s=row["ends_at_s"],
        block=str(row["block"]["key"]),
        content=MappingProxyType(dict(row["block"]["content"])),
    )
