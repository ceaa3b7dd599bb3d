"""Tables of the segments app."""

from segments.models.learning import LearnedModel, Observation, Score
from segments.models.rules import (
    Change,
    Generation,
    ListMember,
    Membership,
    Segment,
    SegmentVersion,
    Size,
    State,
)

__all__ = [
    "Change",
    "Generation",
    "LearnedModel",
    "ListMember",
    "Membership",
    "Observation",
    "Score",
    "Segment",
    "SegmentVersion",
    "Size",
    "State",
]
