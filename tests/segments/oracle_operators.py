"""What an operator and a path mean, spelled out: the oracle's half that knows no events.

Written from `docs/rules.md` alone; it must share no code with `segments.engine`.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

SECOND = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# semver.org's own pattern
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Clock:
    """The moment that times are compared with, and the zone of local days."""

    us: int
    zone: ZoneInfo


def seconds_us(seconds: float) -> int:
    """Return seconds of the JSON as whole microseconds."""
    return round(Decimal(repr(seconds)) * SECOND)


def local(us: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(microseconds=us)).astimezone(zone)


def midnight_us(day: date, zone: ZoneInfo) -> int:
    """Return the first moment of a local date, found by looking at moments."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    low = (noon - EPOCH) // timedelta(microseconds=1) - 40 * 3600 * SECOND
    high = low + 80 * 3600 * SECOND
    while low < high:
        middle = (low + high) // 2
        if local(middle, zone).date() >= day:
            high = middle
        else:
            low = middle + 1
    return low


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_scalar(value: object) -> bool:
    return isinstance(value, str | bool) or is_number(value)


def same(a: object, b: object) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, but neither "1" nor true."""
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool) and a == b
    if is_number(a) and is_number(b):
        return a == b
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return set(a) == set(b) and all(same(a[name], b[name]) for name in a)
    return False


def reached(root: object, path: str) -> list[Any]:
    """Return what a path leads to: one value, or one for each element; None where nothing is."""
    values = [root]
    for part in path.split("."):
        name = part.removesuffix("[]")
        values = [v.get(name) if isinstance(v, dict) else None for v in values]
        if part.endswith("[]"):
            values = [e for v in values for e in (v if isinstance(v, list) and v else [None])]
    return values


def holds(op: str, value: Any, subject: Any, clock: Clock) -> bool:
    """Whether one subject passes one operator."""
    if op == "not_exists":
        return subject is None
    if subject is None:
        return False
    if op == "exists":
        return True
    if isinstance(subject, dict):
        return False
    return _OPERATORS[op](subject, value, clock)


def time_us(value: object) -> int | None:
    """Return a time as microseconds: ISO 8601, or seconds since the epoch."""
    if is_number(value):
        return seconds_us(value)  # type: ignore[arg-type]  # is_number says so
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return (parsed - EPOCH) // timedelta(microseconds=1)


def _comparable(a: object, b: object) -> bool:
    return (is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str))


def _lies_between(subject: Any, value: Sequence[Any], _: Clock) -> bool:
    low, high = value
    return _comparable(subject, low) and _comparable(subject, high) and bool(low <= subject <= high)


def _contains(subject: Any, value: str, _: Clock) -> bool:
    """Whether a text holds it, or a list has it as an element; both ignore case."""
    wanted = value.casefold()
    if isinstance(subject, list):
        return any(isinstance(e, str) and e.casefold() == wanted for e in subject)
    return isinstance(subject, str) and wanted in subject.casefold()


def _not_contains(subject: Any, value: str, clock: Clock) -> bool:
    return isinstance(subject, str | list) and not _contains(subject, value, clock)


def _times(check: Callable[[int, int], bool]) -> Callable[[Any, Any, Clock], bool]:
    def compare(subject: Any, value: Any, _: Clock) -> bool:
        at, mark = time_us(subject), time_us(value)
        return at is not None and mark is not None and check(at, mark)

    return compare


def _within_last(subject: Any, value: Any, clock: Clock) -> bool:
    at = time_us(subject)
    return at is not None and clock.us - seconds_us(value) < at <= clock.us


def _weekday(subject: Any, value: Sequence[int], clock: Clock) -> bool:
    at = time_us(subject)
    return at is not None and local(at, clock.zone).isoweekday() in value


def _precedence(text: object) -> tuple[Any, ...] | None:
    """Return what orders versions: SemVer 2.0.0, point 11."""
    found = _SEMVER.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    numbers = tuple(int(found[i]) for i in (1, 2, 3))
    if found[4] is None:
        return (*numbers, 1, ())
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in found[4].split(".")]
    return (*numbers, 0, tuple(parts))


def _versions(check: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Clock], bool]:
    def compare(subject: Any, value: Any, _: Clock) -> bool:
        a, b = _precedence(subject), _precedence(value)
        return a is not None and b is not None and check(a, b)

    return compare


def _inside(subject: Any, value: str | list[str], _: Clock) -> bool:
    if not isinstance(subject, str):
        return False
    try:
        address = ipaddress.ip_address(subject)
    except ValueError:
        return False
    networks = [value] if isinstance(value, str) else value
    return any(address in ipaddress.ip_network(network, strict=False) for network in networks)


def _elements(subject: Any) -> list[Any]:
    return subject if isinstance(subject, list) else [subject]


def _has(subject: Any, wanted: Any) -> bool:
    return any(same(element, wanted) for element in _elements(subject))


_OPERATORS: Mapping[str, Callable[[Any, Any, Clock], bool]] = {
    "eq": lambda s, v, _: same(s, v),
    "neq": lambda s, v, _: not same(s, v),
    "lt": lambda s, v, _: _comparable(s, v) and s < v,
    "lte": lambda s, v, _: _comparable(s, v) and s <= v,
    "gt": lambda s, v, _: _comparable(s, v) and s > v,
    "gte": lambda s, v, _: _comparable(s, v) and s >= v,
    "between": _lies_between,
    "in": lambda s, v, _: any(same(s, x) for x in v),
    "not_in": lambda s, v, _: not any(same(s, x) for x in v),
    "contains": _contains,
    "not_contains": _not_contains,
    "starts_with": lambda s, v, _: isinstance(s, str) and s.startswith(v),
    "ends_with": lambda s, v, _: isinstance(s, str) and s.endswith(v),
    # Patterns of the corpus mean the same in RE2 and in `re`.
    "matches": lambda s, v, _: isinstance(s, str) and re.search(v, s, re.ASCII) is not None,
    "before": _times(lambda at, mark: at < mark),
    "after": _times(lambda at, mark: at > mark),
    "within_last": _within_last,
    "weekday": _weekday,
    "semver_eq": _versions(lambda a, b: a == b),
    "semver_gt": _versions(lambda a, b: a > b),
    "semver_gte": _versions(lambda a, b: a >= b),
    "semver_lt": _versions(lambda a, b: a < b),
    "semver_lte": _versions(lambda a, b: a <= b),
    "cidr": _inside,
    "any_of": lambda s, v, _: any(_has(s, x) for x in v),
    "all_of": lambda s, v, _: all(_has(s, x) for x in v),
    "none_of": lambda s, v, _: not any(_has(s, x) for x in v),
    "size": lambda s, v, _: isinstance(s, list) and len(s) == v,
}
OPERATORS = (*_OPERATORS, "exists", "not_exists")
