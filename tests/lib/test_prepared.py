"""Statements that a connection parses once."""

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction

from personalization.lib.prepared import Statement

pytestmark = pytest.mark.django_db(transaction=True)

_SUM = Statement("test_sum", "SELECT $1 + $2, '100%'", ("int", "int"))


def _run(*parameters: object) -> tuple[object, ...]:
    with connection.cursor() as cursor:
        _SUM.run(cursor, parameters)
        row: tuple[object, ...] = cursor.fetchone()
        return row


def _known() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name = 'test_sum'")
        return int(cursor.fetchone()[0])


@transaction.atomic
def _sum_and_fail() -> None:
    _run(1, 2)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1/0")


@pytest.fixture
def pooled() -> Iterator[None]:
    before = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS", False)
    connection.close()
    connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = True
    yield
    connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = before


def test_statement__run_twice__is_prepared_once() -> None:
    assert _run(1, 2) == (3, "100%")
    assert _run(4, 5) == (9, "100%")
    assert _known() == 1


def test_statement__new_connection__is_prepared_again() -> None:
    _run(1, 2)
    connection.close()

    assert _known() == 0
    assert _run(4, 5) == (9, "100%")
    assert _known() == 1


def test_statement__prepared_in_a_transaction_that_fails__still_runs() -> None:
    connection.close()
    with pytest.raises(DatabaseError):
        _sum_and_fail()

    assert _run(4, 5) == (9, "100%")


@pytest.mark.usefixtures("pooled")
def test_statement__connections_lent_by_a_pooler__prepares_nothing() -> None:
    assert _run(1, 2) == (3, "100%")
    assert _known() == 0
