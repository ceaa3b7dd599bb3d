"""The segments' share of the published configuration: every live version of every segment."""

from collections.abc import Mapping
from typing import Any

from personalization.lib.errors import Problem, Unprocessable
from segments.live import rules
from segments.models import Generation, SegmentVersion

LIVE = (
    SegmentVersion.Status.PUBLISHED,
    SegmentVersion.Status.SHADOW,
    SegmentVersion.Status.STANDBY,
)


class SegmentsPart:
    """Config part "segments"."""

    # Which version decides is bound to members that were counted; a roll-back of the rest of the
    # configuration leaves it (segments have a roll-back of their own).
    never_rolls_back = True

    def export(self) -> dict[str, Any]:
        """Return the live versions, oldest generation first, and the newest generation ever."""
        found = SegmentVersion.objects.filter(status__in=LIVE).select_related("segment")
        versions = [
            {
                "id": row.pk,
                "segment_id": row.segment_id,
                "key": row.segment.key,
                "title": row.segment.title,
                "number": row.number,
                "in_force": row.status == SegmentVersion.Status.PUBLISHED,
                "generation": row.generation,
                "rule": row.rule,
            }
            for row in found.order_by("generation", "id")
        ]
        newest = Generation.objects.values_list("value", flat=True).filter(pk=1).first()
        return {"generation": newest or 0, "versions": versions}

    def load(self, data: Mapping[str, Any]) -> rules.Live:
        """Return the live rules, compiled."""
        try:
            return rules.compiled(list(data["versions"]), data["generation"])
        except (ValueError, KeyError, TypeError) as error:
            msg = "the segments cannot be decided"
            raise Unprocessable(msg, details=[Problem("", str(error))]) from error
