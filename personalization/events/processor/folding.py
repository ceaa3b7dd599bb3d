"""One micro-batch: what the processor does with the next rows, in one transaction.

Watermarks are locked first, then customers in the order of ids; then facts are folded, profiles
written, watermarks moved. A kill at any point leaves all of it or nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from personalization.consent.serve import PERSONALIZATION
from personalization.customers import parking, profiles
from personalization.customers.engine import profile
from personalization.customers.engine.facts import FoldedBatch
from personalization.events import epoch
from personalization.events.engine.facts import Fact
from personalization.events.engine.flags import BOT
from personalization.events.processor import isolation, positions, reading
from personalization.events.processor.reading import Owner, Position, Row
from personalization.lib.registries import Projection, projections

_ATTEMPTS = 3
_DUE = """
INSERT INTO customers_rebuild_due (customer_id, cause, at)
SELECT id, 'late', %s FROM unnest(%s::bigint[]) AS t (id) ON CONFLICT DO NOTHING
"""
# A visit's events stand together in a shard, and cost little more than one of them.
_DEEP = 40
# Of a state: everything of this customer below this place in the log is folded already (see
# rebuilding).
FLOOR = "h"


# (rows, owners, customers locked, now) -> how many facts were folded
_Step = Callable[[Sequence[Row], Mapping[int, Owner], Collection[int], datetime], int]


class _Moved(isolation.Passing):
    """An identity changed its customer between look-up and lock."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one micro-batch did. `full` says that at least one shard may have more."""

    rows: int = 0
    folded: int = 0
    customers: frozenset[int] = frozenset()
    full: bool = False
    horizon: epoch.Horizon = field(default=epoch.Horizon(0, 0))


