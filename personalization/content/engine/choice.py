"""Which campaign shows in a placement now. Dates are judged here, so no scheduler must be alive.

Knows nothing of tables or customers: it reads the published configuration, and whether an audience
takes in the visitor it is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

from segments.engine.audience import Audience
from segments.engine.language import Rule

CONTENT: Final = "content"
RECOMMENDATIONS: Final = "recommendations"
# Seconds since the epoch, or moments as tables have them.
T = TypeVar("T", float, datetime)
# Whether the visitor of a decision is taken in.
Admits = Callable[[Audience], bool]
AudienceOf = Callable[[Rule | None], Audience | None]


def verdict(starts_at: T | None, ends_at: T | None, now: T) -> str:
    """Return "" when `now` lies between (start included, end not; None: open), else why not."""
    if starts_at is not None and now < starts_at:
        return "not_started"
    if ends_at is not None and now >= ends_at:
        return "over"
    return ""


@dataclass(frozen=True, slots=True)
class LiveCampaign:
    """A published campaign with its block.

    Times are seconds since the epoch; None: open. No `audience`: it is for everybody.
    """

    key: str
    priority: int
    starts_at_s: float | None
    ends_at_s: float | None
    block: str
    content: Mapping[str, Any]
    audience: Audience | None = None

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


def winner(placement: LivePlacement, now_s: float, admits: Admits) -> LiveCampaign | None:
    """Return the best live campaign that is for the visitor; None: the default content shows."""
    for campaign in placement.campaigns:
        if campaign.verdict(now_s):
            continue
        if campaign.audience is None or admits(campaign.audience):
            return campaign
    return None


def candidates(placement: LivePlacement, now_s: float, won: str | None) -> list[Candidate]:
    """Return every published campaign with why it lost to `won` (None: the default), best first.

    Nobody need be asked again: what was live and came before the winner was not for the visitor.
    """
    found = []
    beaten = False
    for campaign in placement.campaigns:
        lost = campaign.verdict(now_s)
        if campaign.key == won:
            lost, beaten = "", True
        elif not lost:
            lost = "lower_priority" if beaten or campaign.audience is None else "audience"
        found.append(Candidate(campaign.key, campaign.block, campaign.priority, lost))
    return found


def parse(data: Any, audience_of: AudienceOf) -> Mapping[str, LivePlacement]:
    """Read the published content. Campaigns come in the order of their age; ties keep it.

    `audience_of` makes of a rule what can be asked, once and for all.

    Raises
    ------
    KeyError, TypeError, ValueError
        Not of the published shape.
    """
    found = {row["key"]: _placement(row, audience_of) for row in data["placements"]}
    return MappingProxyType(found)


def _placement(row: Mapping[str, Any], audience_of: AudienceOf) -> LivePlacement:
    campaigns = [_campaign(campaign, audience_of) for campaign in row["campaigns"]]
    return LivePlacement(
        key=str(row["key"]),
        kind=str(row["kind"]),
        strategy=str(row["strategy"]),
        count=int(row["count"]),
        default_content=MappingProxyType(dict(row["default_content"])),
        active=bool(row["active"]),
        campaigns=tuple(sorted(campaigns, key=lambda campaign: -campaign.priority)),
    )


def _campaign(row: Mapping[str, Any], audience_of: AudienceOf) -> LiveCampaign:
    return LiveCampaign(
        key=str(row["key"]),
        priority=int(row["priority"]),
        starts_at_s=row["starts_at_s"],
        ends_at_s=row["ends_at_s"],
        block=str(row["block"]["key"]),
        content=MappingProxyType(dict(row["block"]["content"])),
        # versions of before campaigns had audiences say nothing of them
        audience=audience_of(row.get("audience")),
    )
