"""Errors in words that hold no values: what a log, an admin page or a report may say of one.

PostgreSQL quotes rows in what it says: the key that exists already, the row that fails, the text
that is no number. Of a database error stay its type, its SQLSTATE and the first line with every
quoted value taken out, unless the quotes name a table, column, constraint or type.
"""

import re
import traceback
from types import TracebackType
from typing import Any

import psycopg2
from django.db import Error as DatabaseFault
from django.db import InterfaceError as InterfaceFault

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

_MOST = 200
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\([^)]*\)=\([^)]*\)")
# Whatever follows these in a message is rows, queries and their parameters; in a `repr` the line
# break is two characters.
_BELOW = re.compile(r"(?:\n|\\n)\s*(?:DETAIL|CONTEXT|HINT|QUERY|STATEMENT|LINE \d+):.*", re.DOTALL)
# Class 42: the statement itself is wrong (no such table); its quotes hold our own names.
_OUR_NAMES = "42"
_NAMES = ("constraint_name", "table_name", "column_name", "schema_name", "datatype_name")
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def words(error: BaseException) -> str:
    """Return type, SQLSTATE and first line of a database error; the bare type of any other."""
    if not _is_database(error):
        return type(error).__name__
    origin = error.__cause__ if isinstance(error.__cause__, psycopg2.Error) else error
    code = getattr(origin, "pgcode", None) or ""
    head = f"{type(error).__name__} {code}".strip()
    lines = str(error).strip().splitlines()
    return f"{head}: {_without_values(lines[0], origin, code)}"[:_MOST] if lines else head


def formatted(exc_info: ExcInfo) -> str:
    """Return the traceback of an error and of what it came from, database errors by `words`."""
    _, error, trace = exc_info
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        parts.append(_one(current, trace if current is error else current.__traceback__))
        if current.__cause__ is not None:
            parts.append(_CAUSE)
            current = current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            parts.append(_CONTEXT)
            current = current.__context__
        else:
            break
    if parts and parts[-1] in (_CAUSE, _CONTEXT):
        parts.pop()
    return "".join(reversed(parts)).rstrip("\n")


def without_rows(text: str) -> str:
    """Return a message without what PostgreSQL told below its first line."""
    return _BELOW.sub("", text)


def _one(error: BaseException, trace: TracebackType | None) -> str:
    frames = "".join(traceback.format_tb(trace))
    head = f"Traceback (most recent call last):\n{frames}" if frames else ""
    if _is_database(error):
        return f"{head}{words(error)}\n"
    return head + without_rows("".join(traceback.format_exception_only(error))).rstrip("\n") + "\n"


def _is_database(error: BaseException) -> bool:
    return isinstance(error, DatabaseFault | InterfaceFault | psycopg2.Error)


def _without_values(line: str, origin: BaseException, code: str) -> str:
    if code.startswith(_OUR_NAMES):
        return line
    diagnosis: Any = getattr(origin, "diag", None)
    named = {getattr(diagnosis, name, None) for name in _NAMES}
    return _QUOTED.sub(lambda found: found[0] if found[0][1:-1] in named else "...", line)
