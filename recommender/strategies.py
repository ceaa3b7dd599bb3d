"""Writes of strategies: checked as a set, audited, published. Part of the services of this app."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from personalization.access.audit import audit, state
from personalization.lib.errors import Problem, Unprocessable
from personalization.ops.services import publish
from recommender.engine import merchandising
from recommender.models import Strategy
from recommender.productrules import new_rule_faults


@transaction.atomic
def save_strategy(*, key: str, values: Mapping[str, Any], actor: str) -> Strategy:
    """Create or change one strategy and publish; return its row. Equal values publish nothing.

    Raises
    ------
    Unprocessable
        A rule names what no product has, or is none.
    ConfigInvalid
        The strategies together could not serve; nothing is written.
    """
    found = merchandising.faults(values.get("rules", {}), new_rule_faults)
    if found:
        msg = "these rules cannot be saved"
        raise Unprocessable(msg, details=[Problem(f"rules.{p.path}", p.problem) for p in found])
    row = Strategy.objects.select_for_update().filter(key=key).first()
    before = state(row) if row else None
    row = row or Strategy(key=key)
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    if state(row) != before:
        action = "update" if before else "create"
        audit(actor=actor, action=action, obj=row, before=before, after=state(row))
    publish(actor=actor, note=f"strategy {key}")
    return row
