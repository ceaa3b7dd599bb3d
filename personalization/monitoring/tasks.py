"""Celery doors of the monitoring app."""

from celery import shared_task

from personalization.lib import clock
from personalization.monitoring import services


@shared_task(name="personalization.monitoring.tasks.drop_old_minutes")
def drop_old_minutes() -> None:
    """Delete minutes past their retention. Running it twice deletes nothing more."""
    services.drop_old_minutes(now=clock.now())
