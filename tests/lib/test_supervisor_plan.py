"""How long a program waits before it is started again."""

from personalization.lib.supervisor.plan import delay_s, failures_after


def test_delay__first_start__none() -> None:
    assert delay_s(0) == 0


def test_delay__many_failures__bounded_and_never_ends() -> None:
    delays = [delay_s(n) for n in range(1, 2_000)]

    assert delays == sorted(delays)
    assert delays[-1] == max(delays) == 5.0


def test_failures__ran_well_before__counted_from_one() -> None:
    assert failures_after(7, ran_s=60) == 1
    assert failures_after(7, ran_s=1) == 8
