"""Outcomes built anew from the log beside those in use, then swapped in at once.

A live watermark never moves back: the new generation has watermarks of its own, follows the log in
short transactions until it has caught up, and takes over in one that holds the processors' folds.
"""

from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import connection, transaction

from personalization.events import epoch
from personalization.events.processor import folding, isolation, positions, reading
from personalization.lib import clock
from personalization.lib.errors import Conflict
from personalization.ops import claims
from recommender import outcomes
from recommender.models import (
    BoughtLine,
    ItemDay,
    OutcomeGeneration,
    ShelfDay,
    ShownClick,
    ShownList,
)

log = structlog.get_logger("recommender")

_NEXT = f"{outcomes.GROUP}.next"
# Rows of a shard a transaction: about 100 ms in all.
_ROWS = 64
_TABLES = (BoughtLine, ShownClick, ShownList, ItemDay, ShelfDay)
Progress = Callable[[int], None]


def replay(progress: Progress = lambda _rows: None) -> int:
    """Build the outcomes anew and swap them in; return how many events were read.

    A kill before the swap leaves what is read as it is; the next replay starts anew. What the log
    no longer holds is not counted any more.

    Raises
    ------
    Conflict
        Another replay is running.
    """
    with claims.alone(kind="replay", slot=outcomes.GROUP) as mine:
        if not mine:
            msg = "a replay of outcomes is running already"
            raise Conflict(msg)
        return _replay(progress)


def _replay(progress: Progress) -> int:
    epoch.ensure()
    positions.ensure([outcomes.GROUP])
    live = outcomes.live_generation()
    coming = live + 1
    _clear(coming)
    _forget_positions()
    positions.ensure([_NEXT])
    done = 0
    while rows := _step(coming, now=clock.now()):
        done += rows
        progress(done)
    done += _swap(coming, now=clock.now())
    _clear(live)
    log.info("outcomes.replayed", events=done, generation=coming)
    return done


def _step(generation: int, *, now: datetime) -> int:
    with transaction.atomic():
        return _fold(generation, now=now)


def _swap(generation: int, *, now: datetime) -> int:
    """Hold the processors' folds, fold what they did meanwhile, and move the pointer."""
    done = 0
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                'SELECT 1 FROM events_watermark WHERE "group" = %s ORDER BY shard FOR UPDATE',
                [outcomes.GROUP],
            )
        while rows := _fold(generation, now=now):
            done += rows
        OutcomeGeneration.objects.update_or_create(pk=1, defaults={"live": generation})
        _forget_positions()
    return done


def _fold(generation: int, *, now: datetime) -> int:
    """Fold the next rows that the live generation has folded, too."""
    held = positions.lock(_NEXT, owner="")
    bound = positions.read(outcomes.GROUP)
    names = outcomes.names()
    rows = [
        row
        for row in reading.after(held, horizon=epoch.horizon(), limit=_ROWS, names=names)
        if (row.epoch, row.xid, row.seq) <= bound[row.shard]
    ]
    if rows:
        facts = folding.told(rows, names)
        isolation.fold_facts(facts, lambda part, _: outcomes.fold_generation(generation, part), now)
        positions.move(_NEXT, positions.last(rows), now=now)
    return len(rows)


def _clear(generation: int) -> None:
    for table in _TABLES:
        outcomes.drop(table, {"generation": generation})


def _forget_positions() -> None:
    with connection.cursor() as cursor:
        cursor.execute('DELETE FROM events_watermark WHERE "group" = %s', [_NEXT])
