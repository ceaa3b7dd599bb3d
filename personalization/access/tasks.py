"""Celery doors of the access room."""

from celery import shared_task

from personalization.access import staleness
from personalization.lib import clock


@shared_task(name="personalization.access.tasks.drop_stale", soft_time_limit=270, time_limit=300)
def drop_stale() -> None:
    """Delete what is of no more use to anybody. Beat sends it daily; running twice is harmless."""
    staleness.drop_stale(now=clock.now())
