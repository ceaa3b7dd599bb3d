"""Turns of those that write the same thing at once, where there may be no row yet to lock."""

from django.db import connection


def hold(table: str, key: str) -> None:
    """Have others that hold the same wait until this transaction ends, then see what it wrote.

    Take it before you look whether the row is there: two that both find nothing would both insert.
    """
    with connection.cursor() as cursor:
        # of 32 bits: two keys that share one wait for each other, which harms nobody
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"{table} {key}"])
