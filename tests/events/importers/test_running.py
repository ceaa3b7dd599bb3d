"""Importing whole files: counts, times, products, resuming after a kill, refusing to double."""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from personalization.catalog.models import Product
from personalization.customers.models import Profile
from personalization.events.importers import running
from personalization.events.importers.running import Order, Report, import_file
from personalization.events.models import Event
from personalization.lib.clock import frozen
from personalization.lib.errors import Conflict, Unprocessable
from personalization.ops.models import JobRun
from tests.events.importers.test_parsers import RETAIL

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Killed(BaseException):
    """Stands for a process that ends between two chunks."""


def quiet(_doing: str, _position: int, _events: int) -> None:
    """Show nothing."""


def ratings(path: Path, count: int) -> Path:
    at = int(NOW.timestamp()) - 60 - count
    lines = "".join(f"u{n % 50}\t{n % 20}\t3\t{at + n}\n" for n in range(count))
    path.write_text("user_id\titem_id\trating\ttimestamp\n" + lines)
    return path


def run(path: Path, key: str = "movielens", **options: Any) -> Report:
    with frozen(NOW):
        return import_file(Order(path, key, **options), progress=quiet)


@pytest.mark.django_db(transaction=True)
def test_import__whole_file__events_and_products_counted(tmp_path: Path) -> None:
    report = run(ratings(tmp_path / "r.tsv", 5_000))

    assert (report.events, report.written, report.duplicates) == (5_000, 5_000, 0)
    assert report.products == 20
    assert Event.objects.count() == 5_000
    assert JobRun.objects.get().status == JobRun.Status.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_import__each_pass__tells_its_progress_to_the_end_of_the_file(tmp_path: Path) -> None:
    path = ratings(tmp_path / "r.tsv", 5_000)
    told: dict[str, list[tuple[int, int]]] = {}

    def show(doing: str, position: int, events: int) -> None:
        told.setdefault(doing, []).append((position, events))

    with frozen(NOW):
        import_file(Order(path, "movielens"), progress=show)

    assert {"checking", "surveying", "importing"} <= set(told)
    for doing, seen in told.items():
        assert seen == sorted(seen), doing
        assert seen[-1][0] == path.stat().st_size, doing
    assert told["importing"][-1][1] == 5_000


@pytest.mark.django_db(transaction=True)
def test_import__same_file_again__does_nothing(tmp_path: Path) -> None:
    path = ratings(tmp_path / "r.tsv", 100)
    run(path)

    again = run(path)

    assert again.known
    assert again.written == 100
    assert Event.objects.count() == 100


@pytest.mark.django_db(transaction=True)
def test_import__killed_between_chunks__goes_on_without_doubling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ratings(tmp_path / "r.tsv", 5_000)
    note, chunks = running._note, []

    def die(*args: Any) -> None:
        note(*args)
        chunks.append(Event.objects.count())
        if len(chunks) == 3:
            raise Killed

    monkeypatch.setattr(running, "_note", die)
    with pytest.raises(Killed):
        run(path)
    monkeypatch.setattr(running, "_note", note)
    before = Event.objects.count()
    report = run(path)

    assert before == 4_000
    assert Event.objects.count() == 5_000
    assert (report.events, report.written, report.duplicates) == (5_000, 5_000, 0)


