"""One customer whose events cannot be folded is set aside; everybody else goes on."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import ANY

import pytest
from django.contrib.auth.models import User
from django.db import ProgrammingError, connection
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.customers import parking, services
from personalization.customers.models import Identity, Profile, RebuildDue
from personalization.events.processor import bulk, loop, rebuilding, replaying
from personalization.lib import clock
from personalization.lib.stop import Stop
from personalization.monitoring import doctor
from tests.events.processor.log import DEVICE, NOW, profile_of, put
from tests.events.processor.test_processing import process
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

_MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with clock.frozen(NOW + timedelta(hours=1)):
        yield


@pytest.fixture
def _poisoned(db: None) -> Iterator[None]:
    """No profile may hold an order worth 666: the column's own check refuses it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE customers_profile ADD CONSTRAINT tests_poison CHECK (revenue_minor <> 666)"
        )
    yield
    _cure()


def _cure() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE customers_profile DROP CONSTRAINT IF EXISTS tests_poison")


def _customer(value: str) -> int:
    return Identity.objects.get(value=value).customer_id


def _poison(message_id: str = "p1", who: str = "bad") -> None:
    put(message_id, "Order Completed", who=(DEVICE, who), order_id=message_id, revenue=6.66)


def _many() -> None:
    for n in range(9):
        put(f"m{n}", who=(DEVICE, f"a{n}"), product_id="sku1")


def test_process__two_orders_beyond_a_column__everybody_folded() -> None:
    lines = [{"product_id": f"x{n}", "quantity": 10**6, "price": 1e9} for n in range(65)]
    for n in range(2):
        put(f"o{n}", "Order Completed", who=(DEVICE, "bad"), order_id=f"o{n}", products=lines)
    put("m1", product_id="sku1")

    process()

    assert profile_of(DEVICE, "a1").events == 1
    assert profile_of(DEVICE, "bad").orders == 2
    assert not RebuildDue.objects.exists()


@pytest.mark.usefixtures("_poisoned")
def test_process__one_fails__set_aside_with_a_reason_and_the_others_folded() -> None:
    _many()
    put("before", who=(DEVICE, "bad"))
    _poison()
    _poison("p2", "worse")

    process()

    assert Profile.objects.count() == 9
    parked = RebuildDue.objects.order_by("pk")
    assert [row.customer_id for row in parked] == sorted([_customer("bad"), _customer("worse")])
    assert parked[0].error.startswith("IntegrityError 23514: ")
    assert (parked[0].attempts, parked[0].at) == (1, clock.now() + _MINUTE)
    assert "666" not in parked[0].error


@pytest.mark.usefixtures("_poisoned")
def test_process__set_aside__skipped_until_it_can_be_folded_then_exact() -> None:
    _poison()
    process()
    put("later", who=(DEVICE, "bad"))
    put("m1")
    process()
    assert profile_of(DEVICE, "a1").events == 1
    assert RebuildDue.objects.get().attempts == 1
    with clock.frozen(NOW + timedelta(hours=2)):
        process()
        assert RebuildDue.objects.get().attempts == 2
        assert RebuildDue.objects.get().at == clock.now() + 4 * _MINUTE
    _cure()

    with clock.frozen(NOW + timedelta(hours=3)):
        process()

    assert profile_of(DEVICE, "bad").events == 2
    assert not RebuildDue.objects.exists()


@pytest.mark.usefixtures("_poisoned")
def test_rebuild_due__one_fails__the_others_rebuilt() -> None:
    _many()
    process()
    _poison()
    due = [_customer("bad"), *(_customer(f"a{n}") for n in range(9))]
    services.touch(due, now=clock.now(), rebuild="merge")

    rebuilding.rebuild_due(limit=50, now=clock.now())

    assert RebuildDue.objects.get().customer_id == _customer("bad")
    assert Profile.objects.exclude(rebuilt_at=None).count() == 9
    process()
    assert RebuildDue.objects.get().attempts == 1


