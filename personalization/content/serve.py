"""Placements and what shows in them, from memory. The decision path reads content here alone."""

from collections.abc import Mapping
from typing import Any

from personalization.content.engine.choice import (
    CONTENT,
    RECOMMENDATIONS,
    Candidate,
    LiveCampaign,
    LivePlacement,
    candidates,
    winner,
)
from personalization.ops.serve import Snapshot

__all__ = [
    "CONTENT",
    "RECOMMENDATIONS",
    "Candidate",
    "LiveCampaign",
    "LivePlacement",
    "candidates",
    "placements",
    "winner",
]


def placements(snapshot: Snapshot) -> Mapping[str, LivePlacement]:
    """Return the placements of a configuration by key; none when it holds no content."""
    found: Mapping[str, Any] = snapshot.parts.get("content", {})
    return found
