"""What the decisions app shows on the customer page."""

from collections.abc import Mapping
from typing import Any

from personalization.decisions.models import Decision
from personalization.decisions.telling import missing

LIMIT = 10


def customer_decisions(customer_id: int | None) -> Mapping[str, Any]:
    """Return what was decided for a customer lately. One query by index."""
    rows = Decision.objects.filter(customer_id=customer_id).order_by("-at")[:LIMIT]
    return {"decisions": [_line(row) for row in rows], "limit": LIMIT}


def _line(decision: Decision) -> dict[str, Any]:
    body = decision.body
    placements = body.get("placements") or {}
    return {
        "id": decision.id,
        "at": decision.at,
        "config_version": decision.config_version,
        "placements": sorted(placements),
        "degraded": [missing(code) for code in body.get("degraded") or ()],
    }
