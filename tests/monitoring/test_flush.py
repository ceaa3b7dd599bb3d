"""Counts reach PostgreSQL once, summed, and whole after a failed write."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection

from personalization.lib import clock, metrics
from personalization.monitoring import selectors, services
from personalization.monitoring.models import MinuteStat
from recommender.models import ModelVersion

NOW = datetime(2026, 3, 1, 12, 30, 20, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _from_here() -> None:
    services.start_from_here()


def value(name: str) -> float | None:
    return MinuteStat.objects.filter(name=name).values_list("value", flat=True).first()


def test_flush__counted_twice__adds_to_the_minute() -> None:
    with clock.frozen(NOW):
        metrics.EVENTS_ACCEPTED.inc(3)
        services.flush()
        metrics.EVENTS_ACCEPTED.inc(4)
        services.flush()

    assert value("events_accepted") == 7


def test_flush__nothing_counted__writes_nothing() -> None:
    with clock.frozen(NOW):
        services.flush()

    assert MinuteStat.objects.count() == 0


def test_flush__write_fails__is_made_up_for() -> None:
    metrics.EVENTS_REJECTED.inc(2)

    def fail(*_args: object) -> None:
        raise DatabaseError("away")

    with clock.frozen(NOW):
        with connection.execute_wrapper(fail), pytest.raises(DatabaseError):
            services.flush()
        services.flush()

    assert value("events_rejected") == 2


def test_flush__decisions__keep_their_buckets() -> None:
    metrics.DECISION_SECONDS.labels(stage="total").observe(0.004)
    metrics.DECISION_SECONDS.labels(stage="profile").observe(0.9)
    with clock.frozen(NOW):
        services.flush()
        figure = selectors.system_figures(NOW)[1]

    assert value(f"{services.BUCKET_PREFIX}0.004") == 1
    assert value(f"{services.BUCKET_PREFIX}0.003") is None
    assert (figure.value, figure.tone) == ("3.5 / 4", "good")


@pytest.mark.parametrize(
    ("fast", "slower", "slow", "tone", "state"),
    [
        (31, 1, 0, "", "too few to judge"),
        (60, 9, 9, "warn", "over 25 ms"),
        (0, 0, 9, "", "too few to judge"),
        (0, 0, 10, "bad", "over 50 ms"),
        (20, 10, 0, "warn", "over 25 ms"),
        (900, 10, 20, "bad", "over 50 ms"),
        (2_000, 10, 9, "good", "within 25 ms"),
    ],
)
def test_latency__slow_ones__judged_where_there_are_enough(
    fast: int, slower: int, slow: int, tone: str, state: str
) -> None:
    for count, seconds in ((fast, 0.001), (slower, 0.03), (slow, 0.2)):
        for _ in range(count):
            metrics.DECISION_SECONDS.labels("total").observe(seconds)
    with clock.frozen(NOW):
        services.flush()
        figure = selectors.system_figures(NOW)[1]

    assert (figure.tone, figure.state) == (tone, state)


def test_flush_lag__reported_twice__keeps_the_last() -> None:
    with clock.frozen(NOW):
        metrics.PROCESS_LAG_S.set(40)
        services.flush_lag()
        metrics.PROCESS_LAG_S.set(0.5)
        services.flush_lag()
        figure = selectors.system_figures(NOW)[2]

    assert (figure.value, figure.unit, figure.state) == ("500", "ms", "within 1 s")


def test_lag__processor_silent__says_so_with_the_old_time() -> None:
    with clock.frozen(NOW):
        metrics.PROCESS_LAG_S.set(0.5)
        services.flush_lag()

    figure = selectors.system_figures(NOW + timedelta(minutes=2))[2]

    assert (figure.state, figure.as_of) == ("processor silent", NOW)


@pytest.mark.parametrize(
    ("made", "degraded", "tone", "state"),
    [(8, 1, "", ""), (1_000, 5, "good", ""), (1_000, 50, "warn", "some degraded"),
     (1_000, 200, "bad", "many degraded")],
)  # fmt: skip
def test_decisions__degraded_ones__judged_where_there_are_enough(
    made: int, degraded: int, tone: str, state: str
) -> None:
    for name, count in {"decisions": made, "decisions_degraded": degraded}.items():
        minute = NOW.replace(second=0)
        MinuteStat.objects.create(minute=minute, name=name, value=count, updated_at=NOW)

    figure = selectors.system_figures(NOW)[4]

    assert (figure.tone, figure.state) == (tone, state)


def test_figures__empty_system__name_what_is_missing() -> None:
    figures = {figure.title: figure for figure in selectors.system_figures(NOW)}

    assert figures["Processing lag"].value == "—"
    latency = figures["Decision time, p50 / p99"]
    assert (latency.value, latency.unit, latency.state) == ("—", "", "")
    assert figures["Rejected share"].value == "—"
    assert figures["Model age"].state == "none live"
    assert all(figure.docs.startswith("metrics#") for figure in figures.values())


def test_figures__events_of_an_hour__rate_of_five_minutes_and_share_of_all() -> None:
    this = NOW.replace(second=0)
    # long ago, half an hour ago, now
    for back, accepted, rejected in ((61, 1_000, 1_000), (30, 900, 50), (1, 50, 0)):
        for name, value in (("events_accepted", accepted), ("events_rejected", rejected)):
            minute = this - timedelta(minutes=back)
            MinuteStat.objects.create(minute=minute, name=name, value=value, updated_at=NOW)

    figures = {figure.title: figure for figure in selectors.system_figures(NOW)}

    assert figures["Events per minute"].value == "10"
    rejected_share = figures["Rejected share"]
    assert (rejected_share.value, rejected_share.unit) == ("5", "%")
    assert rejected_share.state == "over 1 %"


@pytest.mark.parametrize(
    ("accepted", "rejected", "state"),
    [(2, 1, "too few to judge"), (91, 9, "too few to judge"), (90, 10, "over 5 %"),
     (900, 9, "below 1 %")],
)  # fmt: skip
def test_figures__few_rejected__no_alarm(accepted: int, rejected: int, state: str) -> None:
    for name, value in (("events_accepted", accepted), ("events_rejected", rejected)):
        MinuteStat.objects.create(
            minute=NOW.replace(second=0), name=name, value=value, updated_at=NOW
        )

    figures = {figure.title: figure for figure in selectors.system_figures(NOW)}

    assert figures["Rejected share"].state == state


@pytest.mark.parametrize(("days", "state"), [(1, "fresh"), (3, "over 2 days"), (8, "over 7 days")])
def test_figures__live_models__age_of_the_oldest(days: int, state: str) -> None:
    for number, (status, age) in enumerate((("live", 0), ("live", days), ("retired", 30)), 1):
        ModelVersion.objects.create(
            algorithm=f"model_{number}",
            number=number,
            status=status,
            manifest={},
            created_at=NOW - timedelta(days=age),
        )

    figure = next(one for one in selectors.system_figures(NOW) if one.title == "Model age")

    assert (figure.state, figure.note) == (state, "oldest of 2 live models")
    assert (figure.value, figure.unit) == (str(days), "d")


def test_figures__whole_overview__take_five_queries(django_assert_num_queries: object) -> None:
    with django_assert_num_queries(5):  # type: ignore[operator]  # pytest-django's own fixture
        selectors.system_figures(NOW)


def test_drop_old_minutes__past_retention__goes_and_the_rest_stays(settings: object) -> None:
    for days in (1, 40):
        at = NOW - timedelta(days=days)
        MinuteStat.objects.create(minute=at, name="decisions", value=1, updated_at=at)

    assert services.drop_old_minutes(now=NOW) == 1
    assert MinuteStat.objects.count() == 1
