"""Keys that people choose for what others name: one rule for segments and strategies."""

import re
from collections.abc import Collection

_KEY = re.compile(r"[a-z][a-z0-9_-]{0,59}")


def is_key(key: object) -> bool:
    """Whether a text may be a key."""
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def key_fault(key: object, *, reserved: Collection[str] = ()) -> str:
    """Return what to do about a text that cannot be a new key; "" for one that can.

    `reserved`: addresses of the API that such a key would hide.
    """
    if not is_key(key):
        return "use small letters, digits, - and _; at most 60, beginning with a letter"
    return "is an address of the API; take another one" if key in reserved else ""
