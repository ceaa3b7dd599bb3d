"""What JSON from outside cannot be kept: found with its path, before it is stored.

PostgreSQL stores neither NUL nor halves of surrogate pairs, and gives a large float back as an
integer, which orjson writes up to 64 bits only.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from personalization.lib.errors import Problem

_TOO_MUCH = 2.0**63
# A text of so many digits fits PostgreSQL's integer, and its bigint.
INTEGER_DIGITS, BIGINT_DIGITS = 9, 18


def is_storable(text: str) -> bool:
    """Whether a text can be kept: no NUL, no half of a surrogate pair."""
    return "\0" not in text and text == text.encode("utf-8", "ignore").decode()


def whole_number(text: str, digits: int = INTEGER_DIGITS) -> int | None:
    """Return the number, 0 or above, that a text of at most so many digits is; None for others."""
    return int(text) if text.isdecimal() and len(text) <= digits else None


def unstorable(value: Any, path: str = "") -> Iterator[Problem]:
    """Yield each text, key and number of JSON data that cannot be kept."""
    if isinstance(value, str) and not is_storable(value):
        yield Problem(path, "holds NUL or half a surrogate pair, which no database keeps")
    elif isinstance(value, int | float) and not -_TOO_MUCH < value < _TOO_MUCH:
        yield Problem(path, "is a number that cannot be kept; send one of less than 19 digits")
    elif isinstance(value, Mapping):
        for name, one in value.items():
            here = f"{path}.{shown(name)}" if path else shown(name)
            if not is_storable(name):
                yield Problem(here, "has a name with NUL or half a surrogate pair")
            yield from unstorable(one, here)
    elif isinstance(value, list | tuple):
        for place, one in enumerate(value):
            yield from unstorable(one, f"{path}[{place}]")


def shown(name: str) -> str:
    """Return a name as an answer can carry it, at most 60 characters."""
    return utterable(name[:60]).replace("\0", "\\x00")


def utterable(text: str) -> str:
    """Return a text as UTF-8 can carry it: halves of surrogate pairs are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
