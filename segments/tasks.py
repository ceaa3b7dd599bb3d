"""Celery doors of segments."""

from celery import shared_task

from personalization.lib import clock
from personalization.ops.errors import Cancelled
from segments import lists, upkeep
from segments.live import backfilling


@shared_task(name="segments.tasks.backfill", acks_late=True, soft_time_limit=3480, time_limit=3600)
def backfill(slot: str = "") -> None:
    """Have every customer take the newest rules in. Beat calls it often: a dead run goes on.

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


@shared_task(
    name="segments.tasks.work_on_list", acks_late=True, soft_time_limit=3480, time_limit=3600
)
def work_on_list(slot: str) -> None:
    """Look up who the ids of a large list are. Running twice is running once: one run a slot."""
    try:
        lists.work(slot)
    except Cancelled:
        return


@shared_task(
    name="segments.tasks.resolve_lists", acks_late=True, soft_time_limit=1740, time_limit=1800
)
def resolve_lists() -> None:
    """Look up ids of lists that nobody went by so far. Beat calls it every five minutes."""
    try:
        upkeep.resolve_lists()
    except Cancelled:
        return