@pytest.mark.django_db(transaction=True)
def test_import__killed_before_the_checkpoint__duplicates_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ratings(tmp_path / "r.tsv", 5_000)
    note, calls = running._note, []

    def die(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise Killed
        note(*args)

    monkeypatch.setattr(running, "_note", die)
    with pytest.raises(Killed):
        run(path)
    monkeypatch.setattr(running, "_note", note)
    report = run(path)

    assert Event.objects.count() == 5_000
    assert (report.written, report.duplicates) == (3_000, 2_000)


@pytest.mark.django_db(transaction=True)
def test_import__row_left_running_by_a_dead_process__is_taken_over(tmp_path: Path) -> None:
    path = ratings(tmp_path / "r.tsv", 100)
    run(path)
    JobRun.objects.update(status=JobRun.Status.RUNNING, heartbeat_at=NOW)

    report = run(path)

    assert not report.known
    assert Event.objects.count() == 100


@pytest.mark.django_db(transaction=True)
def test_import__held_by_another_process__is_refused(tmp_path: Path) -> None:
    path = ratings(tmp_path / "r.tsv", 10)
    other = connection.copy()
    try:
        run(path)
        JobRun.objects.update(status=JobRun.Status.RUNNING)
        slot = JobRun.objects.get().slot
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_lock(slot)])
        with pytest.raises(Conflict, match="another process"):
            run(path)
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
def test_import__grown_file__keeps_the_shift_and_adds_the_new_lines(tmp_path: Path) -> None:
    path = tmp_path / "old.tsv"
    old = int(datetime(2015, 6, 1, tzinfo=UTC).timestamp())
    head = "user_id\titem_id\trating\ttimestamp\n"
    path.write_text(head + f"u1\t1\t3\t{old}\n")
    first = run(path)
    path.write_text(head + f"u1\t1\t3\t{old}\nu1\t2\t3\t{old + 86_400}\n")

    with frozen(NOW + timedelta(days=30)):
        second = import_file(Order(path, "movielens"), progress=quiet)

    assert (second.written, second.duplicates) == (1, 1)
    assert first.shifted_days == second.shifted_days > 3_000


@pytest.mark.django_db(transaction=True)
def test_import__auto_shift__moves_whole_weeks_into_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    path.write_text(RETAIL)

    report = run(path, "online-retail")

    newest = Event.objects.order_by("-occurred_at")[0].occurred_at
    assert NOW - timedelta(days=7) < newest <= NOW
    assert report.shifted_days % 7 == 0
    assert newest.weekday() == datetime(2010, 12, 1, tzinfo=UTC).weekday()


@pytest.mark.django_db(transaction=True)
def test_import__no_shift__events_beyond_retention_are_faults(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    path.write_text(RETAIL)

    report = run(path, "online-retail", shift="none")

    assert report.written == 0
    assert report.faults["is older than the retention; --shift moves times"] == 3
    assert Event.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_import__shift_too_far__events_of_the_future_are_faults(tmp_path: Path) -> None:
    report = run(ratings(tmp_path / "r.tsv", 10), shift="30")

    assert report.faults["lies in the future"] == 10


@pytest.mark.django_db(transaction=True)
def test_import__shift_that_is_no_number__is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unprocessable, match="--shift"):
        run(ratings(tmp_path / "r.tsv", 10), shift="soon")


@pytest.mark.django_db(transaction=True)
def test_import__known_product__keeps_its_title(tmp_path: Path) -> None:
    Product.objects.create(key="3", title="Ours", created_at=NOW, updated_at=NOW)

    report = run(ratings(tmp_path / "r.tsv", 100))

    assert report.products == 19
    assert Product.objects.get(key="3").title == "Ours"


@pytest.mark.django_db(transaction=True)
def test_import__without_products__leaves_the_catalogue_alone(tmp_path: Path) -> None:
    run(ratings(tmp_path / "r.tsv", 100), products=False)

    assert not Product.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_command__retail_file__profiles_and_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "retail.csv"
    path.write_text(RETAIL)

    call_command("import_events", str(path), "--format", "online-retail")

    told = capsys.readouterr().out
    assert "3 events written" in told
    assert "1 lines not used, each is a stock correction" in told
    assert "lines 7)" in told
    assert Profile.objects.filter(orders=1).count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--map", "a=userID", "--map", "b=timestamp", "--set", "event=X"],
            "no event field is called",
        ),
        (["--map", "a=userId", "--set", "event=X"], "says nothing of timestamp"),
        (["--map", "a=timestamp"], "says nothing of event, userId or anonymousId"),
    ],
)
def test_command__mapping_that_cannot_work__is_refused(
    tmp_path: Path, options: list[str], words: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")

    with pytest.raises(CommandError, match=words):
        call_command("import_events", str(path), "--format", "csv", *options)


@pytest.mark.django_db
def test_command__no_such_file__says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not a file"):
        call_command("import_events", str(tmp_path / "none"), "--format", "csv", "--set", "event=X",
                     "--map", "a=userId", "--map", "b=timestamp")  # fmt: skip


def _lock(slot: str) -> int:
    digest = blake2b(f"import_events/{slot}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
