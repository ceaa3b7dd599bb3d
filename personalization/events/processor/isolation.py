"""One customer whose events cannot be folded must not stop the others: found by halves, set aside.

Anonymous visitors decide what events hold, so a fold that fails may be their doing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, ProgrammingError, transaction

from personalization.customers import parking
from personalization.lib import faults

log = structlog.get_logger("events")

_Done = TypeVar("_Done")


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
    failed: dict[int, Exception] = {}
    done = _halved(customer_ids, step, failed)
    parking.park({one: faults.words(error) for one, error in failed.items()}, now=now)
    for customer_id, error in failed.items():
        log.error("customer.parked", customer=customer_id, exc_info=error)
    return Apart(done, frozenset(failed))


def _halved(
    customer_ids: Sequence[int],
    step: Callable[[Sequence[int]], int],
    failed: dict[int, Exception],
) -> int:
    if not customer_ids:
        return 0
    try:
        with transaction.atomic():
            return step(customer_ids)
    except _NOBODYS:
        raise
    except Exception as error:  # noqa: BLE001 -- worker edge; logged with the customer by `fold`
        if len(customer_ids) == 1:
            failed[customer_ids[0]] = error
            return 0
    middle = len(customer_ids) // 2
    return _halved(customer_ids[:middle], step, failed) + _halved(
        customer_ids[middle:], step, failed
    )
