"""HTTP doors of segments."""

from segments.views.segments import SegmentViewSet

__all__ = ["SegmentViewSet"]
