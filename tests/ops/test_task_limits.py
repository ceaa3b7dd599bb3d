"""Limits of tasks fit together: no running task is delivered again, each is told before it ends."""

from collections.abc import Iterator

from django.conf import settings

from personalization.celery import app as celery


def _limits() -> Iterator[tuple[str, float, float]]:
    """Yield (name, soft limit, hard limit) of each task of ours."""
    celery.loader.import_default_modules()
    for name, task in celery.tasks.items():
        if not name.startswith("celery."):
            soft = task.soft_time_limit or settings.CELERY_TASK_SOFT_TIME_LIMIT
            yield name, soft, task.time_limit or settings.CELERY_TASK_TIME_LIMIT


def test_tasks__each__ends_before_redis_delivers_it_again() -> None:
    hidden_s = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]

    assert [name for name, _, hard in _limits() if hard >= hidden_s] == []


def test_tasks__each__hears_of_its_end_before_it_comes() -> None:
    assert [name for name, soft, hard in _limits() if soft >= hard] == []


def test_retrain__longer_than_other_tasks__both_limits_are_its_own() -> None:
    limits = {name: soft for name, soft, _ in _limits()}

    assert limits["recommender.tasks.retrain"] > settings.CELERY_TASK_TIME_LIMIT
