"""Reads of the decision log."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from personalization.content import serve as content
from personalization.decisions.models import Decision
from personalization.lib.uuid7 import day_of
from personalization.ops import serve as config
from personalization.ops.errors import NotBuilt
from personalization.ops.models import ConfigVersion

NOT_RECORDED = "not_recorded"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A logged decision, and what its configuration says about each of its content placements."""

    decision: Decision
    candidates: dict[str, list[content.Candidate]]


def decisions_for(customer_id: int, limit: int = 50) -> QuerySet[Decision]:
    """Return what was decided for a customer lately, newest first; only what was logged."""
    return Decision.objects.filter(customer_id=customer_id).order_by("-at")[:limit]


def explanation(decision_id: str) -> Explanation | None:
    """Return why a decision came out as it did; None when it was not recorded.

    The campaigns are judged again, by the configuration and at the time of the decision.
    """
    try:
        decision = UUID(decision_id)
        day = day_of(decision)
    except (ValueError, OverflowError):
        return None
    row = Decision.objects.filter(day=day, id=decision).first()
    if row is None:
        return None
    return Explanation(row, _candidates(row))


def _candidates(row: Decision) -> dict[str, list[content.Candidate]]:
    version = ConfigVersion.objects.filter(version=row.config_version).first()
    if version is None:
        return {}
    try:
        known = content.placements(config.build(version))
    except NotBuilt:
        return {}  # today's code cannot read what was decided by
    asked: dict[str, Any] = row.body.get("placements", {})
    return {
        key: content.candidates(known[key], row.at.timestamp())
        for key in asked
        if key in known and known[key].kind == content.CONTENT
    }
