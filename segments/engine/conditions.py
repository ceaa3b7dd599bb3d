"""The faults of windows, conditions and values: what stands inside the leaves of a rule."""

import ipaddress
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from personalization.lib.errors import Problem
from personalization.lib.storable import is_storable, shown, unstorable
from segments.engine import values
from segments.engine.catalogue import OPERATORS, Attribute, Named
from segments.engine.events import steps_of
from segments.engine.values import COMPARISONS, is_number

MAX_VALUES = 1_000
MAX_TEXT = 1_000
# Longer than any shop keeps events.
MAX_SECONDS = 10 * 366 * 86_400
_LAST_SECOND = 253_402_300_799  # the end of the year 9999

# Beside the types of attributes: what counts something.
COUNT = "count"

Faults = Iterator[Problem]


def window_faults(window: Any, path: str) -> Faults:
    """Yield the faults of a window."""
    if not isinstance(window, Mapping):
        yield Problem(path, f'is {kind_of(window)}; send {{"type": "last", "seconds": 604800}}')
        return
    kind = window.get("type")
    members = _WINDOWS.get(kind) if isinstance(kind, str) else None
    if members is None:
        yield Problem(joined(path, "type"), unknown_name(kind, _WINDOWS, "window"))
        return
    yield from unknown(window, ("type", *members), path)
    found: list[Problem] = []
    for name, check in members.items():
        if name in window:
            found += check(window[name], joined(path, name))
        else:
            found.append(Problem(joined(path, name), "is missing"))
    yield from found
    if found:
        return
    if kind == "between" and window["from_seconds"] <= window["to_seconds"]:
        yield Problem(joined(path, "from_seconds"), "must be longer ago than to_seconds")
    if kind == "absolute" and window["from"] > window["to"]:
        yield Problem(joined(path, "from"), "must not be later than to")


def condition_faults(
    one: Mapping[str, Any], known: Mapping[str, Attribute], path: str, word: str = "property"
) -> Faults:
    """Yield the faults of `{"key", "op", "value"}` on one of the known attributes."""
    attribute = None
    if "key" in one:
        attribute = yield from named_attribute(one["key"], known, joined(path, "key"), word)
    else:
        yield Problem(joined(path, "key"), "is missing")
    if "op" not in one:
        yield Problem(joined(path, "op"), "is missing")
        return
    op, kind = one["op"], attribute.type if attribute else ""
    if not isinstance(op, str) or op not in values.OPERATORS:
        yield Problem(joined(path, "op"), unknown_name(op, values.OPERATORS, "operator"))
        return
    if op not in OPERATORS.get(kind, values.OPERATORS):
        fitting = ", ".join(OPERATORS[kind])
        yield Problem(joined(path, "op"), f"does not fit {kind}; use one of {fitting}")
        return
    at = joined(path, "value")
    if op in ("exists", "not_exists"):
        if one.get("value") is not None:
            yield Problem(at, f"{op} takes no value; leave it out")
        return
    if one.get("value") is None:
        yield Problem(at, "is missing")
        return
    yield from _value_faults(op, one["value"], kind, at)


# --- Values ---------------------------------------------------------------------------------------


def _value_faults(op: str, value: Any, kind: str, path: str) -> Faults:
    check = _VALUES.get(op)
    if check is not None:
        yield from check(value, path)
    elif op == "between":
        yield from _pair_faults(value, path, _of_pair(kind, value))
    elif op in ("in", "not_in"):
        yield from _list_faults(value, path, _of_type(kind))
    else:
        yield from _of_type(kind)(value, path)


def _of_type(kind: str) -> Callable[[Any, str], Iterable[Problem]]:
    """Return the check of a value for a type of attribute; "" where that is not known."""
    return {
        COUNT: _count_faults,
        "number": _number_faults,
        "boolean": _boolean_faults,
        "strings": _any_faults,
        "": _any_faults,
    }.get(kind, _text_faults)


def _of_pair(kind: str, value: Any) -> Callable[[Any, str], Iterable[Problem]]:
    """Return the check of both ends of a range: of one type also where that is not known."""
    if kind:
        return _of_type(kind)
    ends = value if isinstance(value, list) else []
    return _text_faults if any(isinstance(end, str) for end in ends) else _number_faults


def _number_faults(value: Any, path: str) -> Faults:
    if not finite(value):
        yield Problem(path, f"is {kind_of(value)}; send a number, without quotes")


def _boolean_faults(value: Any, path: str) -> Faults:
    if not isinstance(value, bool):
        yield Problem(path, f"is {kind_of(value)}; send true or false")