def fold_next(*, owner: str, limit: int, now: datetime, turn: int = 0) -> Batch:
    """Fold the next rows of the shards that `owner` leases ("": all) into profiles.

    At most `limit` a shard on average: where that is little, more of some shards, which `turn`
    chooses, since neighbours in a shard are one visit of one customer. A batch that fails is folded
    again by parts, and the customers whose events make it fail are set aside.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return isolation.either(
                lambda: _fold(_Part(owner, limit, turn), now, _fold_facts),
                lambda: _fold(_Part(owner, limit, turn), now, _fold_apart),
            )
        except _Moved:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError


def fold_insight(group: str, *, owner: str, limit: int, now: datetime) -> int:
    """Let the projections of another group fold its next rows, never past `profile`.

    Return how many rows. Facts that a projection cannot fold are left out of it. A group that is
    not behind locks nothing: it is asked twenty times a second.
    """
    if not positions.is_behind(group):
        return 0
    with transaction.atomic():
        held = positions.lock(group, owner=owner)
        bound = positions.read(positions.PROFILE)
        mine = [one for _, one in projections.items() if one.group == group]
        names = _names(mine)
        rows = [
            row
            for row in reading.after(held, horizon=epoch.horizon(), limit=limit, names=names)
            if (row.epoch, row.xid, row.seq) <= bound[row.shard]
        ]
        if not rows:
            return 0
        facts = told(rows, names)
        for projection in mine:
            isolation.fold_facts(facts, projection.fold, now)
        positions.move(group, positions.last(rows), now=now)
    return len(rows)


def told(rows: Sequence[Row], names: Collection[str] | None) -> list[Fact]:
    """Return the facts of rows of some names (None: of any), as their owners are now."""
    wanted = rows if names is None else [row for row in rows if row.name in names]
    owners = reading.owners({row.identity_id for row in wanted if row.identity_id is not None})
    return [fact for _, fact in reading.facts(wanted, owners)]


def _names(mine: Sequence[Projection]) -> Collection[str] | None:
    """Return the names that any of the projections folds; None where one folds all."""
    wanted: set[str] = set()
    for projection in mine:
        if projection.names is None:
            return None
        wanted |= set(projection.names())
    return wanted


@dataclass(frozen=True, slots=True)
class _Part:
    """What one batch is to read: whose shards, how many rows of each on average, whose turn."""

    owner: str
    limit: int
    turn: int

    def rows(self, held: Mapping[int, Position], horizon: epoch.Horizon) -> tuple[list[Row], int]:
        """Return the next rows of the shards held, and the most that one of them could give."""
        count = len(held) * self.limit // _DEEP
        if 0 < count < len(held):
            order = sorted(held)
            start = self.turn * count % len(order)
            chosen = (order + order)[start : start + count]
            rows = reading.after({s: held[s] for s in chosen}, horizon=horizon, limit=_DEEP)
            if rows:
                return rows, _DEEP
        return reading.after(held, horizon=horizon, limit=self.limit), self.limit


def _fold(part: _Part, now: datetime, fold: _Step) -> Batch:
    held = positions.lock(positions.PROFILE, owner=part.owner)
    horizon = epoch.horizon()
    rows, limit = part.rows(held, horizon)
    if not rows:
        return Batch(horizon=horizon)
    owners, locked = _locked_owners(rows, now)
    if locked and (parked := parking.among(locked)):
        locked -= parked  # folded from the whole log when it is their turn
        owners = _owned(owners, locked)
    folded = fold(rows, owners, locked, now) if locked else 0
    positions.move(positions.PROFILE, positions.last(rows), now=now)
    return Batch(
        rows=len(rows),
        folded=folded,
        customers=frozenset(locked),
        full=_is_full(rows, limit),
        horizon=horizon,
    )


def _locked_owners(rows: Sequence[Row], now: datetime) -> tuple[Mapping[int, Owner], set[int]]:
    """Lock the customers that the rows may change and return whose each identity is under the lock.

    A customer without consent is not locked: one who consents in this moment is folded again
    anyway.
    """
    before = reading.owners({row.identity_id for row in rows if row.identity_id is not None})
    wanted = {
        before[row.identity_id].customer_id
        for row in rows
        if row.identity_id in before
        and not row.flags & BOT
        and row.purposes & before[row.identity_id].in_force & PERSONALIZATION
    }
    if not wanted:
        return {}, set()
    locked = profiles.lock(wanted, now=now)
    owners = {i: owner for i, owner in before.items() if owner.customer_id in wanted}
    changed = {i for i, o in owners.items() if locked.get(o.customer_id) != o.version + 1}
    if changed:
        owners |= reading.owners(changed)
        if any(owners[identity].customer_id not in locked for identity in changed):
            raise _Moved
    return owners, set(locked)


def _fold_apart(
    rows: Sequence[Row], owners: Mapping[int, Owner], locked: Collection[int], now: datetime
) -> int:
    def step(part: Sequence[int]) -> int:
        return _fold_facts(rows, _owned(owners, frozenset(part)), part, now)

    return isolation.fold(sorted(locked), step, now).done


def _owned(owners: Mapping[int, Owner], customer_ids: Collection[int]) -> Mapping[int, Owner]:
    return {i: owner for i, owner in owners.items() if owner.customer_id in customer_ids}


def _fold_facts(
    rows: Sequence[Row], owners: Mapping[int, Owner], locked: Collection[int], now: datetime
) -> int:
    states = profiles.states(locked)
    known = set(states)
    by_customer: dict[int, list[Fact]] = defaultdict(list)
    told: list[Fact] = []
    for row, fact in reading.facts(rows, owners):
        if not fact.purposes & PERSONALIZATION:
            continue
        told.append(fact)
        floor = states[fact.customer_id].get(FLOOR) if fact.customer_id in known else None
        if floor is None or (row.epoch, row.xid) >= (floor[0], floor[1]):
            by_customer[fact.customer_id].append(fact)
    currency, late, changed = settings.SHOP_CURRENCY, [], []
    for customer_id, own in by_customer.items():
        state = states.setdefault(customer_id, {})
        if profile.fold(state, own, currency=currency):
            late.append(customer_id)
        changed.append(profiles.Folded(customer_id, state))
    profiles.write(changed, known=known, now=now)
    if late:
        with connection.cursor() as cursor:
            cursor.execute(_DUE, [now, late])
    in_force = {owner.customer_id: owner.in_force for owner in owners.values()}
    project(FoldedBatch(told, states, in_force, causes={}, horizon=(0, 0)), now)
    return sum(map(len, by_customer.values()))


def project(batch: FoldedBatch, now: datetime) -> None:
    """Let the projections of the group `profile` fold what the profiles have just folded."""
    for _name, projection in projections.items():  # noqa: PERF102 -- a Registry
        if projection.group == positions.PROFILE:
            projection.fold(batch, now)


def _is_full(rows: Sequence[Row], limit: int) -> bool:
    counts: dict[int, int] = defaultdict(int)
    for row in rows:
        counts[row.shard] += 1
    return max(counts.values()) >= limit
