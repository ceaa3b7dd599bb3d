"""One customer whose events cannot be folded must not stop the others: found by halves, set aside.

Anonymous visitors decide what events hold, so a fold that fails may be their doing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, ProgrammingError, connection, transaction

from personalization.customers import parking
from personalization.events.engine.facts import Fact
from personalization.lib import faults

log = structlog.get_logger("events")

_Done = TypeVar("_Done")
_One = TypeVar("_One")


class Passing(Exception):  # noqa: N818 -- not a fault
    """Something came in between; the same again will do."""


# About the moment, the database or its tables, not about a customer: raised as it is.
_NOBODYS = (OperationalError, InterfaceError, ProgrammingError, Passing)


class Apart(NamedTuple):
    """What the folds that went well returned in all, and who was set aside."""

    done: int
    parked: frozenset[int]


def either(whole: Callable[[], _Done], apart: Callable[[], _Done]) -> _Done:
    """Return what `whole` does, or, where it fails over somebody's events, what `apart` does.

    Each in a transaction of its own.
    """
    try:
        with transaction.atomic():
            return whole()
    except _NOBODYS:
        raise
    except Exception:  # worker edge: whatever events make a fold raise
        log.exception("processor.batch_failed")
    with transaction.atomic():
        return apart()


def fold(customer_ids: Sequence[int], step: Callable[[Sequence[int]], int], now: datetime) -> Apart:
    """Let `step` fold the customers, each part in a savepoint, and park those for whom it fails.

    Joins the caller's transaction, which has failed before. A step may be done for a part of the
    customers as for all of them.
    """
    failed: list[tuple[int, Exception]] = []
    done = _halved(customer_ids, step, failed)
    parking.park({one: faults.words(error) for one, error in failed}, now=now)
    for customer_id, error in failed:
        log.error("customer.parked", customer=customer_id, exc_info=error)
    return Apart(done, frozenset(one for one, _ in failed))


def fold_facts(
    facts: Sequence[Fact], fold: Callable[[Sequence[Fact], datetime], None], now: datetime
) -> int:
    """Let a projection fold facts, each part in a savepoint; those that it cannot are left out.

    Return how many those are; the log names each. Joins the caller's transaction. Where it can fold
    none of them the projection is at fault: the first error is raised.
    """

    def step(part: Sequence[Fact]) -> int:
        fold(part, now)
        return len(part)

    failed: list[tuple[Fact, Exception]] = []
    done = _halved(facts, step, failed)
    if failed and not done:
        raise failed[0][1]
    for fact, error in failed:
        log.error("fact.left_out", message=fact.message_id, name=fact.name, exc_info=error)
    if failed:
        log.error("facts.left_out", count=len(failed))
    return len(failed)


def _halved(
    ones: Sequence[_One],
    step: Callable[[Sequence[_One]], int],
    failed: list[tuple[_One, Exception]],
) -> int:
    if not ones:
        return 0
    try:
        # the driver's own errors, of folds that go past Django, are named as Django names them
        with transaction.atomic(), connection.wrap_database_errors:
            return step(ones)
    except _NOBODYS:
        raise
    except Exception as error:  # noqa: BLE001 -- worker edge; logged by the caller
        if len(ones) == 1:
            failed.append((ones[0], error))
            return 0
    middle = len(ones) // 2
    return _halved(ones[:middle], step, failed) + _halved(ones[middle:], step, failed)
