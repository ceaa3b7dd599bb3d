"""Segments as lists and pages of the API tell them: where they stand, sizes, trends, versions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from personalization.consent.serve import PERSONALIZATION, purposes
from personalization.lib import clock
from personalization.lib.storable import whole_number
from personalization.ops.models import JobRun
from segments import measured, overlaps, selectors
from segments.causes import event_names
from segments.engine.catalogue import Catalogue
from segments.engine.explaining import parts_of
from segments.engine.language import Rule, parse
from segments.live.backfilling import RUN_KIND
from segments.measured import Trend
from segments.models import Change, Membership, Segment, SegmentVersion
from segments.sql.known import in_force
from segments.words import describe

_Status = SegmentVersion.Status
TREND = timedelta(days=30)
# A table of more has more cells than anybody reads.
MOST_PAIRED = 100
# Whoever denies personalization is a member of nothing, also before the rebuild that is due.
_IN_FORCE = f"{in_force('%s')} & %s <> 0"
# A join, not a question for each row: segments may have millions of members.
_SIZES = f"""
SELECT m.version_id, count(*) FROM segments_membership m
LEFT JOIN consent_consentstate s ON s.customer_id = m.customer_id
WHERE m.version_id = ANY(%s) AND {_IN_FORCE} GROUP BY 1
"""  # noqa: S608 -- parameters only
# A page of members is read in the order of an index, row by row.
_CONSENTS = f"""(
    SELECT {_IN_FORCE} FROM (SELECT) one
    LEFT JOIN consent_consentstate s ON s.customer_id = segments_membership.customer_id)
"""  # noqa: S608 -- parameters only
_WHO = """
SELECT c.id, c.uuid::text, ARRAY(
    SELECT i.value FROM customers_identity i
    WHERE i.customer_id = c.id AND i.kind = 1 AND i.ended_at IS NULL ORDER BY i.id
)
FROM customers_customer c WHERE c.id = ANY(%s)
"""


def segments() -> QuerySet[Segment]:
    """Return all segments, oldest first, with their versions."""
    rows = Segment.objects.select_related("published").prefetch_related("versions")
    return rows.order_by("pk")


def summaries(rows: Sequence[Segment]) -> list[dict[str, Any]]:
    """Return what a list tells of segments: sizes are counted now. Four queries."""
    now, words = clock.now(), selectors.catalogue()
    sizes = version_sizes([row.published_id for row in rows if row.published_id is not None])
    trends = measured.trends([row.pk for row in rows], now - TREND, now=now)
    return [
        _summary(row, words, now)
        | {"size": sizes.get(row.published_id or 0, 0)}
        | {"trend": trends.get(row.pk, Trend()).days}
        for row in rows
    ]


def detail(row: Segment) -> dict[str, Any]:
    """Return what the page of a segment tells: its versions, and what names it."""
    versions = list(row.versions.all())
    sizes = version_sizes([one.pk for one in versions if one.status in selectors.LIVE])
    words = selectors.catalogue()
    [summary], run = summaries([row]), run_of(versions)
    draft = next((one for one in versions if one.status == _Status.DRAFT), None)
    return summary | {
        "draft_mark": selectors.mark_of(draft),
        "versions": [_version(one, words, sizes, run) for one in versions],
        "dependents": [
            {"where": use.where, "what": use.what} for use in selectors.dependents(row.key)
        ],
    }


def version_detail(row: SegmentVersion) -> dict[str, Any]:
    """Return one version."""
    return _version(row, selectors.catalogue(), version_sizes([row.pk]), run_of([row]))


def version_sizes(version_ids: Collection[int]) -> dict[int, int]:
    """Return how many `members` each version has; versions without any are absent."""
    if not version_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_SIZES, [list(version_ids), *_consents()])
        return dict(cursor.fetchall())


def members(version: SegmentVersion) -> QuerySet[Membership]:
    """Return the members of a version for whom personalization is in force now, by customer."""
    consents = RawSQL(_CONSENTS, _consents(), output_field=BooleanField())  # noqa: S611 -- parameters only
    return Membership.objects.filter(consents, version_id=version.pk).order_by("customer_id")


def history(segment_id: int) -> QuerySet[Change]:
    """Return the entries and exits of a segment, newest first."""
    return Change.objects.filter(segment_id=segment_id).order_by("-at", "-id")


def changes(page: Iterable[Change]) -> list[dict[str, Any]]:
    """Return entries and exits with the uuids of their customers; None for who was erased."""
    rows = list(page)
    known, events = who(row.customer_id for row in rows), event_names(rows)
    names = ("entered", "at", "noticed_at", "version", "cause")
    return [
        {name: getattr(row, name) for name in names}
        | {"uuid": known.get(row.customer_id, {}).get("uuid"), "event": events.get(row.pk, "")}
        for row in rows
    ]


def who(customer_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return, of each customer, its uuid and the user ids it goes by."""
    with connection.cursor() as cursor:
        cursor.execute(_WHO, [list(customer_ids)])
        return {
            customer_id: {"uuid": uuid, "user_ids": user_ids}
            for customer_id, uuid, user_ids in cursor.fetchall()
        }


