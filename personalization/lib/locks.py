"""Turns of those that do one thing at once, where no row can be locked or there is none yet."""

from django.db import connection


def hold(what: str, key: str = "") -> None:
    """Have others that hold the same wait until this transaction ends, then see what it wrote.

    Take it before you look whether a row is there: two that both find nothing would both insert.

    Parameters
    ----------
    what
        Most often a table.
    key
        One thing of it; "": all together, which waits for no single one.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{what} {key}"])
