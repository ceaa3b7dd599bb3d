"""Taking new rules, scores and lists in: every customer decided again, in chunks, with progress.

Safe beside processors, and twice: a customer that has taken a generation in is passed over. A kill
leaves a checkpoint; the next run goes on from there.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import structlog
from django.db import connection, transaction

from personalization.consent.serve import PERSONALIZATION
from personalization.customers import documents, profiles
from personalization.lib import clock
from personalization.ops import serve as config
from personalization.ops import services as jobs
from personalization.ops.errors import Cancelled
from personalization.ops.models import JobRun
from segments import services
from segments.live import states
from segments.live.deciding import Crowd, masks_of
from segments.live.rules import Live, live, rules_for
from segments.live.states import Turn
from segments.models import Segment, SegmentVersion

log = structlog.get_logger("segments")

RUN_KIND = "segments.backfill"
# About 100 ms of work: each transaction holds back the horizon of every processor.
CHUNK = 200
_AFTER = """
SELECT customer_id FROM segments_state WHERE customer_id > %s AND generation < %s
ORDER BY customer_id LIMIT %s
"""
_BEHIND = "SELECT count(*) FROM segments_state WHERE generation < %s"
# (rules) -> places of those that must be decided again
Places = Callable[[Live], set[int]]


def backfill(*, slot: str = "") -> int:
    """Take the newest generation in; then let versions that waited for it take over.

    One run row a generation. Return how many customers it took. Nothing to do is no error.

    Raises
    ------
    Cancelled
        Somebody stopped it; resuming goes on from its checkpoint.
    """
    rules = live()
    waiting = SegmentVersion.objects.filter(ready_at=None, status=SegmentVersion.Status.SHADOW)
    if not waiting.exists() and not _count_behind(rules.generation):
        return 0
    slot = slot or f"generation {rules.generation}"
    run = jobs.start_run(kind=RUN_KIND, slot=slot)
    if run is None:
        return 0
    try:
        done = _run(run, rules)
    except Cancelled:
        raise
    except Exception as error:
        jobs.fail(run.pk, error=f"{type(error).__name__}: {error}")
        raise
    jobs.succeed(run.pk, result={"customers": done})
    _ready(rules.generation)
    return done


def publish_built_in(*, actor: str) -> list[str]:
    """Let the segments out of the box take over that are drafts still; return their keys.

    Everybody takes them in at once, so this is for shops that are small or new.
    """
    rows = Segment.objects.filter(built_in=True, published=None).order_by("key")
    keys = list(rows.values_list("key", flat=True))
    for key in keys:
        services.publish_segment(key=key, actor=actor)
    config.reload()
    backfill()
    return keys


def redecide(
    customer_ids: Sequence[int], *, places: Places, cause: str, now: datetime
) -> list[Turn]:
    """Decide some rules of some customers again, in one transaction; documents follow."""
    with transaction.atomic():
        turns = _decide(customer_ids, places, cause, now)
    documents.write_now(customer_ids)
    return turns


def redecide_all(customer_ids: Collection[int], *, places: Places, cause: str) -> int:
    """Do what `redecide` does for any number of customers, chunk by chunk; return the turns."""
    ordered = sorted(customer_ids)
    turned = 0
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        turned += len(redecide(chunk, places=places, cause=cause, now=clock.now()))
    return turned


def _run(run: JobRun, rules: Live) -> int:
    total = run.checkpoint.get("total") or _count_behind(rules.generation)
    last, done = run.checkpoint.get("last", 0), run.done
    while ids := _after(last, rules.generation):
        redecide(ids, places=lambda _rules: set(), cause="publish", now=clock.now())
        last, done = ids[-1], done + len(ids)
        checkpoint = {"last": last, "total": total}
        jobs.advance(run.pk, done=done, total=max(total, done), checkpoint=checkpoint)
    return done


def _decide(customer_ids: Sequence[int], places: Places, cause: str, now: datetime) -> list[Turn]:
    us = clock.to_us(now)
    profiles.lock(customer_ids, now=now)
    held = states.load(customer_ids)
    rules = rules_for(held.values())
    masks = masks_of(customer_ids)
    crowd = Crowd(rules, customer_ids, profiles.states(customer_ids), masks)
    behind = [one for one, state in held.items() if state.generation < rules.generation]
    crowd.read_histories(behind)
    wanted = places(rules)
    turns: list[Turn] = []
    for customer_id, state in held.items():
        fresh = crowd.catch_up(customer_id, state, us)
        if masks[customer_id] & PERSONALIZATION:
            turns += crowd.decide(customer_id, state, wanted | fresh, us, cause, us)
        else:
            turns += crowd.expelled(customer_id, state, "consent", us)
    states.save(held, rules.program.since)
    states.record(turns, now=now)
    return turns


def _ready(generation: int) -> None:
    """Mark the versions that everybody has taken in, and let those that wait take over."""
    waiting = SegmentVersion.objects.filter(
        status=SegmentVersion.Status.SHADOW, ready_at=None, generation__lte=generation
    )
    for version in waiting.order_by("generation"):
        SegmentVersion.objects.filter(pk=version.pk).update(ready_at=clock.now())
        log.info("segment.version_ready", segment=version.segment_id, version=version.number)
        version.refresh_from_db()
        if version.publish_when_ready:
            services.take_over(version_id=version.pk, actor="backfill")


def _after(last: int, generation: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_AFTER, [last, generation, CHUNK])
        return [row[0] for row in cursor.fetchall()]


def _count_behind(generation: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_BEHIND, [generation])
        return int(cursor.fetchone()[0])
