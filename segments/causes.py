"""Which event an entry or exit came with, read from the facts: a change itself keeps a category."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from personalization.events import facttable
from personalization.lib import clock
from segments.engine.events import names
from segments.engine.language import Matcher, leaves, parse
from segments.models import Change, SegmentVersion


def event_names(rows: Sequence[Change]) -> dict[int, str]:
    """Return, by the id of a change, the name of the event that it came with.

    A change by an event bears the time of the newest that was taken in then. It is told where the
    rule reads that event; of another, of one that is gone by now or whose customer has refused
    since, nothing is. Two queries beyond the names of events.
    """
    mine = [row for row in rows if row.cause == Change.Cause.EVENT]
    reads = _reads(mine)
    happened = _happened(mine, [one for matchers in reads.values() for one in matchers])
    found = {}
    for row in mine:
        matchers = reads.get((row.segment_id, row.version), ())
        told = [
            name
            for name in happened.get((row.customer_id, row.at), ())
            if any(names(one, name) for one in matchers)
        ]
        if told:
            found[row.pk] = ", ".join(dict.fromkeys(told))
    return found


def _reads(rows: Sequence[Change]) -> Mapping[tuple[int, int], list[Matcher]]:
    """Return which events the rules of these changes read, by (segment id, version)."""
    versions = SegmentVersion.objects.filter(
        segment_id__in={row.segment_id for row in rows}, number__in={row.version for row in rows}
    )
    return {
        (segment_id, number): [one for leaf in leaves(parse(rule)) for one in leaf.matchers]
        for segment_id, number, rule in versions.values_list("segment_id", "number", "rule")
    }


def _happened(
    rows: Sequence[Change], wanted: Sequence[Matcher]
) -> Mapping[tuple[int, datetime], list[str]]:
    """Return the names of the wanted events that happened at the very moments of changes."""
    ids = set(facttable.ids({one.event for one in wanted if not one.prefix}).values())
    for beginning in {one.event for one in wanted if one.prefix}:
        ids.update(facttable.ids_beginning(beginning))
    moments = {(row.customer_id, clock.to_us(row.at)): row.at for row in rows}
    found: dict[tuple[int, datetime], list[str]] = {}
    for customer, at_us, name in facttable.names_at(moments, ids):
        found.setdefault((customer, moments[customer, at_us]), []).append(name)
    return found
