"""Celery doors of the decisions room."""

from celery import shared_task

from personalization.decisions import services
from personalization.lib import clock


@shared_task(
    name="personalization.decisions.tasks.maintain_partitions",
    soft_time_limit=270,
    time_limit=300,
)
def maintain_partitions() -> None:
    """Make the log's next partitions and drop the old ones. Beat sends it each hour."""
    services.maintain_partitions(now=clock.now())
