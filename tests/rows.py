"""Rows that migrations make (purposes, groups), put back after a test that emptied the tables.

Django can do it, from JSON and through the models, a third of a second a test; copies beside the
tables take a few milliseconds.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from django.apps import apps
from django.db import connection
from psycopg2.extensions import make_dsn

# Of many partitions and few rows: deleting is quicker than cutting off.
_PARTED_TABLES = ("events_fact", "events_firstseen")


class Kept:
    """What the tables held when the migrations were through."""

    def __init__(self, tables: list[str]) -> None:
        self._address = _address()
        with _cursor(self._address) as cursor:
            cursor.execute("CREATE SCHEMA kept")
            full = [table for table in sorted(tables) if _has_rows(cursor, table)]
            for table in full:
                cursor.execute(f'CREATE TABLE kept."{table}" AS TABLE "{table}"')
        empty = [f"TRUNCATE {table}" for table in _raw_tables()]
        empty += [f"DELETE FROM {table}" for table in _PARTED_TABLES]  # noqa: S608 -- constants
        fill = [
            f'INSERT INTO "{table}" TABLE kept."{table}" ON CONFLICT DO NOTHING' for table in full
        ]
        # Sent as one text they are one transaction, so that foreign keys are asked at its end.
        self._statements = "; ".join([*empty, "SET CONSTRAINTS ALL DEFERRED", *fill])

    def restore(self) -> None:
        """Put the rows back into tables that Django has emptied, and empty those it left."""
        with _cursor(self._address) as cursor:
            cursor.execute(self._statements)


def keep() -> Kept:
    """Keep the rows that the database holds now."""
    # Django, which kept them too, has nothing to bring back.
    vars(connection)["_test_serialized_contents"] = "[]"
    return Kept(connection.introspection.django_table_names(only_existing=True))


@contextmanager
def _cursor(address: str) -> Iterator["psycopg2.extensions.cursor"]:
    """Open a session of its own: a test may cut those that are open."""
    with closing(psycopg2.connect(address)) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            yield cursor


def _address() -> str:
    """Return where the tests' database is, without what only Django's cursors need."""
    params = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    return str(make_dsn(**{name: params[name] for name in names if name in params}))


def _raw_tables() -> set[str]:
    """Return what raw SQL makes: Django's flush after a transactional test does not know it."""
    return {model._meta.db_table for model in apps.get_models() if not model._meta.managed}


def _has_rows(cursor: "psycopg2.extensions.cursor", table: str) -> bool:
    cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}")')  # noqa: S608 -- names of our tables
    row = cursor.fetchone()
    return row is not None and bool(row[0])
