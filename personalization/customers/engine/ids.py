"""Which ids may stand for one person, and how many one person may have."""

import re

# A person has a few devices and browsers; one with more is a shared till, a test or an attack.
MAX_IDENTITIES = 50
MAX_LENGTH = 255

# What broken code sends instead of an id. Each would merge all of its senders into one person.
_BAD = frozenset(
    [
        "-1",
        "null",
        "none",
        "nil",
        "nan",
        "undefined",
        "unknown",
        "anonymous",
        "anon",
        "guest",
        "user",
        "userid",
        "user_id",
        "true",
        "false",
        "empty",
        "n/a",
        "na",
        "not_set",
        "{}",
        "[]",
        "()",
        "{{userid}}",
        "{{user_id}}",
    ]
) | {"[object object]", "(not set)", "not set"}
# Zeros of any length (an empty UUID), and long runs of one character; "7", "11" and "222" are
# people.
_FILLER = re.compile(r"0*|(.)\1{7,}|([^0-9])\2+")
_SEPARATORS = re.compile(r"[-_\s.:]")


def usable(value: str) -> bool:
    """Whether the id can stand for one person.

    False for empty and overlong ids, for the words that stand for a missing value ("null",
    "undefined", "guest"), for zeros and for one character repeated ("0000-0000", "xxxx").
    """
    if not value or len(value) > MAX_LENGTH or "\x00" in value:
        return False
    bare = value.strip().lower()
    return bare not in _BAD and _FILLER.fullmatch(_SEPARATORS.sub("", bare)) is None
