"""Whether a campaign shows at this moment, to whom, and what keeps it from showing, in words."""

from datetime import datetime
from typing import NamedTuple

from django.utils.formats import date_format

from personalization.content.config import exported
from personalization.content.engine.choice import verdict
from personalization.content.engine.faults import publication_faults
from personalization.content.models import Campaign, Placement
from segments import audiences
from segments.faultwords import sentence

# Path of a fault of the configuration -> what the marketer does about it.
_FIXES = {
    "block": "It has no content yet: fill in its block.",
    "key": "Its placement shows recommendations: choose one that shows content.",
}


class Standing(NamedTuple):
    """In a word, as good or bad news (`good`, `warn` or nothing), and in a sentence."""

    word: str
    tone: str
    sentence: str


def standing(campaign: Campaign, now: datetime) -> Standing:
    """Return how a stored campaign stands among those of its placement.

    Reads `campaign.placement.campaigns`, which lists prefetch.
    """
    rival = _rival(campaign, now)
    if campaign.status != Campaign.Status.PUBLISHED:
        return _unpublished(campaign, rival, now)
    if not campaign.placement.active:
        return Standing("hidden", "warn", "Not shown: its placement is not active.")
    outside = verdict(campaign.starts_at, campaign.ends_at, now)
    if outside == "not_started":
        begin = _moment(campaign.starts_at)
        return Standing(f"from {begin}", "", f"Published: it shows from {begin}.{_hint(rival)}")
    if outside:
        return Standing("over", "", f"Not shown: its time ended on {_moment(campaign.ends_at)}.")
    if rival:
        words = f"Hidden at the moment: {_named(rival)} shows in the same placement instead."
        return Standing(f"hidden by {rival.title}", "warn", words)
    return _showing(campaign, now)


def hindrances(campaign: Campaign) -> list[str]:
    """Return what keeps a stored campaign from being published, each with what to do about it."""
    placement = {"key": campaign.placement.key, "kind": campaign.placement.kind}
    told = [
        _FIXES.get(fault.path, f"{fault.path}: {fault.problem}.")
        for fault in publication_faults(placement, exported(campaign))
    ]
    if campaign.audience is None:
        return told
    faults = audiences.audience_faults(campaign.audience, audiences.present())
    return told + [f"Its audience: {sentence(fault)}" for fault in faults]


def _showing(campaign: Campaign, now: datetime) -> Standing:
    before = _before(campaign, now)
    if campaign.audience is None:
        return Standing("shows now", "good", f"It shows at the moment.{before}")
    words = "It shows at the moment to its audience, where personalization is allowed."
    return Standing("shows to its audience", "good", f"{words}{before}")


def _unpublished(campaign: Campaign, rival: Campaign | None, now: datetime) -> Standing:
    if campaign.status == Campaign.Status.ENDED:
        word, words = "ended", "Not shown: it was ended."
    else:
        word, words = "draft", "Not shown: it is a draft."
    return Standing(word, "", words + (_obstacle(campaign, now) or _hint(rival)))


def _obstacle(campaign: Campaign, now: datetime) -> str:
    """Say what would hide the campaign although it were published, but for other campaigns."""
    if not campaign.placement.active:
        return " Published, it would not show either: its placement is not active."
    if verdict(campaign.starts_at, campaign.ends_at, now) == "over":
        ended = _moment(campaign.ends_at)
        return f" Published, it would not show either: its time ended on {ended}."
    return ""


def _rival(campaign: Campaign, now: datetime) -> Campaign | None:
    """Return the running campaign for everybody that comes first; None when none is before it."""
    return next((one for one in _earlier(campaign, now) if one.audience is None), None)


def _before(campaign: Campaign, now: datetime) -> str:
    """Say which running campaigns for an audience come before this one."""
    targeted = [_named(one) for one in _earlier(campaign, now) if one.audience is not None]
    return f" Before it, to their audiences: {', '.join(targeted)}." if targeted else ""


def _earlier(campaign: Campaign, now: datetime) -> list[Campaign]:
    """Return the running campaigns of its placement that come before this one, best first."""
    if campaign.placement.kind != Placement.Kind.CONTENT:
        return []
    running = (one for one in campaign.placement.campaigns.all() if _runs(one, now))
    return sorted((one for one in running if _rank(one) < _rank(campaign)), key=_rank)


def _rank(campaign: Campaign) -> tuple[int, int]:
    """Order as they are served: the higher priority first, of equal ones the older."""
    return -campaign.priority, campaign.pk


def _runs(campaign: Campaign, now: datetime) -> bool:
    published = campaign.status == Campaign.Status.PUBLISHED
    return published and not verdict(campaign.starts_at, campaign.ends_at, now)


def _hint(rival: Campaign | None) -> str:
    return f" At the moment {_named(rival)} would be shown before it." if rival else ""


def _named(campaign: Campaign) -> str:
    return f"“{campaign.title}” (priority {campaign.priority})"


def _moment(at: datetime | None) -> str:
    return date_format(at, "DATETIME_FORMAT") if at else ""
