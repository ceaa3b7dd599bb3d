"""Upkeep that nobody calls does not happen: each such task is on beat's schedule."""

from django.conf import settings

from personalization.celery import app as celery

# What the names of tasks that keep house begin with.
_UPKEEP = ("maintain", "drop", "prune", "retrain")


def test_schedule__tasks_of_upkeep__all_are_sent() -> None:
    celery.loader.import_default_modules()
    upkeep = {name for name in celery.tasks if name.rpartition(".")[2].startswith(_UPKEEP)}

    planned = {str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert len(upkeep) >= 6
    assert upkeep - planned == set()
