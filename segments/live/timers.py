"""Timers: entries and exits that happen by the clock alone, on time and once.

A timer is the column `due_at` of a state: durable, one a customer, moved in the transaction of
whatever changes it. Any number of processors may work on them at once: each takes customers that
nobody else has locked. Customers are locked before states, as everywhere.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import connection

from personalization.consent.serve import PERSONALIZATION
from personalization.customers import documents, profiles
from personalization.events.processor import isolation
from personalization.lib import clock
from personalization.lib.metrics import SEGMENT_TIMER_LATE_S
from segments.engine.held import Held
from segments.live import states
from segments.live.deciding import Crowd, masks_of
from segments.live.rules import Live, rules_for
from segments.live.states import Turn

log = structlog.get_logger("segments")

# A transaction of about 100 ms: the horizon of every processor waits for it.
CHUNK = 200
# What one round may take before others (documents, heart-beats) have their turn.
_MOST_CHUNKS = 50
# Skips whom a fold holds: that fold settles what is due, and moves the timer.
_CLAIM = """
SELECT c.id FROM customers_customer c WHERE c.id IN (
    SELECT customer_id FROM segments_state WHERE due_at <= %s ORDER BY due_at LIMIT %s)
ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED
"""
# Who is set aside is decided from the whole log when it is their turn, and has no timer till then.
_SILENCE = "UPDATE segments_state SET due_at = NULL WHERE customer_id = ANY(%s)"


def run() -> int:
    """Turn what is due, chunk by chunk, and write the documents; return how many customers."""
    done = 0
    for _ in range(_MOST_CHUNKS):
        turned = turn_due(now=clock.now())
        if turned:
            documents.write_now(turned)
        done += len(turned)
        if len(turned) < CHUNK:
            break
    return done


def turn_due(*, now: datetime, limit: int = CHUNK) -> list[int]:
    """Let time turn the verdicts of the customers who are due the longest; return who they were.

    One transaction: verdicts, memberships, changes, timers. Killed anywhere, all of it or nothing.
    One whose verdicts cannot be turned is set aside and stops nobody else.
    """

    def step(part: Sequence[int]) -> int:
        return _turn(part, now)

    def whole() -> list[int]:
        claimed = _claimed(now, limit)
        step(claimed)
        return claimed

    def apart() -> list[int]:
        claimed = _claimed(now, limit)
        _, parked = isolation.fold(claimed, step, now)
        with connection.cursor() as cursor:
            cursor.execute(_SILENCE, [list(parked)])
        return claimed

    return isolation.either(whole, apart)


def _claimed(now: datetime, limit: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [clock.to_us(now), limit])
        claimed = [row[0] for row in cursor.fetchall()]
    if claimed:
        profiles.lock(claimed, now=now)
    return claimed


def _turn(claimed: Sequence[int], now: datetime) -> int:
    if not claimed:
        return 0
    us = clock.to_us(now)
    held = states.load(claimed)
    rules = rules_for(held.values())
    turns: list[Turn] = []
    crowd, masks = Crowd(rules, claimed, {}, {}), masks_of(claimed)
    stale = []
    for customer_id, state in held.items():
        due = state.due()
        if due is not None and due <= us:
            SEGMENT_TIMER_LATE_S.observe((us - due) / 1e6)
        if not masks[customer_id] & PERSONALIZATION:
            # who has withdrawn enters nothing more, also before the rebuild that is due
            turns += crowd.expelled(customer_id, state, "consent", us)
            continue
        turns += crowd.turned(customer_id, state, us)
        if state.stale():
            stale.append(customer_id)
    if stale:
        turns += _decided_anew(rules, stale, held, us)
    states.save_verdicts(held)
    states.record(turns, now=now)
    return len(held)


def _decided_anew(
    rules: Live, customer_ids: list[int], held: dict[int, Held], us: int
) -> list[Turn]:
    """Decide those rules again of which not everything was known in advance."""
    crowd = Crowd(rules, customer_ids, profiles.states(customer_ids), masks_of(customer_ids))
    turns: list[Turn] = []
    for customer_id in customer_ids:
        turns += crowd.decide(customer_id, held[customer_id], set(), us, "time", us)
    return turns
