"""Writes of the content room: placements, campaigns, blocks; each is audited and published."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Model

from personalization.access.audit import audit, state
from personalization.access.errors import RoleMissing
from personalization.content import errors
from personalization.content.engine import faults
from personalization.content.models import Block, Campaign, Placement
from personalization.lib import clock
from personalization.lib.errors import Problem
from personalization.lib.locks import hold
from personalization.ops.services import publish
from recommender.selectors import strategy_keys
from segments import audiences
from segments.engine.language import canonical, given

_Status = Campaign.Status
# What may be said of each, beside its key.
PLACEMENT_FIELDS = frozenset({"title", "kind", "strategy", "count", "default_content", "active"})
CAMPAIGN_FIELDS = frozenset({"title", "placement", "priority", "starts_at", "ends_at", "audience"})
# from -> to
_TRANSITIONS: Mapping[str, frozenset[str]] = {
    _Status.DRAFT: frozenset({_Status.PUBLISHED, _Status.ENDED}),
    _Status.PUBLISHED: frozenset({_Status.ENDED}),
    _Status.ENDED: frozenset({_Status.PUBLISHED}),
}


@transaction.atomic
def upsert_placement(*, key: str, values: Mapping[str, Any], actor: str) -> Placement:
    """Make or change the placement `key`; fields that are not in `values` stay. Idempotent.

    Raises
    ------
    ContentInvalid
        Names every fault.
    ConfigInvalid
        What would be published could not be served (a kind that its campaigns do not fit).
    """
    hold(Placement._meta.db_table, key)
    row = Placement.objects.select_for_update().filter(key=key).first()
    before = state(row) if row else None
    row = row or Placement(key=key, title=key)
    merged = {name: getattr(row, name) for name in PLACEMENT_FIELDS} | dict(values)
    _refuse(
        _unknown(values, PLACEMENT_FIELDS),
        faults.key_faults(key),
        faults.placement_faults(merged),
        _strategy_faults(merged),
    )
    _save(row, values, actor=actor, before=before)
    return row


@transaction.atomic
def create_campaign(*, key: str, values: Mapping[str, Any], actor: str) -> Campaign:
    """Make a draft campaign.

    `values`: title, placement (key), priority, starts_at, ends_at, audience (None: everybody).

    Raises
    ------
    ContentInvalid, KeyTaken
        Names every fault; the key is another campaign's.
    """
    hold(Campaign._meta.db_table, key)
    if Campaign.objects.filter(key=key).exists():
        msg = f"campaign {key!r} exists"
        raise errors.KeyTaken(msg)
    now = clock.now()
    values = {"title": key, "priority": 0, **values}
    missing = [] if "placement" in values else [Problem("placement", "is missing")]
    _refuse(missing, faults.campaign_key_faults(key), _campaign_faults(values, values))
    row = Campaign(key=key, created_at=now, updated_at=now)
    _save(row, _stored(values), actor=actor, before=None)
    return row


@transaction.atomic
def update_campaign(
    *, key: str, values: Mapping[str, Any], actor: str, may_publish: bool = True
) -> Campaign:
    """Change fields of a campaign; a published one shows the change within a second.

    Raises
    ------
    RoleMissing
        It is published, and whoever asks may not publish.
    ContentUnknown, ContentInvalid, ConfigInvalid
        No such campaign; faults in the fields; it could not be served so.
    """
    row = _campaign(key)
    _refuse_live(row, may_publish=may_publish)
    before = state(row)
    merged = {"starts_at": row.starts_at, "ends_at": row.ends_at} | dict(values)
    _refuse(_campaign_faults(values, merged))
    row.updated_at = clock.now()
    _save(row, _stored(values), actor=actor, before=before)
    return row


@transaction.atomic
def publish_campaign(*, key: str, actor: str) -> Campaign:
    """Let a campaign show from now on, within its dates. Publishing again changes nothing."""
    return _move(key, _Status.PUBLISHED, actor=actor)


@transaction.atomic
def end_campaign(*, key: str, actor: str) -> Campaign:
    """Stop a campaign. Ending again changes nothing."""
    return _move(key, _Status.ENDED, actor=actor)


@transaction.atomic
def upsert_block(
    *,
    campaign: str,
    key: str,
    content: Mapping[str, Any],
    actor: str,
    may_publish: bool = True,
) -> Block:
    """Make or change what a campaign shows. Idempotent.

    Raises
    ------
    RoleMissing
        The campaign is published, and whoever asks may not publish.
    ContentUnknown, ContentInvalid, KeyTaken
        No such campaign; faults in key or content; the key is another campaign's block.
    """
    _refuse(faults.key_faults(key), faults.content_faults(content))
    hold(Block._meta.db_table, key)
    owner = _campaign(campaign)
    _refuse_live(owner, may_publish=may_publish)
    if Block.objects.filter(key=key).exclude(campaign=owner).exists():
        msg = f"block {key!r} belongs to another campaign"
        raise errors.KeyTaken(msg)
    row = Block.objects.filter(campaign=owner).first()
    before = state(row) if row else None
    row = row or Block(campaign=owner)
    _save(row, {"key": key, "content": dict(content)}, actor=actor, before=before)
    return row


@transaction.atomic
def delete_placement(*, key: str, actor: str) -> None:
    """Delete a placement that no campaign uses.

    Raises
    ------
    ContentUnknown, StatusWrong
        No such placement; campaigns point at it.
    """
    row = Placement.objects.select_for_update().filter(key=key).first()
    if row is None:
        msg = f"there is no placement {key!r}"
        raise errors.ContentUnknown(msg)
    if row.campaigns.exists():
        msg = f"campaigns use placement {key!r}; delete them first"
        raise errors.StatusWrong(msg)
    _delete(row, actor=actor)


@transaction.atomic
def delete_campaign(*, key: str, actor: str) -> None:
    """Delete a campaign that is not published, with its block.

    Raises
    ------
    ContentUnknown, StatusWrong
        No such campaign; it is published: end it first.
    """
    row = _campaign(key)
    if row.status == _Status.PUBLISHED:
        msg = f"campaign {key!r} is published; end it first"
        raise errors.StatusWrong(msg)
    _delete(row, actor=actor)


def _move(key: str, target: str, *, actor: str) -> Campaign:
    row = _campaign(key)
    if row.status == target:
        return row
    if target not in _TRANSITIONS[row.status]:
        msg = f"campaign {key!r} is {row.status}; it cannot become {target}"
        raise errors.StatusWrong(msg)
    before = state(row)
    row.status, row.updated_at = target, clock.now()
    row.save(update_fields=["status", "updated_at"])
    verb = "publish" if target == _Status.PUBLISHED else "end"
    audit(actor=actor, action=verb, obj=row, before=before, after=state(row))
    publish(actor=actor, note=f"{verb} campaign {key}")
    return row


def _save(
    row: Model, values: Mapping[str, Any], *, actor: str, before: dict[str, Any] | None
) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    action = "create" if before is None else "update"
    after = state(row)
    if after == before:
        return
    audit(actor=actor, action=action, obj=row, before=before, after=after)
    publish(actor=actor, note=f"{action} {row._meta.verbose_name} {row}")


def _delete(row: Model, *, actor: str) -> None:
    before = state(row)
    audit(actor=actor, action="delete", obj=row, before=before)
    note = f"delete {row._meta.verbose_name} {row}"
    row.delete()
    publish(actor=actor, note=note)


def _campaign(key: str) -> Campaign:
    row = Campaign.objects.select_for_update(of=("self",)).filter(key=key).first()
    if row is None:
        msg = f"there is no campaign {key!r}"
        raise errors.ContentUnknown(msg)
    return row


def _refuse_live(row: Campaign, *, may_publish: bool) -> None:
    """Refuse a change of what shoppers see to whoever may not publish it."""
    if row.status == _Status.PUBLISHED and not may_publish:
        msg = f"campaign {row.key!r} is published; changing it needs the role 'publisher'"
        raise RoleMissing(msg)


def _campaign_faults(values: Mapping[str, Any], merged: Mapping[str, Any]) -> Iterable[Problem]:
    yield from _unknown(values, CAMPAIGN_FIELDS)
    yield from faults.campaign_faults({**values, **merged})
    if "placement" in values and not _placements(values["placement"]).exists():
        yield Problem("placement", "there is no content placement with this key")
    rule = given(values.get("audience"))
    if rule is not None:
        yield from faults.audience_faults(rule, audiences.present())


def _strategy_faults(merged: Mapping[str, Any]) -> Iterable[Problem]:
    known = strategy_keys()
    strategy = merged["strategy"]
    if merged.get("kind") == Placement.Kind.RECOMMENDATIONS and strategy and strategy not in known:
        names = ", ".join(sorted(known))
        yield Problem("strategy", f"is none of the strategies: {names}"[:300])


def _placements(key: Any) -> Any:
    valid = isinstance(key, str) and "\x00" not in key
    return Placement.objects.filter(key=key if valid else "", kind=Placement.Kind.CONTENT)


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return valid values as the table has them."""
    found = dict(values)
    if "placement" in found:
        found["placement"] = _placements(found["placement"]).get()
    if "audience" in found:
        found["audience"] = canonical(given(found["audience"]))
    return found


def _unknown(values: Mapping[str, Any], known: frozenset[str]) -> list[Problem]:
    return [Problem(str(name)[:40], "is not a field") for name in values if name not in known]


def _refuse(*found: Iterable[Problem]) -> None:
    problems = [problem for group in found for problem in group]
    if problems:
        msg = "this cannot be kept"
        raise errors.ContentInvalid(msg, details=problems)
