"""Profiles folded anew from a customer's whole log.

After merges, new consent and late events, in bulk, in replay.

What is below the horizon of the moment is folded and the state keeps that place as its floor; the
live fold skips rows below a customer's floor. So a rebuild needs no watermark, may be killed
anywhere and be done twice.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from django.conf import settings
from django.db import connection, transaction

from personalization.consent.serve import PERSONALIZATION
from personalization.customers import parking, profiles
from personalization.customers.engine import profile
from personalization.customers.engine.facts import FoldedBatch
from personalization.events import epoch
from personalization.events.engine.facts import Fact
from personalization.events.processor import isolation, reading
from personalization.events.processor.folding import FLOOR, project
from personalization.events.processor.reading import Row

# Those set aside wait for their time.
_DUE = """
SELECT customer_id FROM customers_rebuild_due WHERE error = '' OR at <= %s ORDER BY at LIMIT %s
"""
# One who is set aside while all profiles are built anew keeps the profile in use.
_KEEP = f"""
INSERT INTO {profiles.NEXT_TABLE} SELECT * FROM {profiles.TABLE} WHERE customer_id = ANY(%s)
ON CONFLICT DO NOTHING
"""  # noqa: S608 -- constants
_CLEAR = """
DELETE FROM customers_rebuild_due WHERE customer_id = ANY(%s) RETURNING customer_id, cause
"""
# Why a customer is folded anew where no row says so: in bulk, of whom nothing was folded yet, it is
# the events.
BULK, REPLAY = "event", "replay"


def rebuild_due(*, limit: int, now: datetime) -> frozenset[int]:
    """Fold anew the customers for whom it is due; return who they were.

    Safe beside other processors. Those for whom it fails are set aside.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [now, limit])
        due = [row[0] for row in cursor.fetchall()]
    if not due:
        return frozenset()

    def step(part: Sequence[int]) -> int:
        return _clear_and_rebuild(part, now)

    def whole() -> list[int]:
        locked = sorted(profiles.lock(due, now=now))
        step(locked)
        return locked

    def apart() -> list[int]:
        locked = sorted(profiles.lock(due, now=now))
        isolation.fold(locked, step, now)
        return locked

    return frozenset(isolation.either(whole, apart))


def rebuild(customer_ids: Collection[int], *, now: datetime) -> int:
    """Fold the customers anew, in one transaction; return how many events that took."""
    with transaction.atomic():
        locked = profiles.lock(customer_ids, now=now)
        return _rebuild(sorted(locked), now)


def rebuild_beside(customer_ids: Collection[int], *, now: datetime) -> int:
    """Fold the customers into the next generation's table, leaving the one in use alone.

    Those for whom it fails are set aside.
    """

    def step(part: Sequence[int]) -> int:
        return _rebuild(part, now, table=profiles.NEXT_TABLE)

    def apart() -> int:
        done, parked = isolation.fold(ordered, step, now)
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, [list(parked)])
        return done

    ordered = sorted(customer_ids)
    return isolation.either(lambda: step(ordered), apart)


def _clear_and_rebuild(customer_ids: Sequence[int], now: datetime) -> int:
    """Fold those of the locked customers for whom it is still due."""
    with connection.cursor() as cursor:
        cursor.execute(_CLEAR, [list(customer_ids)])
        causes = dict(cursor.fetchall())
    return _rebuild(sorted(causes), now, causes=causes)


def fold_locked(customer_ids: Sequence[int], *, now: datetime) -> int:
    """Read and fold customers whom the caller has locked; return how many events that took."""
    return _rebuild(customer_ids, now)


def fold(rows_of: Mapping[int, Sequence[Row]], *, horizon: epoch.Horizon, now: datetime) -> None:
    """Fold the customers' whole logs below the horizon, which the caller has read.

    The caller has locked the customers and knows that they have not changed since.
    """
    owners = reading.owners_of_customers(rows_of)
    _fold(rows_of, owners, horizon, _Target(now, causes=dict.fromkeys(rows_of, BULK)))


def project_again(customer_ids: Sequence[int], *, now: datetime, cause: str) -> int:
    """Have projections fold the customers' whole logs, whose profiles stay; return how many events.

    One transaction. Those for whom it fails are set aside; who is set aside waits for their time.
    """

    def step(part: Sequence[int]) -> int:
        return _rebuild(part, now, table=None, causes=dict.fromkeys(part, cause))

    def locked() -> list[int]:
        mine = profiles.lock(customer_ids, now=now)
        return sorted(set(mine) - parking.among(mine))

    return isolation.either(
        lambda: step(locked()), lambda: isolation.fold(locked(), step, now).done
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """Where folded profiles go (None: they stay), and why the customers are folded anew.

    Projections are told where the profiles in use, not a generation beside them, are meant.
    """

    now: datetime
    table: str | None = profiles.TABLE
    causes: Mapping[int, str] = field(default_factory=dict)


def _rebuild(
    customer_ids: Sequence[int],
    now: datetime,
    *,
    table: str | None = profiles.TABLE,
    causes: Mapping[int, str] | None = None,
) -> int:
    if not customer_ids:
        return 0
    horizon = epoch.horizon()
    owners = reading.owners_of_customers(customer_ids)
    rows_of: dict[int, list[Row]] = {customer_id: [] for customer_id in customer_ids}
    rows = reading.all_of(list(owners), horizon=horizon)
    for row in rows:
        rows_of[owners[row.identity_id or 0].customer_id].append(row)
    if causes is None:
        causes = dict.fromkeys(customer_ids, REPLAY)
    _fold(rows_of, owners, horizon, _Target(now, table, causes))
    return len(rows)


def _fold(
    rows_of: Mapping[int, Sequence[Row]],
    owners: Mapping[int, reading.Owner],
    horizon: epoch.Horizon,
    target: _Target,
) -> None:
    by_customer: dict[int, list[Fact]] = defaultdict(list)
    for _, fact in reading.facts(chain.from_iterable(rows_of.values()), owners):
        if fact.purposes & PERSONALIZATION:
            by_customer[fact.customer_id].append(fact)
    states = {
        customer_id: profile.folded(
            by_customer.get(customer_id, ()), currency=settings.SHOP_CURRENCY
        )
        | {FLOOR: list(horizon)}
        for customer_id in rows_of
    }
    if target.table is not None:
        folded = [profiles.Folded(one, state, rebuilt=True) for one, state in states.items()]
        profiles.write(folded, known=None, now=target.now, table=target.table)
    if target.table == profiles.NEXT_TABLE:
        return
    in_force = {owner.customer_id: owner.in_force for owner in owners.values()}
    told = list(chain.from_iterable(by_customer.values()))
    project(
        FoldedBatch(told, states, in_force, target.causes, (horizon.epoch, horizon.xid)), target.now
    )
