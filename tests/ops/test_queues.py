"""Long learning and what somebody waits for are never in one queue, and each has a worker."""

import pytest
from django.conf import settings

from personalization.celery import app as celery
from personalization.lib import background
from personalization.ops import heartbeats, programs


def _queue_of(task: str) -> str:
    return str(celery.amqp.router.route({}, task)["queue"].name)


def test_routes__learning__apart_from_what_people_wait_for() -> None:
    celery.loader.import_default_modules()

    assert settings.CELERY_TASK_ROUTES.keys() <= celery.tasks.keys()
    assert _queue_of("recommender.tasks.retrain") == "learning"
    assert _queue_of("segments.learning.tasks.learn") == "learning"
    assert _queue_of("segments.tasks.backfill") == "celery"
    assert _queue_of("segments.tasks.measure") == "celery"


def test_programs__each_queue__has_a_worker_of_its_own_name() -> None:
    commands = [list(one.command) for one in programs.programs() if "worker" in one.command]
    taken = [command[command.index("--queues") + 1] for command in commands]
    names = {command[command.index("--hostname") + 1] for command in commands}

    assert taken == [queue.name for queue in settings.CELERY_TASK_QUEUES]
    assert len(names) == len(taken)


def test_worker__without_queues__takes_from_all() -> None:
    assert set(celery.amqp.queues.consume_from) == {"celery", "learning"}


def test_beat__a_worker_s_queues__are_told_with_its_sign_of_life(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "_facts", {"queues": ["celery"]})
    monkeypatch.setattr(background, "_kinds", ["worker"])
    heartbeats.beat()

    assert heartbeats.queues_without_worker() == ["learning"]
