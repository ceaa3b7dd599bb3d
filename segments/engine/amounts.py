"""Numbers in words: how often, on how many days, for how long, with forms for one and for more.

Knows no rules: `describe` asks for the forms that a number needs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

from segments.engine.values import SECOND_US

# (phrase for one, phrase for more, number) -> the phrase in the reader's language, as `ngettext`.
Plural = Callable[[str, str, int], str]
# A phrase for one and for more. The first names no number where English needs none; a language
# whose first form is also that of 21 puts the slot of the second there.
Forms = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Unit:
    """How a number of days, hours … is said: by itself, as a window, as a condition."""

    seconds: int
    span: Forms
    last: Forms
    within: Forms


# Written out: what is put together of pieces is no phrase that a catalogue of messages has.
_UNITS = (
    Unit(
        86_400,
        ("{count} day", "{count} days"),
        ("in the last day", "in the last {count} days"),
        ("is within the last day", "is within the last {count} days"),
    ),
    Unit(
        3_600,
        ("{count} hour", "{count} hours"),
        ("in the last hour", "in the last {count} hours"),
        ("is within the last hour", "is within the last {count} hours"),
    ),
    Unit(
        60,
        ("{count} minute", "{count} minutes"),
        ("in the last minute", "in the last {count} minutes"),
        ("is within the last minute", "is within the last {count} minutes"),
    ),
    Unit(
        1,
        ("{count} second", "{count} seconds"),
        ("in the last second", "in the last {count} seconds"),
        ("is within the last second", "is within the last {count} seconds"),
    ),
)
TIMES: Mapping[str, Forms] = {
    "gte": ("at least once", "at least {many} times"),
    "lte": ("at most once", "at most {many} times"),
    "eq": ("exactly once", "exactly {many} times"),
    "gt": ("more than once", "more than {many} times"),
    "lt": ("fewer than {many} times", "fewer than {many} times"),
    "between": ("between {low} and {many} times", "between {low} and {many} times"),
    "neq": ("any number of times but once", "any number of times but {many}"),
}
ON_DAYS: Mapping[str, Forms] = {
    "gte": ("on at least {many} day", "on at least {many} days"),
    "lte": ("on at most {many} day", "on at most {many} days"),
    "eq": ("on exactly {many} day", "on exactly {many} days"),
    "gt": ("on more than {many} day", "on more than {many} days"),
    "lt": ("on fewer than {many} days", "on fewer than {many} days"),
    "between": ("on between {low} and {many} days", "on between {low} and {many} days"),
    "neq": ("on any number of days but {many}", "on any number of days but {many}"),
}
NEVER = frozenset({("eq", 0), ("lt", 1), ("lte", 0)})
SOME = frozenset({("gte", 1), ("gt", 0), ("neq", 0)})
SCORES: Mapping[str, str] = {
    "between": "have a score {name} between {low} and {many}",
    "neq": "have a score {name} other than {many}",
}
SIZE: Forms = ("{title} has {count} element", "{title} has {count} elements")


def english(one: str, more: str, number: int) -> str:
    """Return the phrase for a number as English has it."""
    return one if number == 1 else more


def in_unit(micros: int) -> tuple[Unit, float]:
    """Return the largest unit that divides a span, and how many it is; seconds when none does."""
    seconds = micros / SECOND_US
    for unit in _UNITS:
        if seconds >= unit.seconds and seconds % unit.seconds == 0:
            return unit, seconds // unit.seconds
    return _UNITS[-1], seconds


def grammatical(number: float) -> int:
    """Return the whole number that bends a phrase: a fraction takes the form of more than one."""
    return int(number) if number == int(number) else max(2, ceil(number))
