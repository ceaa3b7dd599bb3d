"""What an evaluation does when time runs short: refuses, stops, goes on with what it has."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from recommender import alarm
from recommender.engine.assessment import assess
from recommender.engine.budget import Limits, OutOfTimeError, Session
from recommender.engine.formats import READERS
from tests.recommender.test_evaluate_command import chains

MODELS = ["popularity", "transitions"]


class Clocks:
    """Seconds of work and of the wall, set by hand."""

    def __init__(self) -> None:
        self.work, self.wall = 0.0, 0.0


def test_left__wall_twice_as_fast_as_work__what_can_be_done_in_it() -> None:
    clocks = Clocks()
    limits = Limits(seconds=720, wall_s=1080)
    session = Session(1, 1, lambda: clocks.work, print, limits=limits, wall=lambda: clocks.wall)
    clocks.work, clocks.wall = 300.0, 600.0

    assert session.wall_left_s() == 480
    assert session.left_s() == 240
    assert session.choosing_left_s() == pytest.approx(156)


def test_left__machine_of_its_own__the_budget_of_work() -> None:
    clocks = Clocks()
    limits = Limits(seconds=720, wall_s=1080)
    session = Session(1, 1, lambda: clocks.work, print, limits=limits, wall=lambda: clocks.wall)
    clocks.work = clocks.wall = 500.0

    assert session.left_s() == 220


def assessed(*stopped: int) -> dict[str, Any]:
    """Evaluate two models where these steps (of setting up and refitting, from 0) are stopped."""
    count = iter(range(99))

    @contextmanager
    def stopping(_seconds: float) -> Iterator[None]:
        if next(count) in stopped:
            raise OutOfTimeError
        yield

    given = READERS["leave-one-out"](iter(chains(60).splitlines()), None)
    session = Session(
        len(given.users), len(given.items), lambda: 0.0, lambda _: None, stopping=stopping
    )
    return assess("leave-one-out", given, session, names=MODELS)


def test_choice__clock_runs_out_in_a_model__left_out_and_told() -> None:
    found = assessed(1)

    assert [one for one in found["models"] if "refused" in one] == [
        {"model": "transitions", "refused": "the clock ran out before it was set up"}
    ]
    assert found["chosen"]["model"] == "popularity"


def test_choice__clock_runs_out_in_all__says_so() -> None:
    with pytest.raises(ValueError, match="no model is left: popularity: the clock ran out"):
        assessed(0, 1)


def test_refit__clock_runs_out_in_a_source__the_rest_of_the_blend_is_shown() -> None:
    whole = assessed()
    assert [name for name, _ in whole["chosen"]["config"]["sources"]] == MODELS[::-1]

    for stopped, left in ((2, 3), (3, 2)):
        found = assessed(stopped)
        shown = [name for name, _ in found["chosen"]["config"]["sources"]]
        absent = [one["model"] for one in found["models"] if one["metrics"] is None]
        assert len(shown) == 1, left
        assert found["chosen"]["model"] == shown[0]
        assert sorted(shown + absent) == MODELS


def test_refit__clock_runs_out_in_all_sources__says_so() -> None:
    with pytest.raises(ValueError, match="no time to fit popularity, transitions again"):
        assessed(2, 3)


def run_for_ever(*seconds: float) -> None:
    """Run in blocks of so many seconds, the first around the others."""
    with ExitStack() as blocks:
        for one in seconds:
            blocks.enter_context(alarm.stopping(one))
        while True:
            pass


def test_alarm__time_is_over__block_is_stopped_and_nothing_rings_after() -> None:
    with pytest.raises(OutOfTimeError):
        run_for_ever(0.01)

    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_alarm__inner_block_over__outer_goes_on() -> None:
    with alarm.stopping(600):
        with pytest.raises(OutOfTimeError):
            run_for_ever(0.01)
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 600
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_alarm__outer_is_earlier__ends_the_inner_too() -> None:
    with pytest.raises(OutOfTimeError):
        run_for_ever(0.01, 600)


def test_alarm__nothing_left__not_begun() -> None:
    with pytest.raises(OutOfTimeError), alarm.stopping(0):
        pytest.fail("begun")


def test_command__no_time_at_all__says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("u a b c\n")

    with pytest.raises(CommandError, match="no result after 0 minutes: give it more --minutes"):
        call_command("evaluate", train=path, format="leave-one-out", minutes=0.0, stderr=StringIO())
