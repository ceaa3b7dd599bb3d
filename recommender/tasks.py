"""Celery doors of the recommender."""

from celery import shared_task

from personalization.lib import clock
from recommender import services


@shared_task(name="recommender.tasks.retrain", acks_late=True, time_limit=3600)
def retrain(slot: str = "") -> None:
    """Train all models for one slot (today's without a name); running twice trains once."""
    now = clock.now()
    services.train(slot=slot or f"nightly {now:%Y-%m-%d}", actor="beat", now=now)
