"""Writes of the segments room: segments, their versions from draft to force, lists.

A version goes live as shadow: decided beside the one in force, taken in by every customer (the
backfill), and takes over by one pointer when all are. The one before stands by, so that rolling
back is the same pointer again. Every write is audited and published in its own transaction.
"""

from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Max

from personalization.access.audit import audit, state
from personalization.lib import clock
from personalization.lib.errors import Problem
from personalization.lib.keys import key_fault
from personalization.lib.locks import hold
from personalization.lib.tasks import enqueue
from personalization.ops.services import publish
from segments import errors, selectors
from segments.engine.language import canonical, parse, references
from segments.engine.validation import faults
from segments.models import Generation, Membership, Segment, SegmentVersion

_Status = SegmentVersion.Status
# Addresses beside those of the segments: `/api/segments/lists/`.
RESERVED = frozenset({"catalogue", "lists", "overlaps", "preview"})
# What differs between two versions when one takes over: entries and exits of the segment in force.
_DIFFERENCE = """
INSERT INTO segments_change (customer_id, segment_id, version, entered, at, noticed_at, cause)
SELECT COALESCE(n.customer_id, o.customer_id), %(segment)s, %(number)s, o.customer_id IS NULL,
       %(now)s, %(now)s, 'publish'
FROM (SELECT customer_id FROM segments_membership WHERE version_id = %(old)s) o
FULL JOIN (SELECT customer_id FROM segments_membership WHERE version_id = %(new)s) n
    USING (customer_id)
WHERE o.customer_id IS NULL OR n.customer_id IS NULL
"""


@transaction.atomic
def create_segment(*, key: str, values: Mapping[str, Any], rule: Any, actor: str) -> Segment:
    """Make a segment with a draft of its first version. `values`: title, description.

    Raises
    ------
    SegmentTaken, RuleInvalid
        The key is another segment's; the rule has faults.
    """
    check_key(key)
    hold(Segment._meta.db_table, key)
    if Segment.objects.filter(key=key).exists():
        msg = f"segment {key!r} exists"
        raise errors.SegmentTaken(msg)
    _refuse(rule, own_key=key)
    now = clock.now()
    row = Segment.objects.create(
        key=key,
        title=values.get("title") or key,
        description=values.get("description", ""),
        created_at=now,
        updated_at=now,
    )
    _draft(row, rule, actor=actor)
    audit(actor=actor, action="create", obj=row, after=state(row))
    return row


@transaction.atomic
def update_segment(*, key: str, values: Mapping[str, Any], actor: str) -> Segment:
    """Change title or description; the key stays, since rules and storefronts name it."""
    row = _segment(key)
    before = state(row)
    for name in ("title", "description"):
        if name in values:
            setattr(row, name, values[name])
    row.updated_at = clock.now()
    row.save(update_fields=["title", "description", "updated_at"])
    audit(actor=actor, action="update", obj=row, before=before, after=state(row))
    publish(actor=actor, note=f"segment {key}")
    return row


@transaction.atomic
def save_draft(
    *, key: str, rule: Any, actor: str, note: str = "", expected: str | None = None
) -> SegmentVersion:
    """Write the draft of a segment: the one there is, or a new version. The one in force stays.

    `expected` is the `selectors.mark_of` the draft that the writer has seen; None overwrites
    whichever there is.

    Raises
    ------
    SegmentUnknown, RuleInvalid
        No such segment; faults with their paths.
    DraftChanged
        Somebody else has written, published or dropped the draft meanwhile.
    """
    row = _segment(key)
    if expected is not None:
        _refuse_unseen(row, expected)
    _refuse(rule, own_key=key)
    return _draft(row, rule, actor=actor, note=note)


@transaction.atomic
def start_shadow(*, key: str, actor: str, then_publish: bool = False) -> SegmentVersion:
    """Have the draft decided live beside the version in force; wakes the backfill.

    With `then_publish` it takes over when every customer is decided.

    Raises
    ------
    VersionStateWrong
        There is no draft, or another version is being tried.
    """
    row = _segment(key)
    _lock_generation()
    if row.versions.filter(status=_Status.SHADOW).exists():
        msg = f"another version of {key!r} is in shadow; publish or stop it first"
        raise errors.VersionStateWrong(msg)
    draft = row.versions.filter(status=_Status.DRAFT).first()
    if draft is None:
        msg = f"segment {key!r} has no draft"
        raise errors.VersionStateWrong(msg)
    _refuse(draft.rule, own_key=key)
    before = state(draft)
    draft.status = _Status.SHADOW
    draft.generation = _next_generation()
    draft.publish_when_ready = then_publish
    draft.ready_at = None
    draft.save(update_fields=["status", "generation", "publish_when_ready", "ready_at"])
    audit(actor=actor, action="shadow", obj=draft, before=before, after=state(draft))
    publish(actor=actor, note=f"segment {key} v{draft.number} in shadow")
    enqueue("segments.tasks.backfill", "")
    return draft


