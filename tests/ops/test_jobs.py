"""Runs of long work: started once, stopped, resumed."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from personalization.lib.clock import frozen
from personalization.ops import errors, pulse, services
from personalization.ops.models import JobRun

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _started() -> JobRun:
    run = services.start_run(kind="import", slot="a", params={"file": "x"})
    assert run is not None
    return run


@pytest.mark.django_db
def test_start_run__same_slot_again__none() -> None:
    run = _started()
    assert run.status == "running"
    assert services.start_run(kind="import", slot="a", params={}) is None
    assert services.start_run(kind="import", slot="b", params={}) is not None


@pytest.mark.django_db
def test_advance__running__keeps_progress_and_checkpoint() -> None:
    run = _started()
    services.advance(run.pk, done=5, total=10, checkpoint={"line": 5})
    services.advance(run.pk, done=6)
    run.refresh_from_db()
    assert (run.done, run.total, run.checkpoint) == (6, 10, {"line": 5})


@pytest.mark.django_db
def test_advance__cancel_requested__stops_and_is_marked() -> None:
    run = _started()
    assert services.request_cancel(run.pk, actor="t")
    with pytest.raises(errors.Cancelled):
        services.advance(run.pk, done=7, checkpoint={"line": 7})
    run.refresh_from_db()
    assert (run.status, run.checkpoint) == ("cancelled", {"line": 7})
    assert not services.request_cancel(run.pk, actor="t")


@pytest.mark.django_db
def test_advance__nothing_but_a_sign_of_life__progress_stays() -> None:
    run = _started()
    services.advance(run.pk, done=7, total=10, checkpoint={"line": 7})
    with frozen(NOW):
        services.advance(run.pk)
    run.refresh_from_db()
    assert (run.done, run.total, run.checkpoint, run.heartbeat_at) == (7, 10, {"line": 7}, NOW)


@pytest.mark.django_db
def test_start_run__its_process_died__taken_over_once_it_is_silent() -> None:
    with frozen(NOW):
        services.advance(_started().pk, done=7, checkpoint={"line": 7})
    with frozen(NOW + services.STALE_AFTER):
        assert services.start_run(kind="import", slot="a") is None
    with frozen(NOW + services.STALE_AFTER + timedelta(seconds=1)):
        again = services.start_run(kind="import", slot="a")
        assert services.start_run(kind="import", slot="a") is None
    assert again is not None
    assert (again.status, again.checkpoint, again.attempts) == ("running", {"line": 7}, 2)


@pytest.mark.django_db
def test_is_at_work__its_process_died__not_once_it_is_silent_whatever_its_slot() -> None:
    with frozen(NOW):
        run = _started()
    with frozen(NOW + services.STALE_AFTER):
        before = services.is_at_work("import")
    with frozen(NOW + services.STALE_AFTER + timedelta(seconds=1)):
        after = services.is_at_work("import")
    run.refresh_from_db()
    assert (before, after, run.status) == (True, False, "failed")


@pytest.mark.django_db
def test_start_run__failed__again_until_it_had_its_attempts() -> None:
    for _ in range(services.MAX_ATTEMPTS):
        services.fail(_started().pk, error="disk full")
    assert services.start_run(kind="import", slot="a") is None
    run = services.resume(JobRun.objects.get().pk, actor="t")
    assert (run.attempts, _started().status) == (0, "running")


@pytest.mark.django_db
def test_start_run__cancelled_while_its_process_was_dead__stays_cancelled() -> None:
    with frozen(NOW):
        run = _started()
        services.request_cancel(run.pk, actor="t")
    with frozen(NOW + services.STALE_AFTER + timedelta(seconds=1)):
        assert services.start_run(kind="import", slot="a") is None
    run.refresh_from_db()
    assert run.status == "cancelled"


def _until_told(check: Callable[[], None], heard: threading.Event) -> None:
    while not heard.wait(0.01):
        check()


@pytest.mark.django_db(transaction=True)
def test_pulse__one_long_step__the_run_is_heard_of_and_hears_of_a_cancel() -> None:
    with frozen(NOW):
        run = _started()
    heard = threading.Event()
    with pulse.beating(run.pk, every_s=0.01) as check:
        check()
        while JobRun.objects.get().heartbeat_at == NOW:
            assert not heard.wait(0.01)
        services.request_cancel(run.pk, actor="t")
        while JobRun.objects.get().status == "running":
            assert not heard.wait(0.01)
        with pytest.raises(errors.Cancelled):
            _until_told(check, heard)


@pytest.mark.django_db
def test_resume__cancelled_run__starts_again_from_its_checkpoint() -> None:
    run = _started()
    services.advance(run.pk, done=7, checkpoint={"line": 7})
    services.fail(run.pk, error="disk full")
    services.resume(run.pk, actor="t")
    again = services.start_run(kind="import", slot="a", params={})
    assert again is not None
    assert (again.pk, again.status, again.checkpoint, again.error) == (
        run.pk, "running", {"line": 7}, "",
    )  # fmt: skip


@pytest.mark.django_db
def test_resume__alive_or_done__refused() -> None:
    run = _started()
    with pytest.raises(errors.JobStateWrong):
        services.resume(run.pk, actor="t")
    services.succeed(run.pk, result={"rows": 1})
    with pytest.raises(errors.JobStateWrong):
        services.resume(run.pk, actor="t")


@pytest.mark.django_db
def test_resume__silent_for_long__goes_on() -> None:
    with frozen(NOW):
        run = _started()
    with frozen(NOW + services.STALE_AFTER + timedelta(seconds=1)):
        assert services.resume(run.pk, actor="t").status == "pending"


@pytest.mark.django_db
def test_request_cancel__not_begun__cancelled_at_once() -> None:
    run = JobRun.objects.create(kind="k", slot="s", created_at=NOW)
    assert services.request_cancel(run.pk, actor="t")
    assert services.start_run(kind="k", slot="s") is None
