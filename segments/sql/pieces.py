"""The smallest pieces of SQL: parameters by name, and truths that may be uncertain.

No text of a rule ever becomes SQL: it is a parameter. Only names written in this package are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any


class Params:
    """Values of one statement by name, and names for its tables."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._aliases = count()

    def add(self, value: Any, cast: str = "") -> str:
        """Return the placeholder of a value."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"%({name})s::{cast}" if cast else f"%({name})s"

    def alias(self, prefix: str) -> str:
        """Return a name that no other table of the statement has."""
        return f"{prefix}{next(self._aliases)}"


@dataclass(frozen=True, slots=True)
class Truth:
    """A condition as SQL: what is certainly true, and what may be.

    `must` implies the condition and the condition implies `may`; where SQL is exact they are the
    same text. NULL counts as false.
    """

    must: str
    may: str

    @property
    def exact(self) -> bool:
        """Whether SQL decides it."""
        return self.must == self.may


NEVER = Truth("FALSE", "FALSE")
UNKNOWN = Truth("FALSE", "TRUE")


def certain(text: str) -> Truth:
    """Return the truth that SQL decides."""
    return Truth(text, text)


def all_of(truths: Iterable[Truth]) -> Truth:
    """Return the truth that all hold; with none: true."""
    held = list(truths)
    return Truth(
        " AND ".join([one.must for one in held]) or "TRUE",
        " AND ".join([one.may for one in held]) or "TRUE",
    )


def any_of(truths: Iterable[Truth]) -> Truth:
    """Return the truth that one holds; with none: false."""
    held = list(truths)
    return Truth(
        f"({' OR '.join([one.must for one in held]) or 'FALSE'})",
        f"({' OR '.join([one.may for one in held]) or 'FALSE'})",
    )