@transaction.atomic
def publish_segment(*, key: str, actor: str) -> SegmentVersion:
    """Let the newest version take over: at once when it is ready, else as soon as it is.

    Publishing again changes nothing. Raises VersionStateWrong when there is nothing to publish.
    """
    row = _segment(key)
    shadow = row.versions.filter(status=_Status.SHADOW).first()
    if shadow is None:
        if not row.versions.filter(status=_Status.DRAFT).exists() and row.published is not None:
            return row.published
        return start_shadow(key=key, actor=actor, then_publish=True)
    if shadow.ready_at is None:
        SegmentVersion.objects.filter(pk=shadow.pk).update(publish_when_ready=True)
        shadow.publish_when_ready = True
        audit(actor=actor, action="publish", obj=shadow, after=state(shadow))
        return shadow
    return take_over(version_id=shadow.pk, actor=actor)


@transaction.atomic
def take_over(*, version_id: int, actor: str) -> SegmentVersion:
    """Let a ready shadow or standby version decide; the one in force stands by.

    What differs between their members is told as changes with cause `publish`. Rules that name the
    segment are decided anew.
    """
    version = SegmentVersion.objects.select_related("segment").get(pk=version_id)
    row = _segment(version.segment.key)
    _lock_generation()
    version.refresh_from_db()
    if version.status == _Status.PUBLISHED:
        return version
    if version.status not in (_Status.SHADOW, _Status.STANDBY) or version.ready_at is None:
        msg = f"{version} is {version.get_status_display().lower()} and cannot take over"
        raise errors.VersionStateWrong(msg)
    old, now = row.published, clock.now()
    before = state(row)
    _retire(row.versions.filter(status=_Status.STANDBY).exclude(pk=version.pk))
    Segment.objects.filter(pk=row.pk).update(published=None)
    if old is not None:
        # out of the way first: two cannot stand by, nor be in force
        SegmentVersion.objects.filter(pk=version.pk).update(status=_Status.SHADOW)
        SegmentVersion.objects.filter(pk=old.pk).update(status=_Status.STANDBY)
    SegmentVersion.objects.filter(pk=version.pk).update(
        status=_Status.PUBLISHED, published_at=now, publish_when_ready=False
    )
    row.published, row.updated_at = version, now
    row.save(update_fields=["published", "updated_at"])
    version.refresh_from_db()
    with connection.cursor() as cursor:
        between: dict[str, Any] = {"old": old.pk if old else None, "new": version.pk}
        whose = {"segment": row.pk, "number": version.number, "now": now}
        cursor.execute(_DIFFERENCE, between | whose)
    _raise_dependents(row.key)
    audit(actor=actor, action="publish", obj=row, before=before, after=state(row))
    publish(actor=actor, note=f"segment {row.key} v{version.number}")
    enqueue("segments.tasks.backfill", "")
    return version


@transaction.atomic
def roll_back(*, key: str, actor: str) -> SegmentVersion:
    """Let the version before take over again, at once: it was decided all the while.

    Raises VersionStateWrong when none stands by.
    """
    row = _segment(key)
    standby = row.versions.filter(status=_Status.STANDBY).first()
    if standby is None:
        msg = f"no earlier version of {key!r} stands by; save its rule as a draft and publish it"
        raise errors.VersionStateWrong(msg)
    return take_over(version_id=standby.pk, actor=actor)


@transaction.atomic
def stop_version(*, key: str, number: int, actor: str) -> SegmentVersion:
    """Stop deciding a version that is not in force (shadow, standby), or drop a draft."""
    row = _segment(key)
    version = row.versions.filter(number=number).first()
    if version is None:
        msg = f"segment {key!r} has no version {number}"
        raise errors.SegmentUnknown(msg)
    if version.status == _Status.PUBLISHED:
        msg = f"version {number} of {key!r} is in force; publish another, or delete the segment"
        raise errors.VersionStateWrong(msg)
    before, dropped = state(version), version.status == _Status.DRAFT
    _retire(row.versions.filter(pk=version.pk))
    if not dropped:
        version.refresh_from_db()
    after = None if dropped else state(version)
    audit(actor=actor, action="stop", obj=version, before=before, after=after)
    publish(actor=actor, note=f"segment {key} v{number} stopped")
    return version


