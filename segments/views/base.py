"""What every view of `/api/segments/` shares: who may, what a query may say, rows by their key.

Scope of a key: `admin`. Staff: viewers read and preview, editors write drafts and export,
publishers decide what is in force, and upload lists, which are in force at once.
"""

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request

from personalization.access.api import ApiViewSet, typed
from personalization.access.errors import RoleMissing
from personalization.access.permissions import may
from personalization.lib.errors import Malformed, Problem
from personalization.lib.keys import is_key
from personalization.lib.parsers import StorableJSONParser
from personalization.lib.storable import whole_number
from segments import errors, listing, why
from segments import serializers as shapes
from segments.models import Segment, SegmentVersion

# What each action reads of the query.
_READS: Mapping[str, frozenset[str]] = {
    "members": frozenset({"version"}),
    "export": frozenset({"version", "purpose", "traits"}),
    "explain": frozenset({"customer", "version"}),
    "diff": frozenset({"from", "to"}),
    "catalogue": frozenset({"for"}),
    "preview": frozenset({"faults"}),
}


class SegmentApi(ApiViewSet):
    """Segments by their key."""

    queryset = Segment.objects.all()
    serializer_class = shapes.SegmentSerializer
    parser_classes = (StorableJSONParser,)
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    action_roles = {
        "preview": "viewer",
        "export": "editor",
        "publish": "publisher",
        "rollback": "publisher",
        "lists": "publisher",
    }

    @property
    def query_parameters(self) -> frozenset[str]:  # type: ignore[override]  # read only here
        """Each action reads its own."""
        return _READS.get(self.action, frozenset())

    def valid(self, request: Request, shape: type[shapes.Plain]) -> dict[str, Any]:
        """Return the typed fields of the body."""
        return typed(shape(data=request.data))


def row_of(key: str) -> Segment:
    """Return the segment of a key, with its versions; SegmentUnknown without one."""
    row = listing.segments().filter(key=key).first() if is_key(key) else None
    if row is None:
        msg = "there is no such segment"
        raise errors.SegmentUnknown(msg)
    return row


def version_of(key: str, number: str | None) -> SegmentVersion:
    """Return a version by its number, as a query says it; None is the one in force."""
    row = row_of(key)
    if number is None:
        return why.version_of(row.key)
    wanted = whole_number(number)
    if wanted is None:
        msg = "a version is named by its number"
        raise Malformed(msg, details=[Problem("version", "is no number")])
    return why.version_of(row.key, wanted)


def open_faults(rule: Any) -> list[Problem]:
    """Return a fault for each segment that a rule names and nothing decides."""
    return [
        Problem(path, f"segment {key!r} has no version in force; publish it first")
        for path, key in listing.not_in_force(rule)
    ]


def require(request: Request, role: str) -> None:
    """Refuse staff below a role, where it depends on more than the action."""
    if not may(request, role):
        msg = f"this needs the role {role!r}"
        raise RoleMissing(msg)
