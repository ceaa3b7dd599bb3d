"""What belongs to an event happens with it or not at all; one alias of many fails alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from structlog.testing import capture_logs

from personalization.consent.selectors import Resolved, resolved
from personalization.customers.engine.ids import MAX_IDENTITIES
from personalization.customers.models import Customer, Identity, Merge
from personalization.customers.services import create_identities
from personalization.events import logins
from personalization.events.attribution import ANONYMOUS, USER, Known
from personalization.events.engine.outliers import _MAX_PICTURES, Pictures
from personalization.events.models import Event, RejectedEvent
from tests.atonce import at_once, giving_way
from tests.events.calls import counts, post, viewed

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


@contextmanager
def _refusing(table: str) -> Iterator[None]:
    """Writes into the table fail, as they do when the process dies before them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION tests_refuse() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER tests_refuse BEFORE INSERT ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION tests_refuse()"
        )
        yield
        cursor.execute(f"DROP TRIGGER tests_refuse ON {table}")


def _alias(previous: str, user: str, message_id: str) -> dict[str, str]:
    return {"type": "alias", "previousId": previous, "userId": user, "messageId": message_id}


def test_alias__fails_after_its_event__retry_merges(server: Client) -> None:
    create_identities([(USER, "old"), (USER, "new")], now=NOW)
    call = _alias("old", "new", "al")
    with _refusing("customers_merge"), pytest.raises(DatabaseError):
        post(server, "alias", call)
    assert not Event.objects.exists()

    answer = post(server, "alias", call)

    assert counts(answer) == (1, 0, 0, 0)
    assert Merge.objects.count() == 1


def test_late_refusal__cannot_be_kept__no_event_either(browser: Client) -> None:
    create_identities([(ANONYMOUS, "a1")], now=NOW)
    bad = viewed("m2", event="Decision Exposed", properties={"token": "forged"})
    call = {"batch": [viewed("m1"), bad]}
    with _refusing("events_rejected"), pytest.raises(DatabaseError):
        post(browser, "batch", call)
    assert not Event.objects.exists()

    assert counts(post(browser, "batch", call)) == (1, 0, 0, 1)
    assert RejectedEvent.objects.count() == 1


def test_alias__refused__kept_and_the_others_go_on(server: Client) -> None:
    create_identities([(USER, "old"), (USER, "new"), (USER, "full"), (USER, "gone")], now=NOW)
    full = Identity.objects.get(value="full").customer
    Identity.objects.bulk_create(
        Identity(kind=ANONYMOUS, value=f"d{n}", customer=full, origin=full, created_at=NOW)
        for n in range(MAX_IDENTITIES)
    )
    gone = Identity.objects.get(value="gone").customer
    Customer.objects.filter(pk=gone.pk).update(merged_into=full)

    with capture_logs() as lines:
        answer = post(
            server,
            "batch",
            {
                "batch": [
                    _alias("full", "new", "a1"),
                    _alias("gone", "new", "a2"),
                    _alias("old", "new", "a3"),
                ]
            },
        )

    assert counts(answer) == (3, 0, 0, 0)
    assert Merge.objects.get().source_id == Identity.objects.get(value="old").origin_id
    refused = [line for line in lines if line["event"] == "alias.refused"]
    assert [line["code"] for line in refused] == ["merge_refused", "merge_conflict"]
    assert all(type(one) is int for line in refused for one in line["identities"])
    assert "full" not in str(refused)


def test_apart__refusal_is_over__asked_again() -> None:
    create_identities([(USER, "u"), (ANONYMOUS, "d")], now=NOW)
    known = resolved([(USER, "u"), (ANONYMOUS, "d")])
    logins._remember_refusal("u", "d", known, NOW)

    assert not logins.apart("u", "d", known, NOW)
    assert logins.apart("u", "d", known, NOW + timedelta(hours=1))


def _two_people(number: int) -> Known:
    return {
        (USER, "u"): Resolved(number, number, "", 0, 0),
        (ANONYMOUS, "d"): Resolved(-number, -number, "", 0, 0),
    }


def test_refusals__remembered_by_many_threads__each_holds_for_its_time() -> None:
    def remember(first: int) -> None:
        for number in range(first, first + 400):
            logins._remember_refusal("u", "d", _two_people(number), NOW)

    with giving_way():
        at_once(*(partial(remember, 1 + 400 * worker) for worker in range(8)))

    known = [_two_people(number) for number in range(1, 3201)]
    assert not any(logins.apart("u", "d", one, NOW) for one in known)
    assert all(logins.apart("u", "d", one, NOW + timedelta(minutes=1)) for one in known)


def test_refusals__more_than_are_kept__the_oldest_are_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logins, "_MOST_REFUSED", 3)

    for number in (1, 2, 3, 4):
        logins._remember_refusal("u", "d", _two_people(number), NOW)

    told = [logins.apart("u", "d", _two_people(number), NOW) for number in (1, 2, 3, 4)]
    assert told == [True, False, False, False]


def test_pictures__made_by_many_threads__no_more_than_are_kept() -> None:
    pictures = Pictures()

    def see(worker: int) -> None:
        for n in range(400):
            pictures.outlying(f"{worker} {n}", {"price": 1, "value": 2, "total": 3})

    with giving_way():
        at_once(*(partial(see, worker) for worker in range(8)))

    assert len(pictures._known) == _MAX_PICTURES
