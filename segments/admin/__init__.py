"""Admin pages of segments."""

from segments.admin import learning

__all__ = ["learning"]
