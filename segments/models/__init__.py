"""Tables of the segments app."""

from segments.models.rules import (
    Change,
    ListMember,
    Membership,
    Segment,
    SegmentVersion,
    Size,
    State,
)

__all__ = ["Change", "ListMember", "Membership", "Segment", "SegmentVersion", "Size", "State"]
