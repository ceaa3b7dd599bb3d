"""What the admin's pages of segments show, as plain values: the list's lines, the page of one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.urls import reverse

from personalization.customers.models import Customer
from personalization.lib.errors import AppError, Problem
from personalization.lib.widgets import number as grouped
from personalization.ops.models import JobRun
from segments import diffs, errors, listing, measured, overlaps, selectors
from segments.causes import event_names
from segments.engine.language import parse, references
from segments.faces import Someone, people
from segments.learning import lookalikes
from segments.models import Change, Segment, SegmentVersion
from segments.pictures import members_chart, overlap_matrix
from segments.words import describe

WINDOW = timedelta(days=30)
WINDOW_WORDS = "the last 30 days"
# People and lines that fit a page; all of them are in the exports.
_SAMPLE = 10
_NEWEST = 12
# More columns cannot be read.
MOST_COMPARED = 20
_Status = SegmentVersion.Status
_MOVED = """
SELECT count(*) FILTER (WHERE entered), count(*) FILTER (WHERE NOT entered)
FROM segments_change WHERE segment_id = %s AND at > %s AND at <= %s
"""
# Where a version stands: its word and tone.
_STANDING: Mapping[str, tuple[str, str]] = {
    _Status.DRAFT: ("draft", ""),
    _Status.SHADOW: ("in shadow", "warn"),
    _Status.PUBLISHED: ("in force", "good"),
    _Status.STANDBY: ("stands by", "brand"),
    _Status.RETIRED: ("retired", ""),
}


@dataclass(frozen=True, slots=True)
class Rights:
    """What whoever looks at the page may do: write drafts, decide what is in force, stop jobs."""

    edit: bool = False
    publish: bool = False
    operate: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that can be done to a version: `right` names a field of Rights."""

    verb: str
    label: str
    right: str
    danger: bool = False


_ACTS: Mapping[str, tuple[Act, ...]] = {
    _Status.DRAFT: (
        Act("publish", "Publish", "publish"),
        Act("shadow", "Try in shadow", "edit"),
        Act("stop", "Discard the draft", "edit", danger=True),
    ),
    _Status.SHADOW: (
        Act("publish", "Publish", "publish"),
        Act("stop", "Stop the trial", "publish", danger=True),
    ),
    _Status.STANDBY: (
        Act("roll-back", "Roll back to it", "publish"),
        Act("stop", "Stop deciding it", "publish", danger=True),
    ),
}
# What the newest version of a segment would do that is being tried already.
_TAKEN = ("publish", "shadow")


def page_of(row: Segment, *, now: datetime, rights: Rights) -> dict[str, Any]:
    """Return the context of `segment.html`; `row` as `listing.segments` reads it."""
    versions = list(row.versions.all())
    decides = row.published
    size = listing.version_sizes([decides.pk]).get(decides.pk, 0) if decides else 0
    total = Customer.objects.filter(merged_into=None).count()
    entered, left = _moved(row.pk, now)
    sizes = measured.since(row.pk, now - WINDOW, now=now)
    change_diff, fault = _diff_ahead(row, versions, now)
    return {
        "segment": row,
        "sentence": _sentence(decides) if row.kind == Segment.Kind.RULE else "",
        "in_force": decides is not None,
        "size": size,
        "total": total,
        "share": f"{100 * size / total:.1f} %" if total else "—",
        "as_of": now,
        "window": WINDOW_WORDS,
        "entered": entered,
        "left": left,
        "members": members_chart(sizes),
        "measured_at": sizes[-1].at if sizes else None,
        "diff": change_diff,
        "diff_fault": fault,
        "changes": _changes(row.pk, now),
        "sample": _sample(decides),
        "exports": _exports(row) if decides and rights.edit else [],
        "list_url": list_url(),
        "lookalikes": lookalikes_of(row, rights) if decides else None,
        "edit_url": address(row, "edit") if rights.edit else "",
        "upload_url": _upload_url(row) if rights.publish else "",
        "delete_url": address(row, "delete") if may_delete(row, rights) else "",
        "docs": "rules",
        **versions_of(row, rights=rights),
        **_named(row, versions),
    }


def versions_of(row: Segment, *, rights: Rights) -> dict[str, Any]:
    """Return the versions, newest first, with what can be done to each; where the job stands."""
    versions = list(row.versions.all())
    run = listing.run_of(versions)
    tried = any(one.status == _Status.SHADOW for one in versions)
    words = selectors.catalogue()
    return {
        "versions": [
            {
                "number": one.number,
                "status": _word(one),
                "tone": _STANDING[one.status][1],
                "sentence": describe(parse(one.rule), words),
                "note": one.note,
                "created_at": one.created_at,
                "created_by": one.created_by,
                "published_at": one.published_at,
                "progress": percent(listing.progress(one, run)),
                "url": _compare_url(row, one),
                "actions": _actions(row, one, rights, tried=tried),
                "again_url": _again_url(row, one, rights),
            }
            for one in versions
        ],
        "job": _job(run),
        "live_url": address(row, "versions") if any(map(listing.taking_in, versions)) else "",
    }


