"""Whether a campaign shows at this moment, and what keeps it from showing, in words."""

from datetime import datetime
from typing import NamedTuple

from django.utils.formats import date_format

from personalization.content.engine.choice import verdict
from personalization.content.models import Campaign, Placement


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
        return _unpublished(campaign, rival)
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
    return Standing("shows now", "good", "It shows at the moment.")


def _unpublished(campaign: Campaign, rival: Campaign | None) -> Standing:
    if campaign.status == Campaign.Status.ENDED:
        return Standing("ended", "", "Not shown: it was ended.")
    words = "Not shown: it is a draft. To publish it, choose it in the list of campaigns."
    return Standing("draft", "", words + _hint(rival))


def _rival(campaign: Campaign, now: datetime) -> Campaign | None:
    """Return the running campaign that comes before this one; None when it is the first."""
    if campaign.placement.kind != Placement.Kind.CONTENT:
        return None
    running = [one for one in campaign.placement.campaigns.all() if _runs(one, now)]
    best = min([*running, campaign], key=_rank)
    return None if best.pk == campaign.pk else best


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
