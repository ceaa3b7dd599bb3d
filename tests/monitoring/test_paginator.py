"""Lists of millions of rows: exact when short, PostgreSQL's own numbers when long."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from personalization.lib import admin as ours
from personalization.lib.admin import EstimatedCountPaginator
from personalization.monitoring.models import MinuteStat

pytestmark = pytest.mark.django_db


def rows(number: int) -> None:
    """Write rows and have PostgreSQL look at them, as autovacuum does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_minutestat (minute, name, value, updated_at)"
            " SELECT timestamptz '2026-01-01' + n * interval '1 minute',"
            " CASE WHEN n %% 2 = 0 THEN 'even' ELSE 'odd' END, n, now()"
            " FROM generate_series(1, %s) n",
            [number],
        )
        cursor.execute("ANALYZE monitoring_minutestat")


def paginator(per_page: int = 100, **filters: object) -> EstimatedCountPaginator:
    return EstimatedCountPaginator(MinuteStat.objects.filter(**filters).order_by("pk"), per_page)


def test_count__few_rows__is_exact() -> None:
    rows(250)

    found = paginator()

    assert (found.count, found.num_pages, found.estimated) == (250, 3, False)


def test_count__more_than_the_limit__is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "COUNT_LIMIT", 100)
    rows(400)

    found = paginator()

    assert (found.count, found.estimated) == (400, True)


def test_count__filter_on_many_rows__is_the_planners_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "COUNT_LIMIT", 100)
    rows(1_000)

    found = paginator(name="even")

    assert 400 <= found.count <= 600
    assert found.estimated


def test_count__too_slow_to_count__gives_up_and_restores_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows(10)
    slow = MinuteStat.objects.extra(where=["pg_sleep(0.05) IS NOT NULL"])
    monkeypatch.setattr(ours, "COUNT_TIMEOUT_MS", 20)

    found = EstimatedCountPaginator(slow.order_by("pk"), 100)

    assert found.count >= 0
    assert found.estimated
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] != "20ms"


def test_pages__very_many__end_at_the_deepest_one_that_is_fast() -> None:
    rows(1_000)

    assert paginator(per_page=2).num_pages == ours.MAX_PAGES


def test_count__long_table__never_reads_it_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "COUNT_LIMIT", 100)
    rows(400)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert paginator().count == 400

    counts = [one["sql"] for one in queries.captured_queries if "COUNT(" in one["sql"].upper()]
    assert all("LIMIT 101" in sql for sql in counts)


def test_count__a_list_instead_of_rows__is_its_length() -> None:
    assert EstimatedCountPaginator([1, 2, 3], 2).num_pages == 2
