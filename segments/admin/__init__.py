"""Admin pages of segments."""

from segments.admin import learning, segments

__all__ = ["learning", "segments"]