def lookalikes_of(row: Segment, rights: Rights) -> dict[str, Any]:
    """Return the context of `lookalikes.html`."""
    found = lookalikes.lookalikes_of(row)
    model = found.model
    return {
        "found": found,
        "auc": f"{model.metrics['auc']:.2f}" if model else "",
        "model_url": reverse("admin:segments_learnedmodel_change", args=[model.pk])
        if model
        else "",
        "job": _job(found.run, "steps"),
        "url": address(row, "lookalikes"),
        "may_start": rights.edit and not found.busy,
        "stop_url": address(row, "lookalikes_stop") if rights.edit and model else "",
    }


def percent(share: float | None) -> int | None:
    """Return a share as whole percents; None stays."""
    return None if share is None else int(100 * share)


def uses(key: str) -> list[dict[str, str]]:
    """Return what names a segment, with the pages of those that have one."""
    return _linked(selectors.dependents(key))


def may_delete(row: Segment, rights: Rights) -> bool:
    """Whether a segment may be deleted: one that is decided live by publishers alone."""
    return rights.publish if selectors.is_live(row) else rights.edit


def overlap_page(*, now: datetime) -> dict[str, Any]:
    """Return the context of `overlap_page.html`: the largest segments in force."""
    found = overlaps.overlaps(most=MOST_COMPARED)
    key_of = {row.pk: row.key for row in found.rows}
    shared = {(key_of[a], key_of[b]): count for (a, b), count in found.shared.items()}
    # of a sample nobody may be in a small one
    seen = [row for row in found.rows if not found.exact or (row.key, row.key) in shared]
    titles = [(row.key, row.title) for row in seen]
    return {
        "matrix": overlap_matrix(titles, shared),
        "as_of": now,
        "exact": found.exact,
        "margin": found.margin,
        "left_out": len(found.rows) - len(titles) + found.left_out,
    }


def list_url() -> str:
    """Return the address of the list."""
    return reverse("admin:segments_segment_changelist")


def address(row: Segment, name: str) -> str:
    """Return the address of one of a segment's pages; `change` is the page itself."""
    return reverse(f"admin:segments_segment_{name}", args=[row.pk])


def comparison(
    old: SegmentVersion | None, new: SegmentVersion, now: datetime
) -> tuple[diffs.Diff | None, str]:
    """Return who enters, leaves and stays, or why that cannot be told."""
    if old is not None and old.pk == new.pk:
        return None, "Choose two different versions."
    try:
        _refuse_open(old, new)
        return diffs.diff(old, new, now=now), ""
    except AppError as error:
        details = "; ".join(one.problem for one in error.details)
        return None, f"{error.message}{f': {details}' if details else ''}"


def _refuse_open(*versions: SegmentVersion | None) -> None:
    """Refuse rules that name a segment which nothing decides: their SQL has no answer."""
    for one in filter(None, versions):
        open_ = [Problem(path, f"{key!r} is not in force") for path, key in _open(one)]
        if open_:
            msg = f"Version {one.number} names segments that are not published yet"
            raise errors.RuleInvalid(msg, details=open_)


def _open(version: SegmentVersion) -> list[tuple[str, str]]:
    return listing.not_in_force(version.rule)


def _diff_ahead(
    row: Segment, versions: Sequence[SegmentVersion], now: datetime
) -> tuple[diffs.Diff | None, str]:
    """Return what the newest version that waits would change."""
    waiting = [one for one in versions if one.status in (_Status.DRAFT, _Status.SHADOW)]
    if not waiting or row.kind == Segment.Kind.LIST:
        return None, ""
    return comparison(row.published, waiting[0], now)


def _sentence(version: SegmentVersion | None) -> str:
    return describe(parse(version.rule), selectors.catalogue()) if version else ""


def _moved(segment_id: int, now: datetime) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(_MOVED, [segment_id, now - WINDOW, now])
        entered, left = cursor.fetchone()
    return entered, left


def _changes(segment_id: int, now: datetime) -> list[dict[str, Any]]:
    rows: list[Change] = list(listing.history(segment_id).filter(at__gt=now - WINDOW)[:_NEWEST])
    known = {one.customer_id: one for one in people(row.customer_id for row in rows)}
    events = event_names(rows)
    return [_change(row, known.get(row.customer_id), events.get(row.pk, "")) for row in rows]


