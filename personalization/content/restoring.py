"""Content put back into the tables as an old configuration had it. Part of a rollback."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from personalization.content import errors
from personalization.content.models import Block, Campaign, Placement
from personalization.lib import clock

_FIELDS = ("kind", "strategy", "count", "default_content", "active")


def restore(data: Mapping[str, Any]) -> None:
    """Make placements and published campaigns what `data` says, in the caller's transaction.

    What was made since is not lost: campaigns end, placements that have campaigns become inactive;
    drafts stay drafts. Titles and ended campaigns are no part of a configuration and stay.

    Raises
    ------
    KeyTaken
        A block of then has the key of another campaign's block of today.
    """
    told = {row["key"]: row for row in data["placements"]}
    held = {row.key: row for row in Placement.objects.select_for_update().order_by("pk")}
    for key, values in told.items():
        row = held.get(key) or Placement(key=key, title=key)
        for name in _FIELDS:
            setattr(row, name, values[name])
        row.save()
        held[key] = row
    _restore_campaigns({key: values["campaigns"] for key, values in told.items()}, held)
    for key in held.keys() - told.keys():
        _retire(held[key])


def _restore_campaigns(
    told: Mapping[str, list[dict[str, Any]]], placements: Mapping[str, Placement]
) -> None:
    now = clock.now()
    wanted = {row["key"]: (placements[key], row) for key, rows in told.items() for row in rows}
    published = Campaign.objects.filter(status=Campaign.Status.PUBLISHED)
    published.exclude(key__in=wanted).update(status=Campaign.Status.ENDED, updated_at=now)
    held = {row.key: row for row in Campaign.objects.filter(key__in=wanted).select_for_update()}
    _free_blocks({row["block"]["key"]: key for key, (_, row) in wanted.items()})
    for key, (placement, values) in wanted.items():
        row = held.get(key) or Campaign(key=key, title=key, created_at=now)
        row.placement, row.priority = placement, values["priority"]
        row.starts_at, row.ends_at = _at(values["starts_at_s"]), _at(values["ends_at_s"])
        row.audience = values.get("audience")
        row.status, row.updated_at = Campaign.Status.PUBLISHED, now
        row.save()
        Block.objects.create(campaign=row, **values["block"])


def _free_blocks(owners: Mapping[str, str]) -> None:
    """Remove the blocks that are written anew: two campaigns may have swapped their keys since."""
    Block.objects.filter(campaign__key__in=owners.values()).delete()
    taken = Block.objects.filter(key__in=owners).select_related("campaign").first()
    if taken is not None:
        msg = f"block {taken.key!r} belongs to campaign {taken.campaign.key!r} now; rename it first"
        raise errors.KeyTaken(msg)


def _retire(row: Placement) -> None:
    if not row.campaigns.exists():
        row.delete()
        return
    row.active = False
    row.save(update_fields=["active"])


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
