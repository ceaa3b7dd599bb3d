"""Operators on JSON values: what a condition says of one value. Knows no events, no windows.

A test takes the subject and the moment that `within_last` counts from, in microseconds. A missing
value or null, and a subject of the wrong type, fails every operator but `not_exists`.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import re2

Test = Callable[[Any, int], bool]

SECOND_US = 1_000_000
# What a pattern, and a text that it is tried on, may be long.
MAX_PATTERN = 200
MAX_SUBJECT = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = 2.0**53
_SIXTH = Decimal("0.000001")
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def is_number(value: object) -> bool:
    """Whether it is a JSON number; a boolean is none."""
    return type(value) is int or type(value) is float


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same: `1 == 1.0`, `"1" != 1`, `true != 1`."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if type(left) is not type(right):
        return False
    if type(left) is list:
        return len(left) == len(right) and all(map(equal, left, right))
    if type(left) is dict:
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    return bool(left == right)


def distinct_key(value: Any) -> tuple[str, Any]:
    """Return what tells different JSON values apart in a set, as `equal` does."""
    if type(value) is list:
        return "list", tuple(map(distinct_key, value))
    if type(value) is dict:
        return "dict", frozenset((name, distinct_key(inner)) for name, inner in value.items())
    return ("n" if is_number(value) else type(value).__name__, value)


def time_us(value: Any) -> int | None:
    """Return a time in microseconds: an ISO 8601 text (without offset: UTC) or epoch seconds."""
    if type(value) is int:
        return value * SECOND_US
    if type(value) is float:
        # beyond 2^53 floats are whole, and their microseconds may be no float any more
        return round(value * SECOND_US) if abs(value) < _WHOLE else int(value) * SECOND_US
    if type(value) is not str:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant_us(at if at.tzinfo is not None else at.replace(tzinfo=UTC))


def instant_us(at: datetime) -> int:
    """Return an aware moment in whole microseconds since the epoch, exactly."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def rounded(value: float | Decimal) -> Decimal:
    """Return a number rounded to six places, half even: how sums and averages are compared."""
    exact = value if type(value) is Decimal else Decimal(repr(value))
    with localcontext(prec=400):
        return exact.quantize(_SIXTH, rounding=ROUND_HALF_EVEN)