def _text_faults(value: Any, path: str) -> Faults:
    if not isinstance(value, str):
        yield Problem(path, f"is {kind_of(value)}; send a text")
    elif len(value) > MAX_TEXT:
        yield Problem(path, f"is longer than {MAX_TEXT} characters")
    elif not is_storable(value):
        yield Problem(path, "holds a character that no text has (NUL, or half of a pair)")


def _needle_faults(value: Any, path: str) -> Faults:
    yield from _text_faults(value, path)
    if value == "":
        yield Problem(path, "is empty; that would hold for every text")


def _any_faults(value: Any, path: str) -> Faults:
    if isinstance(value, str):
        yield from _text_faults(value, path)
    elif not isinstance(value, bool) and not finite(value):
        yield Problem(path, f"is {kind_of(value)}; send a text, a number, true or false")


def _list_faults(value: Any, path: str, check: Callable[[Any, str], Iterable[Problem]]) -> Faults:
    if not isinstance(value, list) or not value:
        yield Problem(path, "send a list with at least one value")
        return
    if len(value) > MAX_VALUES:
        yield Problem(path, f"has more than {MAX_VALUES} values; upload a list instead")
        return
    for index, one in enumerate(value):
        yield from check(one, f"{path}[{index}]")


def _pair_faults(value: Any, path: str, check: Callable[[Any, str], Iterable[Problem]]) -> Faults:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 -- low and high
        yield Problem(path, "send [low, high]")
        return
    found = [p for index in (0, 1) for p in check(value[index], f"{path}[{index}]")]
    yield from found
    if not found and value[0] > value[1]:
        yield Problem(path, "the first must not be more than the second")


def _pattern_faults(value: Any, path: str) -> Faults:
    found = list(_needle_faults(value, path))
    yield from found
    if found:
        return
    if len(value) > values.MAX_PATTERN:
        yield Problem(path, f"is longer than {values.MAX_PATTERN} characters")
        return
    try:
        values.pattern(value)
    except ValueError as error:
        yield Problem(path, f"{error}"[:300])


def _time_faults(value: Any, path: str) -> Faults:
    if is_number(value):
        yield from _moment_faults(value, path)
    elif values.time_us(value) is None:
        yield Problem(path, "send an ISO 8601 time, for example 2026-01-31T12:00:00Z, or seconds")


def _weekday_faults(value: Any, path: str) -> Faults:
    if not isinstance(value, list) or not value:
        yield Problem(path, "send a list of weekdays, 1 for Monday to 7 for Sunday")
        return
    for index, day in enumerate(value):
        yield from whole_faults(day, f"{path}[{index}]", 1, 7)


def _version_faults(value: Any, path: str) -> Faults:
    if values.semver(value) is None:
        yield Problem(path, "send a version such as 1.4.0")


def _network_faults(value: Any, path: str) -> Faults:
    for one in value if isinstance(value, list) and value else [value]:
        try:
            if not isinstance(one, str):
                raise TypeError  # noqa: TRY301 -- the same answer as for a text that is none
            values.network(one)
        except (TypeError, ValueError, ipaddress.AddressValueError):
            yield Problem(path, "send a network such as 10.0.0.0/8")


def _span_faults(value: Any, path: str) -> Faults:
    yield from seconds_faults(value, path)


def _size_faults(value: Any, path: str) -> Faults:
    yield from whole_faults(value, path, 0, 1_000_000)


_VALUES: Mapping[str, Callable[[Any, str], Iterable[Problem]]] = {
    "contains": _needle_faults,
    "not_contains": _needle_faults,
    "starts_with": _needle_faults,
    "ends_with": _needle_faults,
    "matches": _pattern_faults,
    "before": _time_faults,
    "after": _time_faults,
    "within_last": _span_faults,
    "weekday": _weekday_faults,
    **dict.fromkeys((op for op in values.OPERATORS if op.startswith("semver")), _version_faults),
    "cidr": _network_faults,
    "any_of": lambda value, path: _list_faults(value, path, _any_faults),
    "all_of": lambda value, path: _list_faults(value, path, _any_faults),
    "none_of": lambda value, path: _list_faults(value, path, _any_faults),
    "size": _size_faults,
}


def comparison_faults(leaf: Mapping[str, Any], path: str, kind: str) -> Faults:
    """Yield the faults of `op` and `value` of a leaf that compares a figure.

    `kind`: COUNT, or the type of what is compared; "" where that is not known.
    """
    op, value, at = leaf["op"], leaf["value"], joined(path, "value")
    is_known = op in COMPARISONS
    if not is_known:
        yield Problem(joined(path, "op"), unknown_name(op, COMPARISONS, "comparison"))
    elif kind == "boolean" and op not in ("eq", "neq"):
        yield Problem(joined(path, "op"), "does not fit boolean; use eq or neq")
        return
    if op == "between" or (not is_known and isinstance(value, list)):
        yield from _pair_faults(value, at, _of_pair(kind, value))
        return
    found = list(_of_type(kind)(value, at))
    yield from found
    if not found and isinstance(value, bool) and is_known and op not in ("eq", "neq"):
        yield Problem(at, "is true or false; compare it with eq or neq")


