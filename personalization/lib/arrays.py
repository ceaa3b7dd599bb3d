"""Lists as PostgreSQL array literals: `'{1,2,3}'` instead of `ARRAY[1, 2, 3]`.

The server reads a literal in one pass, but makes a node of its parse tree of every element of a
constructor: for the thousands of values that one batch passes, half of the statement's time
(docs/benchmarks.md). A literal has no type of its own: it takes that of the column it is compared
with, or of its cast.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from psycopg2.extensions import AsIs, ISQLQuote, QuotedString, adapters, register_adapter

_ARRAY = adapters[list, ISQLQuote]
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"'})


def register() -> None:
    """Have psycopg2 pass lists of numbers, texts and truths so, for the whole process."""
    register_adapter(list, adapted)


def adapted(values: list[Any]) -> Any:
    """Return what psycopg2 is to quote; lists of other types go as it passes them itself."""
    kinds = set(map(type, values))
    if kinds <= {int}:
        # digits need no quoting
        return AsIs(f"'{{{','.join(map(str, values))}}}'")
    if list in kinds:
        msg = "lists within a list are no array: pass JSON, or a list of texts"
        raise TypeError(msg)
    kinds.discard(type(None))
    if not kinds or not kinds <= _WRITTEN.keys():
        return _ARRAY(values)
    text = ",".join(["NULL" if value is None else _WRITTEN[type(value)](value) for value in values])
    return QuotedString(f"{{{text}}}")


@lru_cache(maxsize=4096)
def _text(value: str) -> str:
    return f'"{value.translate(_ESCAPED)}"'


_WRITTEN: Mapping[type, Callable[[Any], str]] = {int: str, float: repr, bool: str, str: _text}
