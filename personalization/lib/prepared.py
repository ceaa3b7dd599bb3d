"""Statements that each connection parses once: for the few that run on every call.

Parsing and planning take half of the time of a query that reads a few rows by key. A plan lives as
long as its connection, so such a statement must leave the planner one sensible way only: when it is
prepared the tables may still be empty.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connection
from django.db.backends.utils import CursorWrapper

_known: "WeakKeyDictionary[Any, set[str]]" = WeakKeyDictionary()


class Statement:
    """One statement with parameters $1, $2... of the given types.

    Where a pooler lends connections (DISABLE_SERVER_SIDE_CURSORS announces one) nothing is
    prepared: the next call may come to another server process.
    """

    __slots__ = ("_execute", "_name", "_plain", "_prepare")

    def __init__(self, name: str, sql: str, types: Sequence[str]) -> None:
        places = ", ".join(["%s"] * len(types))
        self._name = name
        self._prepare = f"PREPARE {name} ({', '.join(types)}) AS {sql}"
        self._execute = f"EXECUTE {name} ({places})"
        plain = sql.replace("%", "%%")
        for number, kind in reversed(list(enumerate(types, start=1))):
            plain = plain.replace(f"${number}", f"%(p{number})s::{kind}")
        self._plain = plain

    def run(self, cursor: CursorWrapper, parameters: Sequence[Any]) -> None:
        """Execute it; rows are then fetched from `cursor`."""
        if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS", False):
            named = {f"p{number}": value for number, value in enumerate(parameters, start=1)}
            cursor.execute(self._plain, named)
            return
        known = _known.setdefault(connection.connection, set())
        if self._name not in known:
            cursor.execute(self._prepare)
            known.add(self._name)
        cursor.execute(self._execute, parameters)
