"""From the log to profiles: once each, whoever works and whatever happens in between."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from personalization.customers import services
from personalization.customers.models import Customer, Merge, Profile, ProfileDirty, RebuildDue
from personalization.events import epoch
from personalization.events.engine import flags
from personalization.events.engine.facts import Fact
from personalization.events.models import Watermark
from personalization.events.processor import bulk, folding, loop, positions, replaying
from personalization.events.processor.reading import Position
from personalization.lib.registries import Projection, projections
from personalization.lib.stop import Stop
from tests.events.processor.drawn import (
    WHOLE,
    Drawn,
    events,
    everything,
    forget_all,
    log_in,
    log_ins,
    write,
)
from tests.events.processor.log import DEVICE, NOW, USER, profile_of, put
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def process() -> None:
    loop.Processor().drain()


def other_connection() -> Any:
    """A second session of the test's database, for transactions that stay open."""
    assert not is_psycopg3
    return connection.get_new_connection(connection.get_connection_params())


def test_process__events_of_one_customer__profile_version_and_document() -> None:
    put("m1", product_id="sku1", context={"country": "DE", "device": {"type": "mobile"}})
    put("m2", "Product Added", minute=5, product_id="sku1")
    put(
        "m3",
        "Order Completed",
        minute=50,
        order_id="o1",
        revenue=12.5,
        products=[{"product_id": "sku1"}],
    )
    put("m4", "Identified", minute=50, traits={"tier": "gold"})

    process()

    found = profile_of(DEVICE, "a1")
    assert (found.events, found.sessions, found.orders, found.revenue_minor) == (4, 2, 1, 1250)
    assert (found.country, found.device_type, found.traits) == ("DE", "mobile", {"tier": "gold"})
    assert found.first_seen_at == NOW
    assert found.last_order_at == NOW + timedelta(minutes=50)
    assert Customer.objects.get().version == 2
    assert not ProfileDirty.objects.exists()


def test_process__twice__counts_once() -> None:
    put("m1", product_id="sku1")
    process()
    put("m2", product_id="sku1")
    process()
    process()

    assert profile_of(DEVICE, "a1").events == 2


def test_process__bots_and_no_consent__nothing_written() -> None:
    put("m1", product_id="sku1", flags=flags.BOT)
    put("m2", product_id="sku1", purposes=1)

    process()

    assert not Profile.objects.exists()
    assert Customer.objects.get().version == 1


def test_process__consent_withdrawn_before_it_was_processed__nothing_folded() -> None:
    put("m1", product_id="sku1")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO consent_consentstate (customer_id, granted, denied, updated_at) "
            "VALUES (%s, 0, 2, now())",
            [Customer.objects.get().pk],
        )

    process()

    assert not Profile.objects.exists()


def test_rebuild__consent_withdrawn_later__profile_emptied() -> None:
    put("m1", product_id="sku1", traits={"tier": "gold"})
    process()
    customer = Customer.objects.get()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO consent_consentstate (customer_id, granted, denied, updated_at) "
            "VALUES (%s, 0, 2, now())",
            [customer.pk],
        )
    services.touch([customer.pk], now=NOW, rebuild="consent")

    process()

    found = profile_of(DEVICE, "a1")
    assert (found.events, found.traits, found.first_seen_at) == (0, {}, None)
    assert not RebuildDue.objects.exists()


def test_process__log_in_and_undoing__aggregates_as_if_folded_at_once() -> None:
    put("m1", product_id="sku1")
    put("m2", who=(USER, "u1"), product_id="sku2")
    process()
    services.log_in(user="u1", device="a1", now=NOW)
    put("m3", product_id="sku3")
    process()
    assert profile_of(USER, "u1").events == 3

    services.unmerge(Merge.objects.get().pk, actor="s", now=NOW)
    process()

    assert profile_of(USER, "u1").events == 1
    assert profile_of(DEVICE, "a1").events == 2


def test_process__two_users_on_one_device__each_has_their_own() -> None:
    put("m1", product_id="sku1")
    put("m2", who=(USER, "u1"), product_id="sku1")
    put("m3", who=(USER, "u2"), product_id="sku1")
    services.log_in(user="u1", device="a1", now=NOW)
    services.log_in(user="u2", device="a1", now=NOW)
    put("m4", product_id="sku1")

    process()

    assert profile_of(USER, "u1").events == 2
    assert profile_of(USER, "u2").events == 2