@pytest.mark.usefixtures("_poisoned")
def test_bulk__one_fails__the_others_folded_and_the_watermarks_moved() -> None:
    _many()
    _poison()

    bulk.run()

    assert Profile.objects.count() == 9
    assert RebuildDue.objects.get().customer_id == _customer("bad")
    process()
    assert RebuildDue.objects.get().attempts == 1


def test_replay__one_fails__keeps_its_profile_and_the_others_are_new() -> None:
    _many()
    _poison()
    process()
    with connection.cursor() as cursor:  # what folds fine today does not in the new generation
        cursor.execute(
            "ALTER TABLE customers_profile ADD CONSTRAINT tests_poison"
            " CHECK (revenue_minor <> 666 OR rebuilt_at IS NULL)"
        )
    try:
        replaying.replay()
    finally:
        _cure()

    assert Profile.objects.count() == 10
    assert Profile.objects.get(rebuilt_at=None).revenue_minor == 666
    assert RebuildDue.objects.get().customer_id == _customer("bad")


def test_replay__one_projection_fails__set_aside_and_the_others_projected() -> None:
    _many()
    put("bad", who=(DEVICE, "bad"), product_id="sku1")
    process()
    bad = _customer("bad")
    with connection.cursor() as cursor:  # what segments remember of one cannot be written
        cursor.execute("DELETE FROM segments_state")
        cursor.execute(
            "ALTER TABLE segments_state ADD CONSTRAINT tests_poison CHECK (customer_id <> %s)",
            [bad],
        )
    try:
        replaying.replay()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE segments_state DROP CONSTRAINT tests_poison")
            cursor.execute("SELECT count(*), bool_or(customer_id = %s) FROM segments_state", [bad])
            projected = cursor.fetchone()

    assert projected == (9, False)
    assert Profile.objects.count() == 10
    parked = RebuildDue.objects.get()
    assert (parked.customer_id, parked.attempts) == (bad, 1)
    with clock.frozen(NOW + timedelta(hours=2)):
        process()
    assert not RebuildDue.objects.exists()


def test_process__the_database_is_wrong__raised_and_nobody_set_aside() -> None:
    put("m1")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE customers_profile RENAME COLUMN region TO elsewhere")
    try:
        with pytest.raises(ProgrammingError):
            process()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE customers_profile RENAME COLUMN elsewhere TO region")
    assert not RebuildDue.objects.exists()

    process()

    assert profile_of(DEVICE, "a1").events == 1


@pytest.mark.usefixtures("_poisoned")
def test_run__a_new_process__tries_those_set_aside_again() -> None:
    _poison()
    process()
    _cure()
    stop = Stop()

    def work() -> None:
        try:
            loop.run(stop)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_for("rebuild", lambda: not RebuildDue.objects.exists())
    finally:
        stop.set()
        thread.join()
    assert profile_of(DEVICE, "bad").orders == 1


def test_park__again_and_again__ever_more_rarely() -> None:
    put("m1")
    pauses = []
    for _ in range(12):
        parking.park({_customer("a1"): "x" * 300}, now=NOW)
        pauses.append((RebuildDue.objects.get().at - NOW) / _MINUTE)
    assert pauses[:5] == [1, 4, 16, 64, 256]
    assert set(pauses[5:]) == {360}
    assert RebuildDue.objects.get().error == "x" * 200


def test_doctor_and_admin__someone_set_aside__both_say_so_and_staff_may_retry() -> None:
    assert not doctor._parked().fix
    put("m1")
    parking.park({_customer("a1"): "DataError 22003: out of range"}, now=NOW)

    finding = doctor._parked()
    assert (finding.check, finding.warning, finding.fix) == ("parked", True, ANY)
    assert "1 customer" in finding.state
    assert "DataError 22003" in finding.state
    staff = Client()
    staff.force_login(User.objects.create_superuser("ada"))
    page = "/admin/customers/rebuilddue/"
    assert "DataError 22003" in staff.get(page).content.decode()
    chosen = {"action": "try_again", "_selected_action": [RebuildDue.objects.get().pk]}
    with clock.frozen(NOW - timedelta(hours=5)):
        staff.post(page, chosen)
        assert AuditEvent.objects.get(action="retry").actor == "ada"
        assert RebuildDue.objects.get().at == clock.now()
