"""Celery doors of the events app."""

from celery import shared_task

from personalization.events import partitions, registry
from personalization.lib import clock


@shared_task(name="personalization.events.tasks.maintain_partitions")
def maintain_partitions() -> None:
    """Make partitions ahead, drop what is past retention, forget old rejected events."""
    now = clock.now()
    partitions.maintain(now=now)
    registry.forget_rejected(now=now)
