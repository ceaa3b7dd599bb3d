"""Celery doors of learning."""

from celery import shared_task

from personalization.lib import clock
from personalization.ops.errors import Cancelled
from segments.learning import fits, lookalikes, services


# Fits of a large shop take longer than other tasks may. The soft limit leaves time to end the
# fitting process and to mark the run; CELERY_BROKER_TRANSPORT_OPTIONS knows of the hard one.
@shared_task(
    name="segments.learning.tasks.learn", acks_late=True, soft_time_limit=3480, time_limit=3600
)
def learn(slot: str = "") -> None:
    """Learn all models for one slot; running twice learns once. Beat calls it every 15 minutes.

    A run whose worker died, or that failed, goes on at a later beat of its slot; so do fits.
    """
    lookalikes.retire_orphans()
    try:
        lookalikes.work_on_open(now=clock.now())
        fits.work_on_open(now=clock.now())
        services.relearn(slot=slot, actor="beat", now=clock.now())
    except Cancelled:
        return


@shared_task(
    name="segments.learning.tasks.score", acks_late=True, soft_time_limit=3480, time_limit=3600
)
def score(slot: str = "") -> None:
    """Score all customers for one slot; running twice scores once. Beat calls it often."""
    try:
        services.rescore(slot=slot, now=clock.now())
    except Cancelled:
        return


@shared_task(
    name="segments.learning.tasks.lookalike", acks_late=True, soft_time_limit=3480, time_limit=3600
)
def lookalike(slot: str) -> None:
    """Learn who is like the members of a segment, and score all. Running twice is running once."""
    try:
        lookalikes.work(slot, now=clock.now())
    except Cancelled:
        return


@shared_task(
    name="segments.learning.tasks.fit", acks_late=True, soft_time_limit=3480, time_limit=3600
)
def fit(slot: str) -> None:
    """Learn a model that somebody asks for, and score all. Running twice is running once."""
    try:
        fits.work(slot, now=clock.now())
    except Cancelled:
        return
