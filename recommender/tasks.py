"""Celery doors of the recommender."""

from celery import shared_task

from personalization.lib import clock
from recommender import services


@shared_task(name="recommender.tasks.retrain", acks_late=True, time_limit=3600)
def retrain(slot: str = "") -> None:
    """Train all models for one slot; running twice trains once. Beat calls it every 15 minutes."""
    now = clock.now()
    services.train(slot=slot or services.slot_at(now), actor="beat", now=now)