def not_in_force(rule: Rule) -> list[tuple[str, str]]:
    """Return (path, key) of the segments that a rule names and that have no version in force."""
    named = [(path, part["key"]) for path, part in parts_of(rule) if part.get("kind") == "segment"]
    decided = set(
        Segment.objects.filter(key__in=[key for _, key in named])
        .exclude(published=None)
        .values_list("key", flat=True)
    )
    return [(path, key) for path, key in named if key not in decided]


def matrix() -> dict[str, Any]:
    """Return how many customers any two segments in force share; their sizes on the diagonal."""
    now, found = clock.now(), overlaps.overlaps(most=MOST_PAIRED)
    rows, shared = found.rows, found.shared
    return {
        "as_of": now,
        "exact": found.exact,
        "margin": found.margin,
        "left_out": found.left_out,
        "segments": [
            {"key": row.key, "title": row.title, "size": shared.get((row.pk, row.pk), 0)}
            for row in rows
        ],
        "shared": [[shared.get((a.pk, b.pk), 0) for b in rows] for a in rows],
    }


def taking_in(version: SegmentVersion) -> bool:
    """Whether customers are still to take a version in."""
    return version.status == _Status.SHADOW and version.ready_at is None


def run_of(versions: Iterable[SegmentVersion]) -> JobRun | None:
    """Return the newest run of the backfill, where it takes in what waits; None where it has none.

    A run of an older generation tells nothing of the versions that wait now.
    """
    waiting = [one.generation or 0 for one in versions if taking_in(one)]
    run = JobRun.objects.filter(kind=RUN_KIND).order_by("-id").first() if waiting else None
    return run if run is not None and _generation(run) >= min(waiting) else None


def progress(version: SegmentVersion, run: JobRun | None) -> float | None:
    """Return the share of customers that have taken a version in; None when it does not wait.

    `run` as `run_of`.
    """
    if not taking_in(version):
        return None
    if run is None or not run.total or _generation(run) < (version.generation or 0):
        return 0.0
    return min(1.0, run.done / run.total)


def _consents() -> tuple[int, int]:
    """Return the parameters of `_IN_FORCE`."""
    return purposes().defaults, PERSONALIZATION


def _generation(run: JobRun) -> int:
    """Return which generation a run takes in: its slot ends with it."""
    return whole_number(run.slot.rpartition(" ")[2]) or 0


def _summary(row: Segment, words: Catalogue, now: datetime) -> dict[str, Any]:
    numbers = {one.status: one.number for one in row.versions.all()}
    decides = row.published
    return {
        "key": row.key,
        "title": row.title,
        "description": row.description,
        "kind": row.kind,
        "built_in": row.built_in,
        "status": _standing(numbers),
        "version": decides.number if decides else None,
        "draft": numbers.get(_Status.DRAFT),
        "shadow": numbers.get(_Status.SHADOW),
        "sentence": describe(parse(decides.rule), words) if decides else "",
        "as_of": now,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _standing(numbers: Mapping[str, int]) -> str:
    if _Status.PUBLISHED in numbers:
        return "live"
    return "taking_in" if _Status.SHADOW in numbers else "draft"


def _version(
    row: SegmentVersion, words: Catalogue, sizes: Mapping[int, int], run: JobRun | None
) -> dict[str, Any]:
    return {
        "number": row.number,
        "status": row.status,
        "rule": row.rule,
        "sentence": describe(parse(row.rule), words),
        "note": row.note,
        "size": sizes.get(row.pk, 0) if row.status in selectors.LIVE else None,
        "progress": progress(row, run),
        "publish_when_ready": row.publish_when_ready,
        "ready_at": row.ready_at,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "published_at": row.published_at,
    }