def test_reading__a_slow_transaction_with_lower_numbers__no_row_is_skipped() -> None:
    put("m0", product_id="sku0")
    process()
    slow = other_connection()
    try:
        slow.autocommit = False
        put("slow", product_id="slow", cursor=slow.cursor())
        put("quick", product_id="quick")
        with connection.cursor() as cursor:  # what a reader by `seq` would have seen and passed
            cursor.execute("SELECT max(seq) FROM events_event")
            passed = cursor.fetchone()[0]
        process()
        waiting = profile_of(DEVICE, "a1").events
        slow.commit()
    finally:
        slow.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_event WHERE seq > %s", [passed])
        by_sequence = cursor.fetchone()[0]

    process()

    assert waiting == 1
    assert by_sequence == 0  # the slow row would never be read
    assert profile_of(DEVICE, "a1").events == 3


def test_epoch__another_cluster__goes_on_after_the_restore() -> None:
    put("m1", product_id="sku1")
    process()
    with connection.cursor() as cursor:  # as a dump from a cluster that was further would look
        cursor.execute("UPDATE events_logepoch SET system_identifier = 'another'")
        cursor.execute("UPDATE events_event SET xid = '900000000'::xid8")
        cursor.execute("UPDATE events_watermark SET xid = 900000000 WHERE xid > 0")
        cursor.execute("SELECT epoch FROM events_logepoch")
        before = cursor.fetchone()[0]
    epoch.ensure()
    put("m2", product_id="sku2")

    process()

    assert epoch.horizon().epoch == before + 1
    assert profile_of(DEVICE, "a1").events == 2


def test_process__two_processors_at_once__nothing_twice_nothing_lost() -> None:
    for n in range(300):
        put(f"m{n}", who=(DEVICE, f"a{n % 20}"), minute=n, product_id=f"sku{n % 7}")
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(200):
                batch = folding.fold_next(owner="", limit=2, now=NOW)
                if not batch.rows and not positions_behind():
                    break
        except Exception as error:  # noqa: BLE001 -- reported below
            errors.append(error)
        finally:
            connection.close()

    positions.ensure(["profile"])
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process()

    assert not errors
    assert [p.events for p in Profile.objects.all()] == [15] * 20


def positions_behind() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM events_event e JOIN events_watermark w "
            "ON w.shard = e.shard "
            "WHERE (e.epoch, e.xid::text::bigint, e.seq) > (w.epoch, w.xid, w.seq))"
        )
        return bool(cursor.fetchone()[0])


def test_lease__two_processors__halves_and_takeover_after_expiry() -> None:
    positions.ensure(["profile"])
    assert positions.lease("profile", owner="one", processors=1, now=NOW) == 64
    assert positions.lease("profile", owner="two", processors=2, now=NOW) == 0
    assert positions.lease("profile", owner="one", processors=2, now=NOW) == 32
    assert positions.lease("profile", owner="two", processors=2, now=NOW) == 32

    later = NOW + positions.LEASE + timedelta(seconds=1)
    assert positions.lease("profile", owner="two", processors=1, now=later) == 64
    with transaction.atomic():
        assert positions.lock("profile", owner="one") == {}
    positions.release("profile", owner="two")
    assert not Watermark.objects.exclude(leased_by="").exists()


def test_watermark__moved_to_an_older_place__stays() -> None:
    positions.ensure(["profile"])
    positions.move("profile", {3: Position(1, 50, 9)}, now=NOW)
    positions.move("profile", {3: Position(1, 40, 99)}, now=NOW)

    assert positions.read("profile")[3] == (1, 50, 9)


