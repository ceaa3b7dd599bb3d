"""Log lines hold no values of customers, whatever PostgreSQL quotes in its errors."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.db import DatabaseError, connection, transaction

from personalization.lib import faults, logs

SECRET = "jane@example.com"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a handler with the project's own processors writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=logs._SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def _fail(statement: str, values: list[Any]) -> DatabaseError:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE told (mail text UNIQUE, age int NOT NULL)")
            cursor.execute("INSERT INTO told VALUES (%s, 1)", [SECRET])
            cursor.execute(statement, values)
    except DatabaseError as error:
        return error
    raise AssertionError(statement)


_FAILURES = [
    ("INSERT INTO told VALUES (%s, 1)", [SECRET], "23505", "told_mail_key"),
    ("INSERT INTO told VALUES (%s || '2', NULL)", [SECRET], "23502", '"age"'),
    ("SELECT %s::int", [SECRET], "22P02", "invalid input syntax"),
    ("SELECT 1 FROM nowhere WHERE 1 = %s", [1], "42P01", '"nowhere"'),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("statement", "values", "code", "told"), _FAILURES)
def test_exception__of_the_database__type_and_state_without_values(
    lines: io.StringIO, statement: str, values: list[Any], code: str, told: str
) -> None:
    error = _fail(statement, values)

    logging.getLogger("tests.logs").error("it broke", exc_info=error)

    entry = json.loads(lines.getvalue())
    assert SECRET not in lines.getvalue()
    assert "DETAIL" not in entry["exception"]
    assert code in entry["exception"]
    assert told in entry["exception"]
    assert "in _fail" in entry["exception"]
    assert faults.words(error).startswith(f"{type(error).__name__} {code}: ")


@pytest.mark.django_db
def test_message__with_an_error_in_it__rows_cut_off(lines: io.StringIO) -> None:
    error = _fail("INSERT INTO told VALUES (%s, 1)", [SECRET])

    logging.getLogger("tests.logs").error("task failed: %r", error)
    logging.getLogger("tests.logs").error("task failed: %s", error)

    assert SECRET not in lines.getvalue()
    assert lines.getvalue().count("task failed") == 2


def test_exception__not_of_the_database__whole_chain(lines: io.StringIO) -> None:
    try:
        try:
            int("x")
        except ValueError as error:
            msg = "outer"
            raise RuntimeError(msg) from error
    except RuntimeError:
        logging.getLogger("tests.logs").exception("it broke")

    told = json.loads(lines.getvalue())["exception"]
    assert told.index("ValueError") < told.index("direct cause") < told.index("RuntimeError: outer")


def test_words__an_error_of_ours__its_type_alone() -> None:
    assert faults.words(KeyError(SECRET)) == "KeyError"