def _count_faults(value: Any, path: str) -> Faults:
    if not finite(value) or not 0 <= value <= 1_000_000_000:  # noqa: PLR2004 -- more than any log
        yield Problem(path, "send a whole number, 0 or more")
    elif value != int(value):
        near = f"{int(value)} or {math.ceil(value)}"
        yield Problem(path, f"is {value}, but counts are whole; send {near}")


def seconds_faults(value: Any, path: str, *, least: float = 0.000001) -> Faults:
    """Yield the fault of a span of time in seconds."""
    if not finite(value) or not least <= value <= MAX_SECONDS:
        yield Problem(path, f"send seconds, more than 0 and at most {MAX_SECONDS}")


def whole_faults(value: Any, path: str, least: int, most: int) -> Faults:
    """Yield the fault of a whole number within bounds."""
    if not finite(value) or value != int(value) or not least <= value <= most:
        yield Problem(path, f"send a whole number from {least} to {most}")


def _moment_faults(value: Any, path: str) -> Faults:
    if not finite(value) or not 0 <= value <= _LAST_SECOND:
        yield Problem(path, "send seconds since 1970-01-01")


_WINDOWS: Mapping[str, Mapping[str, Callable[[Any, str], Iterable[Problem]]]] = {
    "last": {"seconds": seconds_faults},
    "between": {
        "from_seconds": seconds_faults,
        "to_seconds": lambda value, path: seconds_faults(value, path, least=0),
    },
    "calendar_days": {"days": lambda value, path: whole_faults(value, path, 1, 3660)},
    "absolute": {"from": _moment_faults, "to": _moment_faults},
    "ever": {},
}


# --- Words ----------------------------------------------------------------------------------------

# Names are taken for each other from here on (`difflib`: 1 is the same).
_ALIKE = 0.6


def named_attribute(
    key: Any, known: Mapping[str, Attribute], path: str, word: str = "property"
) -> Generator[Problem, None, Attribute | None]:
    """Yield the fault of a key that is none; return the attribute."""
    if not isinstance(key, str) or key not in known:
        yield Problem(path, unknown_name(key, known, word))
        return None
    attribute = known[key]
    if not all(steps_of(key)) or attribute.type not in OPERATORS:
        yield Problem(path, f"{key!r} holds other values; name one of them: {key}.…")
        return None
    return attribute


def key_faults(key: Any, known: Sequence[Named], path: str, word: str) -> Faults:
    """Yield the fault of a leaf whose `key` names nothing."""
    keys = [one.key for one in known]
    if key not in keys:
        yield Problem(joined(path, "key"), unknown_name(key, keys, word))


def unknown(given: Mapping[str, Any], allowed: Sequence[str], path: str) -> Faults:
    """Yield a fault for every member that is not known there."""
    for name in given:
        if name not in allowed:
            yield Problem(
                joined(path, shown(str(name))), f"is not known here{_like(name, allowed)}"
            )


def unknown_name(name: Any, known: Iterable[str], word: str) -> str:
    """Return the words for a name that names nothing, with what is like it."""
    if not isinstance(name, str):
        return f"is {kind_of(name)}; send the name of one {word}"
    return f"there is no {word} {name[:100]!r}{_like(name, known)}"


def nearest(name: Any, known: Iterable[str]) -> str | None:
    """Return what was probably meant by a name."""
    return next(iter(get_close_matches(str(name), list(known), n=1, cutoff=_ALIKE)), None)


def _like(name: Any, known: Iterable[str]) -> str:
    listed = list(known)
    close = get_close_matches(str(name), listed, n=3, cutoff=_ALIKE)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    few = 12
    return f"; use one of {', '.join(listed)}" if 0 < len(listed) <= few else ""


def kind_of(value: Any) -> str:
    """Return the words for the JSON type of a value."""
    words = {str: "a text", bool: "true or false", list: "a list", dict: "an object"}
    if isinstance(value, float) and not math.isfinite(value):
        return "no finite number"
    if is_number(value):
        return "a number" if finite(value) else "a number of 19 digits or more"
    return words.get(type(value), "null")


def finite(value: Any) -> bool:
    """Whether it is a number that can be compared, and kept: jsonb makes integers of floats."""
    return is_number(value) and next(unstorable(value), None) is None


def joined(path: str, name: str) -> str:
    """Return the path of a member."""
    return f"{path}.{name}" if path else name