@transaction.atomic
def delete_segment(*, key: str, actor: str) -> None:
    """Delete a segment that nothing names, with its versions, members and changes.

    Raises
    ------
    SegmentUsed
        Lists everything that names it.
    """
    row = _segment(key)
    used = selectors.dependents(key)
    if used:
        msg = f"segment {key!r} is named elsewhere; change that first"
        raise errors.SegmentUsed(msg, details=[Problem(one.where, one.what) for one in used])
    audit(actor=actor, action="delete", obj=row, before=state(row))
    Membership.objects.filter(segment_id=row.pk).delete()
    row.published = None
    row.save(update_fields=["published"])
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM segments_change WHERE segment_id = %s", [row.pk])
    row.delete()
    publish(actor=actor, note=f"segment {key} deleted")


def check_key(key: str) -> None:
    """Raise RuleInvalid when a text cannot be the key of a segment."""
    fix = key_fault(key, reserved=RESERVED)
    if fix:
        msg = "this key cannot be used"
        raise errors.RuleInvalid(msg, details=[Problem("key", fix)])


def _segment(key: str) -> Segment:
    row = Segment.objects.select_for_update(of=("self",)).filter(key=key).first()
    if row is None:
        msg = f"there is no segment {key!r}"
        raise errors.SegmentUnknown(msg)
    return row


def _refuse_unseen(row: Segment, expected: str) -> None:
    """Refuse to overwrite a draft that the writer has not seen; the segment is locked."""
    mark = selectors.mark_of(row.versions.filter(status=_Status.DRAFT).first())
    if mark != expected:
        msg = "a colleague has changed the draft meanwhile; keep a copy of yours and open it anew"
        raise errors.DraftChanged(msg, details=[Problem("expected", f"the draft is {mark} now")])


def _draft(row: Segment, rule: Any, *, actor: str, note: str = "") -> SegmentVersion:
    draft = row.versions.filter(status=_Status.DRAFT).first()
    before = None if draft is None else state(draft)
    if draft is None:
        newest = row.versions.aggregate(newest=Max("number"))["newest"] or 0
        draft = SegmentVersion(segment=row, number=newest + 1, created_at=clock.now())
    draft.rule, draft.note, draft.created_by = canonical(rule), note[:200], actor[:150]
    draft.save()
    action = "create" if before is None else "update"
    audit(actor=actor, action=action, obj=draft, before=before, after=state(draft))
    return draft


def _refuse(rule: Any, *, own_key: str) -> None:
    found = faults(rule, selectors.catalogue(), own_key=own_key)
    if found:
        msg = "this rule cannot be saved"
        raise errors.RuleInvalid(msg, details=found)


def _retire(versions: Any) -> None:
    """Stop deciding versions; their members are forgotten, drafts are deleted."""
    ids = list(versions.values_list("pk", flat=True))
    SegmentVersion.objects.filter(pk__in=ids, status=_Status.DRAFT).delete()
    SegmentVersion.objects.filter(pk__in=ids).update(
        status=_Status.RETIRED, publish_when_ready=False
    )
    Membership.objects.filter(version_id__in=ids).delete()


def _lock_generation() -> None:
    """Have those who let versions go live wait for each other, until commit."""
    Generation.objects.select_for_update().get(pk=1)


def _next_generation() -> int:
    Generation.objects.filter(pk=1).update(value=F("value") + 1)
    return Generation.objects.values_list("value", flat=True).get(pk=1)


def _raise_dependents(key: str) -> None:
    """Have every customer decided anew by the live rules that name a segment, at any remove."""
    rows = list(SegmentVersion.objects.filter(status__in=selectors.LIVE).select_related("segment"))
    named = {row.pk: references(parse(row.rule)) for row in rows}
    reached, todo = set(), [key]
    while todo:
        wanted = todo.pop()
        for row in rows:
            if wanted in named[row.pk] and row.pk not in reached:
                reached.add(row.pk)
                if row.status == _Status.PUBLISHED:
                    todo.append(row.segment.key)
    if reached:
        live = SegmentVersion.objects.filter(pk__in=reached)
        live.update(generation=_next_generation())
        # until everybody has taken that in they cannot take over
        live.exclude(status=_Status.PUBLISHED).update(ready_at=None)
