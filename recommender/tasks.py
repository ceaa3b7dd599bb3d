"""Celery doors of the recommender. A run that somebody stops says so in its row: no error."""

from contextlib import suppress

from celery import shared_task

from personalization.lib import clock
from personalization.ops.errors import Cancelled
from recommender import outcomes, pruning, searching, services


# A large shop's fit takes longer than other tasks may. The soft limit leaves time to end the
# fitting process and to mark the run; CELERY_BROKER_TRANSPORT_OPTIONS knows of the hard one.
@shared_task(
    name="recommender.tasks.retrain", acks_late=True, soft_time_limit=3480, time_limit=3600
)
def retrain(slot: str = "") -> None:
    """Train all models for one slot; running twice trains once. Beat calls it every 15 minutes.

    A run whose worker died, or that failed, goes on at a later beat of its slot.
    """
    with suppress(Cancelled):
        services.retrain(slot=slot, actor="beat", now=clock.now())


@shared_task(
    name="recommender.tasks.refresh", acks_late=True, soft_time_limit=1740, time_limit=1800
)
def refresh(slot: str = "") -> None:
    """Grow the live models by what came since; running twice grows once. Beat calls it often.

    One run an hour; what a killed worker left goes on at a later beat of the hour.
    """
    with suppress(Cancelled):
        services.refresh(slot=slot, actor="beat", now=clock.now())


# RECOMMENDER_SEARCH_MINUTES is checked to end well within.
@shared_task(name="recommender.tasks.search", acks_late=True, soft_time_limit=3480, time_limit=3600)
def search(slot: str = "") -> None:
    """Look for better settings, once a week; running twice searches once. Beat calls it often.

    What a killed worker left goes on at a later beat of the evening.
    """
    with suppress(Cancelled):
        searching.search_weekly(slot=slot, actor="beat", now=clock.now())


@shared_task(
    name="recommender.tasks.prune_models", acks_late=True, soft_time_limit=540, time_limit=600
)
def prune_models() -> None:
    """Delete files of models that will not serve again. Beat calls it daily."""
    pruning.prune_storage(now=clock.now())
    pruning.prune_node()


@shared_task(
    name="recommender.tasks.drop_outcomes", acks_late=True, soft_time_limit=540, time_limit=600
)
def drop_outcomes() -> None:
    """Delete outcomes past their days. Beat calls it every six hours."""
    outcomes.drop_old(now=clock.now())
