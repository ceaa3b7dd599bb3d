"""Several processors, any order, a signal: the profiles are those of one processor in peace."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from personalization.customers import services
from personalization.customers.models import Profile
from personalization.events import epoch
from personalization.events.models import Watermark
from personalization.events.processor import bulk, folding, loop, positions, rebuilding
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

KINDS = ("Product Viewed", "Product Added", "Product Removed", "Order Completed", "Page Viewed")
# Far more than any drawn log takes: it ends all the same.
_MOST_TURNS = 400


def fill(numbers: range) -> None:
    for n in numbers:
        put(
            f"m{n}",
            KINDS[n % len(KINDS)],
            who=(DEVICE, f"a{n % 9}"),
            minute=(n * 37) % 400,
            traits={"tier": f"t{n % 3}"} if n % 4 == 0 else None,
            context={"country": ("DE", "FR", "AT")[n % 3]},
            product_id=f"sku{n % 7}",
            order_id=f"o{n}",
            revenue=n,
        )


def rebuilt_from_the_log() -> dict[int, dict[str, Any]]:
    """What one fold of everything makes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT customer_id FROM customers_identity")
        customers = [row[0] for row in cursor.fetchall()]
    rebuilding.rebuild(customers, now=NOW)
    return everything()


def counted() -> int:
    """How many events the profiles have counted."""
    return sum(Profile.objects.values_list("events", flat=True))


_beside = given(
    before=st.lists(events, min_size=15, max_size=25),
    during=st.lists(events, min_size=15, max_size=25),
    who=st.lists(log_ins, max_size=2),
    processors=st.integers(2, 3),
)


@_beside
@hypothesis_settings(WHOLE, max_examples=10)
def test_processors__side_by_side_while_events_come__as_one_at_once(
    before: list[Drawn], during: list[Drawn], who: list[tuple[int, int]], processors: int
) -> None:
    _are_as_one(before, during, who, processors)


@pytest.mark.deep
@_beside
@hypothesis_settings(WHOLE, max_examples=200)
def test_processors__side_by_side_many_times__as_one_at_once(
    before: list[Drawn], during: list[Drawn], who: list[tuple[int, int]], processors: int
) -> None:
    _are_as_one(before, during, who, processors)


def _are_as_one(
    before: list[Drawn], during: list[Drawn], who: list[tuple[int, int]], processors: int
) -> None:
    forget_all()
    write(before, prefix="before")
    epoch.ensure()
    positions.ensure(["profile"])
    all_written = threading.Event()
    errors: list[Exception] = []

    def work() -> None:
        try:
            processor = loop.Processor()
            processor.start()
            for _ in range(_MOST_TURNS):
                if not processor.turn() and all_written.is_set():
                    break
            processor.stop()
        except Exception as error:  # noqa: BLE001 -- reported below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(processors)]
    for thread in threads:
        thread.start()
    for one in who:
        log_in(one)
    write(during, prefix="during")
    for one in who:
        log_in(one)
    all_written.set()
    for thread in threads:
        thread.join()
    loop.Processor().drain()

    found = everything()
    folded = [one for one in [*before, *during] if not {"purposes", "flags"} & one.keys()]
    assert not errors
    assert counted() == len(folded)
    assert found == rebuilt_from_the_log()


def shards() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT shard FROM events_event")
        return sorted(row[0] for row in cursor.fetchall())


@given(st.integers(0, 2**32), st.integers(1, 3))
@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_two_users_on_one_device__shards_in_any_order__each_has_their_own(
    seed: int, limit: int
) -> None:
    forget_all()
    put("m1", product_id="sku1")
    put("m2", who=(USER, "u1"), minute=1, product_id="sku1")
    put("m3", who=(USER, "u2"), minute=2, product_id="sku1")
    services.log_in(user="u1", device="a1", now=NOW)
    put("m4", minute=3, product_id="sku2")
    services.log_in(user="u2", device="a1", now=NOW)
    put("m5", minute=4, product_id="sku3")
    positions.ensure(["profile"])
    order = np.random.default_rng(seed).permutation(shards()).tolist()
    for shard in [*order, *order, *order]:
        Watermark.objects.update(leased_by="")
        Watermark.objects.filter(shard=shard).update(leased_by="one")
        folding.fold_next(owner="one", limit=limit, now=NOW)
    loop.Processor().drain()

    assert profile_of(USER, "u1").events == 3
    assert profile_of(USER, "u2").events == 2
    assert profile_of(DEVICE, "a1") == profile_of(USER, "u2")


def test_bulk__customers_change_between_read_and_fold__read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "_ROWS", 4)
    fill(range(45))
    changed: list[int] = []

    def meanwhile(_done: int, _total: int) -> None:
        if changed:
            return
        changed.append(1)
        put("new", who=(DEVICE, "a8"), minute=500, product_id="sku1")
        put("log-in", who=(USER, "u1"), minute=501, product_id="sku1")
        services.log_in(user="u1", device="a7", now=NOW)
        folding.fold_next(owner="", limit=100, now=NOW)

    bulk.run(meanwhile)
    loop.Processor().drain()

    found = everything()
    assert profile_of(DEVICE, "a8").events == 6
    assert profile_of(USER, "u1").events == 6
    assert found == rebuilt_from_the_log()


def in_transactions() -> set[int]:
    """Sessions that hold a transaction open and do nothing; other tests may have left some."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
        return {row[0] for row in cursor.fetchall()}


def test_bulk__a_lane_fails__the_other_ends_and_the_fault_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "_WINDOW", 1)
    monkeypatch.setattr(settings, "PROCESSOR_LANES", 2)
    fill(range(45))
    fold, calls = bulk._fold_window, itertools.count()

    def failing(customer_ids: Sequence[int]) -> bulk.Done:
        if next(calls) == 1:
            raise OperationalError("away")
        yield from fold(customer_ids)

    with monkeypatch.context() as patched:
        patched.setattr(bulk, "_fold_window", failing)
        with pytest.raises(OperationalError, match="away"):
            bulk.run()
    loop.Processor().drain()

    assert counted() == 45


@pytest.mark.parametrize("window", [2, 2000])
def test_bulk__the_progress_raises__the_session_is_closed_and_the_rest_folds_later(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_WINDOW", window)
    monkeypatch.setattr(settings, "PROCESSOR_LANES", 2)
    monkeypatch.setattr(bulk, "_ROWS", 4)
    fill(range(45))

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    before = in_transactions()
    with pytest.raises(KeyboardInterrupt):
        bulk.run(stop)
    # a session that is closed ends a moment later
    wait_for("end of its sessions", lambda: in_transactions() <= before)
    loop.Processor().drain()

    assert counted() == 45


def test_process__sigterm__ends_cleanly_and_gives_its_shards_back() -> None:
    put("m1", product_id="sku1")
    database = connection.settings_dict
    url = (
        f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}"
        f"&port={database['PORT'] or 5432}"
    )
    process = subprocess.Popen(
        [sys.executable, "manage.py", "process"],
        cwd=settings.BASE_DIR,
        env=os.environ
        | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "personalization.settings"},
    )
    try:
        wait_for("fold", lambda: Profile.objects.filter(events=1).exists(), 120)
        assert Watermark.objects.exclude(leased_by="").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()

    assert profile_of(DEVICE, "a1").events == 1
    assert not Watermark.objects.exclude(leased_by="").exists()