def semver(value: Any) -> tuple[Any, ...] | None:
    """Return what orders versions by SemVer 2.0.0, section 11; None for what is no version."""
    if type(value) is not str or len(value) > MAX_SUBJECT:
        return None  # Python reads no number of more digits
    match = _SEMVER.fullmatch(value)
    if match is None:
        return None
    *numbers, pre = match.groups()
    # numeric identifiers rank below texts; a version without a pre-release ranks above all of them
    parts = (
        ()
        if pre is None
        else tuple(
            (0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")
        )
    )
    return (*map(int, numbers), pre is None, parts)


def network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return the network that a text such as `10.0.0.0/8` names; ValueError for anything else."""
    return ipaddress.ip_network(value, strict=False)


def pattern(value: str) -> Any:
    """Return the compiled RE2 pattern; ValueError for what RE2 does not take."""
    try:
        return re2.compile(value, _quiet())
    except re2.error as error:
        msg = f"is no pattern that RE2 takes: {error}"
        raise ValueError(msg) from error


@lru_cache(maxsize=1)
def _quiet() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options


def compared(op: str, value: Any) -> Callable[[Any], bool]:
    """Return the test of a comparison (`eq neq lt lte gt gte between`) of numbers or texts."""
    if op == "between":
        low, high = value
        above, below = compared("gte", low), compared("lte", high)
        return lambda subject: above(subject) and below(subject)
    if op == "eq":
        return lambda subject: subject is not None and equal(subject, value)
    if op == "neq":
        return lambda subject: subject is not None and not equal(subject, value)
    holds = _ORDERED[op]
    if is_number(value):
        return lambda subject: is_number(subject) and holds(subject, value)
    return lambda subject: type(subject) is str and holds(subject, value)


def condition(op: str, value: Any, zone: ZoneInfo) -> Test:
    """Return the test of one operator with its value, which validation has accepted."""
    make = _TESTS.get(op)
    if make is not None:
        return make(value, zone)
    test = compared(op, value)
    return lambda subject, _at: test(subject)


_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}


def _in(value: Sequence[Any], _zone: ZoneInfo) -> Test:
    return lambda subject, _at: subject is not None and any(equal(subject, v) for v in value)


def _not_in(value: Sequence[Any], _zone: ZoneInfo) -> Test:
    return lambda subject, _at: subject is not None and not any(equal(subject, v) for v in value)


def _holds(subject: Any, wanted: str) -> bool | None:
    """Whether a text or a list holds it, ignoring case; None for neither."""
    if type(subject) is str:
        return wanted in subject.casefold()
    if type(subject) is list:
        return any(type(v) is str and v.casefold() == wanted for v in subject)
    return None


def _contains(value: str, _zone: ZoneInfo) -> Test:
    wanted = value.casefold()
    return lambda subject, _at: _holds(subject, wanted) is True


def _not_contains(value: str, _zone: ZoneInfo) -> Test:
    wanted = value.casefold()
    return lambda subject, _at: _holds(subject, wanted) is False


def _starts_with(value: str, _zone: ZoneInfo) -> Test:
    return lambda subject, _at: type(subject) is str and subject.startswith(value)


def _ends_with(value: str, _zone: ZoneInfo) -> Test:
    return lambda subject, _at: type(subject) is str and subject.endswith(value)


def _matches(value: str, _zone: ZoneInfo) -> Test:
    search = pattern(value).search

    def test(subject: Any, _at: int) -> bool:
        if type(subject) is not str:
            return False
        # a lone surrogate is no text that RE2 could read
        given = subject[:MAX_SUBJECT].encode("utf-8", "replace").decode()
        return search(given) is not None

    return test


def _exists(_value: Any, _zone: ZoneInfo) -> Test:
    return lambda subject, _at: subject is not None


def _not_exists(_value: Any, _zone: ZoneInfo) -> Test:
    return lambda subject, _at: subject is None


def _before(value: Any, _zone: ZoneInfo) -> Test:
    limit = time_us(value) or 0
    return lambda subject, _at: (at := time_us(subject)) is not None and at < limit


def _after(value: Any, _zone: ZoneInfo) -> Test:
    limit = time_us(value) or 0
    return lambda subject, _at: (at := time_us(subject)) is not None and at > limit


def _within_last(value: float, _zone: ZoneInfo) -> Test:
    span = round(value * SECOND_US)

    def test(subject: Any, now: int) -> bool:
        at = time_us(subject)
        return at is not None and now - span < at <= now

    return test


def _weekday(value: Sequence[int], zone: ZoneInfo) -> Test:
    days = frozenset(value)

    def test(subject: Any, _at: int) -> bool:
        at = time_us(subject)
        if at is None:
            return False
        try:
            return (_EPOCH + timedelta(microseconds=at)).astimezone(zone).isoweekday() in days
        except OverflowError:
            return False

    return test


def _same(left: Any, right: Any) -> bool:
    """Whether two versions have the same precedence."""
    return bool(left == right)


def _version(op: str) -> Callable[[Any, ZoneInfo], Test]:
    holds: Callable[[Any, Any], bool] = _ORDERED.get(op, _same)

    def make(value: str, _zone: ZoneInfo) -> Test:
        wanted = semver(value)
        return lambda subject, _at: (v := semver(subject)) is not None and holds(v, wanted)

    return make


def _cidr(value: Any, _zone: ZoneInfo) -> Test:
    networks = [network(one) for one in (value if isinstance(value, list) else [value])]

    def test(subject: Any, _at: int) -> bool:
        if type(subject) is not str:
            return False
        try:
            address = ipaddress.ip_address(subject)
        except ValueError:
            return False
        return any(address in one for one in networks)

    return test


def _listed(subject: Any) -> list[Any] | None:
    """Return a list as it is, a single value as a list of one."""
    if subject is None or type(subject) is dict:
        return None
    return subject if type(subject) is list else [subject]


def _any_of(value: Sequence[Any], _zone: ZoneInfo) -> Test:
    return lambda subject, _at: (
        (held := _listed(subject)) is not None
        and any(equal(one, wanted) for one in held for wanted in value)
    )


def _all_of(value: Sequence[Any], _zone: ZoneInfo) -> Test:
    return lambda subject, _at: (
        (held := _listed(subject)) is not None
        and all(any(equal(one, wanted) for one in held) for wanted in value)
    )


def _none_of(value: Sequence[Any], _zone: ZoneInfo) -> Test:
    return lambda subject, _at: (
        (held := _listed(subject)) is not None
        and not any(equal(one, wanted) for one in held for wanted in value)
    )


def _size(value: int, _zone: ZoneInfo) -> Test:
    return lambda subject, _at: type(subject) is list and len(subject) == value


_TESTS: dict[str, Callable[[Any, ZoneInfo], Test]] = {
    "in": _in,
    "not_in": _not_in,
    "contains": _contains,
    "not_contains": _not_contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "matches": _matches,
    "exists": _exists,
    "not_exists": _not_exists,
    "before": _before,
    "after": _after,
    "within_last": _within_last,
    "weekday": _weekday,
    "semver_eq": _version("eq"),
    "semver_gt": _version("gt"),
    "semver_gte": _version("gte"),
    "semver_lt": _version("lt"),
    "semver_lte": _version("lte"),
    "cidr": _cidr,
    "any_of": _any_of,
    "all_of": _all_of,
    "none_of": _none_of,
    "size": _size,
}
COMPARISONS = ("eq", "neq", "lt", "lte", "gt", "gte", "between")
OPERATORS = (*COMPARISONS, *_TESTS)