def _change(row: Change, who: Someone | None, event: str) -> dict[str, Any]:
    return {
        "at": row.at,
        "noticed_at": row.noticed_at,
        "entered": row.entered,
        "label": "erased" if who is None else who.label,
        "url": "" if who is None else who.url,
        "cause": row.get_cause_display(),
        "event": event,
        "version": row.version,
    }


def _sample(version: SegmentVersion | None) -> Sequence[Someone]:
    if version is None:
        return ()
    rows = listing.members(version).values_list("customer_id", flat=True)
    return people(rows[:_SAMPLE])


def _exports(row: Segment) -> list[dict[str, str]]:
    where = reverse("segment-export", args=[row.key])
    return [
        {"label": "CSV", "url": f"{where}?format=csv"},
        {"label": "NDJSON", "url": f"{where}?format=ndjson"},
    ]


def _upload_url(row: Segment) -> str:
    if row.kind != Segment.Kind.LIST:
        return ""
    return f"{reverse('admin:segments_segment_upload')}?key={row.key}"


def _named(row: Segment, versions: Sequence[SegmentVersion]) -> dict[str, Any]:
    """Return what names the segment, and which segments its rule names."""
    speaks = row.published or (versions[0] if versions else None)
    keys = sorted(references(parse(speaks.rule))) if speaks else []
    named = _linked(selectors.Use(f"segments.{key}", f"segment {key}") for key in keys)
    return {"dependents": uses(row.key), "names": named}


def _linked(told: Iterable[selectors.Use]) -> list[dict[str, str]]:
    """Return what names a segment, or is named, as links."""
    found = list(told)
    keys = [one.where.removeprefix("segments.") for one in found]
    ids = dict(Segment.objects.filter(key__in=keys).values_list("key", "pk")) if keys else {}
    return [{"what": one.what, "url": one.url or _page_url(ids, one.where)} for one in found]


def _page_url(ids: Mapping[str, int], where: str) -> str:
    room, _, key = where.partition(".")
    if room != "segments" or key not in ids:
        return ""
    return reverse("admin:segments_segment_change", args=[ids[key]])


# --- Versions -------------------------------------------------------------------------------------


def _word(version: SegmentVersion) -> str:
    if version.status == _Status.SHADOW and version.publish_when_ready:
        return "takes over when ready"
    return _STANDING[version.status][0]


def _actions(
    row: Segment, version: SegmentVersion, rights: Rights, *, tried: bool
) -> list[dict[str, Any]]:
    return [
        {"label": _label(version, one), "url": _act_url(row, version, one.verb)}
        | {"danger": one.danger}
        for one in _ACTS.get(version.status, ())
        if getattr(rights, one.right) and not _idle(version, one.verb, tried=tried)
    ]


def _label(version: SegmentVersion, act: Act) -> str:
    """Return what a button is called: what takes over when ready is no trial."""
    waits = version.status == _Status.SHADOW and version.publish_when_ready
    return "Do not publish it" if waits and act.verb == "stop" else act.label


def _idle(version: SegmentVersion, verb: str, *, tried: bool) -> bool:
    """Whether a verb would do nothing to this version, or be about another one."""
    if version.status == _Status.DRAFT:
        return tried and verb in _TAKEN
    return verb == "publish" and version.publish_when_ready


def _act_url(row: Segment, version: SegmentVersion, verb: str) -> str:
    if verb == "stop":
        return reverse("admin:segments_segment_stop", args=[row.pk, version.number])
    return reverse("admin:segments_segment_act", args=[row.pk, verb])


def _again_url(row: Segment, version: SegmentVersion, rights: Rights) -> str:
    if not rights.edit or version.status != _Status.RETIRED or row.kind == Segment.Kind.LIST:
        return ""
    return f"{address(row, 'edit')}?from={version.number}"


def _compare_url(row: Segment, version: SegmentVersion) -> str:
    decides = row.published
    old = f"&from={decides.number}" if decides and decides.pk != version.pk else ""
    return f"{address(row, 'diff')}?to={version.number}{old}"


def _job(run: JobRun | None, unit: str = "customers") -> dict[str, str] | None:
    if run is None:
        return None
    of = f" of {grouped(run.total)}" if run.total else ""
    return {
        "status": run.get_status_display().lower(),
        "told": f"{grouped(run.done)}{of} {unit}",
        "url": f"{reverse('admin:ops_jobrun_changelist')}?kind={run.kind}",
    }