@pytest.mark.parametrize("window", [1, 2, 2000])
def test_bulk__a_backlog__same_as_live_and_the_live_fold_goes_on(
    window: int, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """In one lane, and in two that share many windows."""
    monkeypatch.setattr(bulk, "_WINDOW", window)
    settings.PROCESSOR_LANES = 2
    for n in range(60):
        put(f"m{n}", who=(DEVICE, f"a{n % 5}"), minute=n * 7, product_id=f"sku{n % 7}")
    seen: list[tuple[int, int]] = []

    assert bulk.run(lambda done, total: seen.append((done, total))) == 60
    bulked = sorted(Profile.objects.values_list("events", "sessions", "customer_id"))
    put("late", who=(DEVICE, "a0"), minute=1)
    process()

    assert seen[-1] == (5, 5)
    assert [events for events, _, _ in bulked] == [12] * 5
    assert profile_of(DEVICE, "a0").events == 13


def test_bulk__killed_before_the_watermarks_moved__nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for n in range(20):
        put(f"m{n}", who=(DEVICE, f"a{n % 4}"), minute=n)
    monkeypatch.setattr(bulk, "_move_up", lambda _horizon: None)
    bulk.run()

    process()

    assert [p.events for p in Profile.objects.all()] == [5] * 4


_replayed = given(
    first=st.lists(st.lists(events, min_size=10, max_size=15), min_size=2, max_size=3),
    unread=st.lists(events, max_size=6),
    who=st.lists(log_ins, max_size=2),
)


@_replayed
@hypothesis_settings(WHOLE, max_examples=10)
def test_replay__after_live_processing__the_same_profiles_and_watermarks_stay(
    first: list[list[Drawn]], unread: list[Drawn], who: list[tuple[int, int]]
) -> None:
    _replay_is_live(first, unread, who)


@pytest.mark.deep
@_replayed
@hypothesis_settings(WHOLE, max_examples=200)
def test_replay__many_times__the_same_profiles_and_watermarks_stay(
    first: list[list[Drawn]], unread: list[Drawn], who: list[tuple[int, int]]
) -> None:
    _replay_is_live(first, unread, who)


def _replay_is_live(
    first: list[list[Drawn]], unread: list[Drawn], who: list[tuple[int, int]]
) -> None:
    """Spoil all profiles and replay: what was folded live is there again, and what was unread."""
    forget_all()
    positions.ensure(["profile"])
    for number, batch in enumerate(first):
        write(batch, prefix=f"first{number}-")
        for one in who:
            log_in(one)
        process()
    live, marks = everything(), positions.read("profile")

    _spoil()
    call_command("replay", "--group", "profile", verbosity=0)
    again = everything()
    write(unread, prefix="unread")
    _spoil()
    call_command("replay", "--group", "profile", verbosity=0)
    replayed, untouched = everything(), positions.read("profile")
    process()
    gone_on = everything()

    assert again == live
    assert untouched == marks
    assert gone_on == replayed
    rows = [one for batch in [*first, unread] for one in batch]
    folded = [one for one in rows if not {"purposes", "flags"} & one.keys()]
    assert sum(one.get("events", 0) for one in gone_on.values()) == len(folded)


def _spoil() -> None:
    spoilt = '{"n": 999, "f": 1, "l": 1, "k": {}, "r": {}}'
    Profile.objects.update(events=999, country="XX", traits={"x": 1}, state=spoilt)


def test_replay__beside_another__refused() -> None:
    session = other_connection()
    try:
        session.cursor().execute("SELECT pg_advisory_lock(%s)", [replaying._LOCK])
        with pytest.raises(replaying.ReplayRunning):
            replaying.replay()
    finally:
        session.close()


def test_insight__its_projection_fails__profiles_go_on_and_it_catches_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    broken = [True]

    def fold(facts: Sequence[Fact], _now: datetime) -> None:
        if broken:
            raise ValueError("a bug of a projection")
        seen.extend(fact.message_id for fact in facts)

    monkeypatch.setitem(projections._entries, "probe", Projection("insight", fold))
    put("m1", product_id="sku1")
    process()
    assert profile_of(DEVICE, "a1").events == 1
    assert seen == []

    broken.clear()
    process()
    process()

    assert seen == ["m1"]


def test_rebuild__an_order_older_than_what_is_summed_up__exact_again() -> None:
    for n in range(61 + 5):
        put(f"m{n}", minute=60 * 24 * 2 * (n + 1))
        if n % 22 == 0:
            process()
    process()
    put("late", minute=60 * 24 * 2 * 1 + 10)  # inside the first session, which is closed by now

    process()

    assert profile_of(DEVICE, "a1").sessions == 66
    assert profile_of(DEVICE, "a1").events == 67


def test_run__told_to_stop__gives_its_shards_back() -> None:
    put("m1", product_id="sku1")
    stop = Stop()
    worker = loop.Processor()
    worker.start()
    worker.turn()
    assert Watermark.objects.filter(leased_by=worker.name).count() == 64 * len(worker.groups())
    worker.stop()
    stop.set()
    loop.run(stop)

    assert profile_of(DEVICE, "a1").events == 1
    assert not Watermark.objects.exclude(leased_by="").exists()


def test_run__the_connection_is_cut__goes_on_by_itself() -> None:
    put("m1", product_id="sku1")
    worker = loop.Processor()
    worker.start()
    stop = Stop()

    def serve() -> None:
        try:
            loop.run(stop)
        finally:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        wait_for("fold", lambda: Profile.objects.filter(events=1).exists())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
        put("m2", product_id="sku1")
        wait_for("fold", lambda: Profile.objects.filter(events=2).exists())
    finally:
        stop.set()
        thread.join()
