"""Writes of strategies: checked as a set, audited, published. Part of the services of this app."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import transaction

from personalization.access.audit import audit, state
from personalization.lib.errors import Conflict, Problem, Unprocessable
from personalization.lib.keys import key_fault
from personalization.lib.locks import hold
from personalization.lib.storable import unstorable
from personalization.ops.services import publish
from recommender.engine import merchandising
from recommender.engine.strategies import source_problems
from recommender.models import Strategy
from recommender.productrules import edited_faults
from recommender.selectors import mark_of


@transaction.atomic
def save_strategy(
    *, key: str, values: Mapping[str, Any], actor: str, expected: str | None = None
) -> Strategy:
    """Create or change one strategy and publish; return its row. Equal values publish nothing.

    `expected` is the `selectors.mark_of` the strategy that the writer has seen; None overwrites
    whatever is there.

    Raises
    ------
    Conflict
        A colleague has changed the strategy meanwhile; there is one where none was expected.
    Unprocessable
        Names what is wrong with the rules and sources that are given, or with a new key.
    ConfigInvalid
        The strategies together could not serve; nothing is written.
    """
    hold(Strategy._meta.db_table, key)
    row = Strategy.objects.select_for_update().filter(key=key).first()
    if expected == mark_of(None) and row is not None:
        msg = f"there is a strategy {key!r}; choose another key, or change that one"
        raise Conflict(msg)
    if expected is not None and expected != mark_of(row):
        msg = (
            f"a colleague has saved strategy {key!r} meanwhile; keep a copy of yours, open it anew"
        )
        raise Conflict(msg)
    found = list(_faults(values, row))
    fix = key_fault(key) if row is None else ""
    found += [Problem("key", fix)] if fix else []
    if found:
        msg = "this strategy cannot be saved"
        raise Unprocessable(msg, details=found)
    if "rules" in values:
        values = {**values, "rules": merchandising.given(values["rules"])}
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


def _faults(values: Mapping[str, Any], row: Strategy | None) -> Iterator[Problem]:
    judge = edited_faults([row.rules] if row else [])
    for one in merchandising.faults(values.get("rules", {}), judge):
        yield Problem(f"rules.{one.path}".rstrip("."), one.problem)
    yield from source_problems(values.get("sources", []))
    yield from unstorable(values.get("params", {}), "params")
