"""Celery doors of segments."""

from celery import shared_task

from personalization.lib import clock
from personalization.ops.errors import Cancelled
from segments import upkeep
from segments.live import backfilling


@shared_task(name="segments.tasks.backfill", acks_late=True, soft_time_limit=3480, time_limit=3600)
def backfill(slot: str = "") -> None:
    """Have every customer take the newest rules in. Beat calls it every minute: a dead run goes on.

    Running twice is running once: one run row a generation, and a customer is taken once.
    """
    try:
        backfilling.backfill(slot=slot)
    except Cancelled:
        return


@shared_task(name="segments.tasks.measure", acks_late=True, soft_time_limit=540, time_limit=600)
def measure() -> None:
    """Write down how many members each segment has. Beat calls it every quarter of an hour."""
    upkeep.measure(now=clock.now())


@shared_task(name="segments.tasks.prune", acks_late=True, soft_time_limit=3480, time_limit=3600)
def prune() -> None:
    """Delete changes, sizes and facts past their retention. Beat calls it daily."""
    upkeep.prune(now=clock.now())
