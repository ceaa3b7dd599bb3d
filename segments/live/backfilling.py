"""Taking new rules, scores and lists in: every customer decided again, in chunks, with progress.

Safe beside processors, and twice: a customer that has taken a generation in is passed over. A kill
leaves a checkpoint and ends the lock of its connection; the next call goes on from there. It is
over when nobody is behind, whom a processor has met meanwhile by a configuration of a moment ago
included.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial

import structlog
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from personalization.consent.serve import PERSONALIZATION
from personalization.customers import documents, profiles
from personalization.events.processor import isolation
from personalization.lib import clock
from personalization.ops import claims
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
_SHADOW = SegmentVersion.Status.SHADOW
# About 100 ms of work: each transaction holds back the horizon of every processor.
CHUNK = 200
_AFTER = """
SELECT customer_id FROM segments_state WHERE customer_id > %s AND generation < %s
ORDER BY customer_id LIMIT %s
"""
# Who is set aside is decided from the whole log when it is their turn.
_SKIP = """
UPDATE segments_state SET generation = %s WHERE customer_id = ANY(%s) AND generation < %s
"""
_BEHIND = "SELECT count(*) FROM segments_state WHERE generation < %s"
# (rules) -> places of those that must be decided again
Places = Callable[[Live], set[int]]


def backfill(*, slot: str = "") -> int:
    """Take the newest generation in; then let versions that waited for it take over.

    One run row a generation, taken over at once from a process that was killed. Return how many
    customers it took. Nothing to do is no error.

    Raises
    ------
    Cancelled
        Somebody stopped it; resuming goes on from its checkpoint.
    """
    config.reload()
    generation = live().generation
    slot = slot or f"generation {generation}"
    unfinished = JobRun.objects.filter(kind=RUN_KIND, slot=slot, status=JobRun.Status.RUNNING)
    waiting = _waiting(generation).exists() or unfinished.exists()
    if not waiting and not _count_behind(generation):
        return 0
    with claims.alone(kind=RUN_KIND, slot=slot) as mine:
        if mine:
            jobs.bury(kind=RUN_KIND, slot=slot)
        return _run(slot, generation)


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
    turns: list[Turn] = []

    def step(part: Sequence[int]) -> int:
        decided = _decide(part, places, cause, now)
        turns.extend(decided)
        return len(decided)

    def apart() -> int:
        turns.clear()
        locked = sorted(profiles.lock(customer_ids, now=now))
        done, parked = isolation.fold(locked, step, now)
        newest = live().generation
        with connection.cursor() as cursor:
            cursor.execute(_SKIP, [newest, list(parked), newest])
        return done

    with transaction.atomic():
        isolation.either(lambda: step(customer_ids), apart)
        transaction.on_commit(partial(documents.write_now, customer_ids))
    return turns


def redecide_all(customer_ids: Collection[int], *, places: Places, cause: str) -> int:
    """Do what `redecide` does for any number of customers, chunk by chunk; return the turns."""
    ordered = sorted(customer_ids)
    turned = 0
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        turned += len(redecide(chunk, places=places, cause=cause, now=clock.now()))
    return turned


def _run(slot: str, generation: int) -> int:
    run = jobs.start_run(kind=RUN_KIND, slot=slot)
    if run is None:
        return _after_the_run(slot, generation)
    try:
        done = _take_all(generation, run)
        _ready(generation)
    except Cancelled:
        raise
    except Exception as error:
        jobs.fail(run.pk, error=f"{type(error).__name__}: {error}")
        raise
    jobs.succeed(run.pk, result={"customers": done})
    return done


def _take_all(generation: int, run: JobRun | None = None) -> int:
    """Have everybody take a generation in; return how many customers that were."""
    checkpoint, done = (run.checkpoint, run.done) if run else ({}, 0)
    total, last = checkpoint.get("total") or _count_behind(generation), checkpoint.get("last", 0)
    while True:
        ids = _after(last, generation)
        if not ids and not last:
            return done
        if ids:
            redecide(ids, places=lambda _rules: set(), cause="publish", now=clock.now())
        # at the end once more from the start: who was met meanwhile may be behind
        last, done = ids[-1] if ids else 0, done + len(ids)
        if run is not None:
            checkpoint = {"last": last, "total": total}
            jobs.advance(run.pk, done=done, total=max(total, done), checkpoint=checkpoint)


def _after_the_run(slot: str, generation: int) -> int:
    """Take in who came behind after the run of a slot had succeeded; return how many.

    A processor can be a second late to learn of a generation, and meet somebody new in it.
    """
    over = JobRun.objects.filter(kind=RUN_KIND, slot=slot, status=JobRun.Status.SUCCEEDED)
    if not over.exists():
        return 0
    done = _take_all(generation)
    _ready(generation)
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
    states.save(held, rules.program)
    states.record(turns, now=now)
    return turns


def _ready(generation: int) -> None:
    """Mark the versions that everybody has taken in, and let those that wait take over."""
    rows = _waiting(generation).order_by("generation")
    for version_id, segment_id in list(rows.values_list("pk", "segment_id")):
        with transaction.atomic():
            # the segment first, as whoever stops or publishes a version
            if not Segment.objects.select_for_update(of=("self",)).filter(pk=segment_id).exists():
                continue
            mine = _waiting(generation).filter(pk=version_id)
            mine.filter(ready_at=None).update(ready_at=clock.now())
            version = SegmentVersion.objects.filter(pk=version_id, status=_SHADOW).first()
            if version is None:
                continue
            log.info("segment.version_ready", segment=segment_id, version=version.number)
            if version.publish_when_ready:
                services.take_over(version_id=version_id, actor="backfill")


def _waiting(generation: int) -> QuerySet[SegmentVersion]:
    """Return the versions that are ready when everybody has taken a generation in.

    And those that a kill kept from taking over.
    """
    ready = Q(ready_at=None) | Q(publish_when_ready=True)
    beside = (_SHADOW, SegmentVersion.Status.STANDBY)
    return SegmentVersion.objects.filter(ready, status__in=beside, generation__lte=generation)


def _after(last: int, generation: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_AFTER, [last, generation, CHUNK])
        return [row[0] for row in cursor.fetchall()]


def _count_behind(generation: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_BEHIND, [generation])
        return int(cursor.fetchone()[0])
