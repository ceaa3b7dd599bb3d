"""Operators on JSON values as SQL (docs/rules.md, Operators).

A subject is an SQL expression of jsonb, NULL where the value is missing or null. What PostgreSQL
cannot decide as `segments.engine.values` does is uncertain: patterns of RE2, letters beyond ASCII
without case, versions before a release, times in unusual writing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from segments.engine.values import SECOND_US, is_number, network, semver, time_us
from segments.sql import texts
from segments.sql.pieces import UNKNOWN, Params, Truth, any_of, certain
from segments.sql.zones import END_US, FIRST_US, local_day

# From here on whole numbers and floats are not the same by their digits.
_MOST = 2**53
_ORDERED = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


@dataclass(frozen=True, slots=True)
class Place:
    """Where operators stand: the statement's parameters, the zone, and what "now" is.

    `moment`: SQL of the microseconds that `within_last` counts from.
    """

    params: Params
    zone: ZoneInfo
    moment: str

    def json(self, value: Any) -> str:
        """Return SQL of a JSON value."""
        return self.params.add(json.dumps(value), "jsonb")

    def jsons(self, values: Sequence[Any]) -> str:
        """Return SQL of an array of JSON values."""
        return self.params.add([json.dumps(one) for one in values], "jsonb[]")


def condition(op: str, value: Any, subject: str, place: Place) -> Truth:
    """Return whether the operator holds of the subject."""
    if not _tellable(value):
        return UNKNOWN
    return _MAKE[op](op, value, subject, place)


def text(subject: str) -> str:
    """Return SQL of the text of a JSON value."""
    return f"({subject} #>> '{{}}')"


def is_text(subject: str) -> str:
    """Return SQL that says whether it is a text."""
    return f"jsonb_typeof({subject}) = 'string'"


def elements(subject: str, alias: str, *, ordered: bool = False) -> str:
    """Return SQL of the elements of a list, as a table (v, n); of anything else: none."""
    listed = f"CASE WHEN jsonb_typeof({subject}) = 'array' THEN {subject} END"
    if ordered:
        return f"jsonb_array_elements({listed}) WITH ORDINALITY AS {alias}(v, n)"
    return f"jsonb_array_elements({listed}) AS {alias}(v)"


def _tellable(value: Any) -> bool:
    """Whether jsonb can hold it, and tells its numbers apart as Python does."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= one <= "\udfff" for one in value)
    if isinstance(value, list | tuple):
        return all(map(_tellable, value))
    if isinstance(value, Mapping):
        return all(_tellable(one) for pair in value.items() for one in pair)
    return not is_number(value) or abs(value) < _MOST


# --- Comparisons ----------------------------------------------------------------------------------


def _eq(_op: str, value: Any, subject: str, place: Place) -> Truth:
    return certain(f"{subject} = {place.json(value)}")


def _neq(_op: str, value: Any, subject: str, place: Place) -> Truth:
    return certain(f"{subject} <> {place.json(value)}")


def _ordered(op: str, value: Any, subject: str, place: Place) -> Truth:
    sign = _ORDERED[op]
    if is_number(value):
        typed = f"jsonb_typeof({subject}) = 'number'"
        return certain(f"({typed} AND {subject} {sign} {place.json(value)})")
    if not isinstance(value, str):
        return UNKNOWN
    # by code point, which is the order of UTF-8's bytes
    wanted = place.params.add(value, "text")
    return certain(f'({is_text(subject)} AND {text(subject)} COLLATE "C" {sign} {wanted})')


def _between(_op: str, value: Any, subject: str, place: Place) -> Truth:
    low, high = value
    above, below = _ordered("gte", low, subject, place), _ordered("lte", high, subject, place)
    return Truth(f"({above.must} AND {below.must})", f"({above.may} AND {below.may})")


def _in(_op: str, value: Any, subject: str, place: Place) -> Truth:
    return certain(f"{subject} = ANY({place.jsons(value)})")


def _not_in(_op: str, value: Any, subject: str, place: Place) -> Truth:
    return certain(f"{subject} <> ALL({place.jsons(value)})")


def _exists(_op: str, _value: Any, subject: str, _place: Place) -> Truth:
    return certain(f"{subject} IS NOT NULL")


def _not_exists(_op: str, _value: Any, subject: str, _place: Place) -> Truth:
    return certain(f"{subject} IS NULL")


# --- Texts ----------------------------------------------------------------------------------------


def _contains(_op: str, value: str, subject: str, place: Place) -> Truth:
    holds = _held(value, subject, place)
    return any_of([holds.text, holds.element])


def _not_contains(_op: str, value: str, subject: str, place: Place) -> Truth:
    holds = _held(value, subject, place)
    is_list = f"jsonb_typeof({subject}) = 'array'"
    return Truth(
        f"(({is_text(subject)} AND NOT {holds.text.may})"
        f" OR ({is_list} AND NOT {holds.element.may}))",
        f"(({is_text(subject)} AND NOT {holds.text.must})"
        f" OR ({is_list} AND NOT {holds.element.must}))",
    )


@dataclass(frozen=True, slots=True)
class _Held:
    text: Truth
    element: Truth


def _held(value: str, subject: str, place: Place) -> _Held:
    """Return whether a text holds it, and whether a list has it, ignoring case."""
    sought = value.casefold()
    wanted, plain = place.params.add(sought, "text"), sought.isascii()
    alias = place.params.alias("e")
    inner = f"{alias}.v"
    in_text = texts.folded(text(subject), f"strpos({{}}, {wanted}) > 0", ascii_only=plain)
    is_element = texts.folded(text(inner), f"{{}} = {wanted}", ascii_only=plain)
    one = f"EXISTS (SELECT FROM {elements(subject, alias)} WHERE {is_text(inner)} AND "
    return _Held(
        Truth(
            f"({is_text(subject)} AND {in_text.must})", f"({is_text(subject)} AND {in_text.may})"
        ),
        Truth(f"{one}{is_element.must})", f"{one}{is_element.may})"),
    )


def _starts_with(_op: str, value: str, subject: str, place: Place) -> Truth:
    wanted = place.params.add(value, "text")
    return certain(f"({is_text(subject)} AND starts_with({text(subject)}, {wanted}))")


def _ends_with(_op: str, value: str, subject: str, place: Place) -> Truth:
    wanted = place.params.add(value, "text")
    tail = f"right({text(subject)}, {len(value)})"
    return certain(f"({is_text(subject)} AND {tail} = {wanted})")


def _matches(_op: str, _value: str, subject: str, _place: Place) -> Truth:
    return Truth("FALSE", is_text(subject))


def _version(op: str, value: str, subject: str, place: Place) -> Truth:
    wanted = semver(value)
    if wanted is None:
        return UNKNOWN
    *numbers, release, _ = wanted
    if any(number >= texts.MOST_VERSION for number in numbers):
        return UNKNOWN
    held = place.params.add(numbers, "bigint[]")
    comparison = _VERSIONS[op, release].replace("wanted", held)
    return texts.version(text(subject), is_text(subject), comparison)


# (operator, the version wanted is a release) -> comparison of a release's numbers with those
# wanted. A release comes after every version before it.
_VERSIONS: Mapping[tuple[str, bool], str] = {
    ("semver_eq", True): "{} = wanted",
    ("semver_gt", True): "{} > wanted",
    ("semver_gte", True): "{} >= wanted",
    ("semver_lt", True): "{} < wanted",
    ("semver_lte", True): "{} <= wanted",
    ("semver_eq", False): "FALSE",
    ("semver_gt", False): "{} >= wanted",
    ("semver_gte", False): "{} >= wanted",
    ("semver_lt", False): "{} < wanted",
    ("semver_lte", False): "{} < wanted",
}


def _cidr(_op: str, value: Any, subject: str, place: Place) -> Truth:
    found = []
    for one in value if isinstance(value, list) else [value]:
        held = network(one)
        if held.version == 4:  # noqa: PLR2004 -- of the internet protocol
            inside = f"{text(subject)}::inet <<= {place.params.add(str(held), 'inet')}"
            case = (
                f"CASE WHEN {texts.is_like(text(subject), texts.IPV4)} THEN {inside} ELSE FALSE END"
            )
            found.append(certain(f"({is_text(subject)} AND {case})"))
        else:
            # what PostgreSQL and Python take for an address of version 6 differs
            found.append(
                Truth("FALSE", f"({is_text(subject)} AND strpos({text(subject)}, ':') > 0)")
            )
    return any_of(found)


# --- Times ----------------------------------------------------------------------------------------


def _before(op: str, value: Any, subject: str, place: Place) -> Truth:
    limit = time_us(value)
    if limit is None:
        return UNKNOWN
    sign = "<" if op == "before" else ">"
    return _timed(f"{{}} {sign} {place.params.add(limit, 'bigint')}", subject)


def _within_last(_op: str, value: Any, subject: str, place: Place) -> Truth:
    span = place.params.add(round(value * SECOND_US), "bigint")
    return _timed(f"{{0}} > {place.moment} - {span} AND {{0}} <= {place.moment}", subject)


def _weekday(_op: str, value: Sequence[int], subject: str, place: Place) -> Truth:
    at = texts.moment(subject)
    day = local_day(at, place.params, place.zone, FIRST_US, END_US)
    # 1970-01-01 was a Thursday; 70,000 days are whole weeks
    days = place.params.add(sorted({int(one) for one in value}), "int[]")
    isoweekday = f"(({day} + 3 + 70000) %% 7 + 1)"
    told = f"({at} >= {FIRST_US} AND {at} < {END_US})"
    held = f"({told} AND {isoweekday} = ANY({days}))"
    return Truth(held, f"({texts.is_odd_moment(subject)} OR NOT {told} OR {held})")


def _timed(holds: str, subject: str) -> Truth:
    known = f"({holds.format(texts.moment(subject))})"
    return Truth(known, f"({known} OR {texts.is_odd_moment(subject)})")


# --- Lists ----------------------------------------------------------------------------------------


def _sets(op: str, value: Sequence[Any], subject: str, place: Place) -> Truth:
    wanted, alias = place.jsons(value), place.params.alias("e")
    source = elements(subject, alias)
    unmet = f"NOT EXISTS (SELECT FROM {source} WHERE {alias}.v = w{alias}.v)"
    of_list, of_one = {
        "any_of": (
            f"EXISTS (SELECT FROM {source} WHERE {alias}.v = ANY({wanted}))",
            f"{subject} = ANY({wanted})",
        ),
        "none_of": (
            f"NOT EXISTS (SELECT FROM {source} WHERE {alias}.v = ANY({wanted}))",
            f"{subject} <> ALL({wanted})",
        ),
        "all_of": (
            f"NOT EXISTS (SELECT FROM unnest({wanted}) AS w{alias}(v) WHERE {unmet})",
            f"{subject} = ALL({wanted})",
        ),
    }[op]
    return certain(
        f"CASE jsonb_typeof({subject}) WHEN 'array' THEN {of_list} "
        f"WHEN 'object' THEN FALSE ELSE {of_one} END"
    )


def _size(_op: str, value: Any, subject: str, place: Place) -> Truth:
    length = f"jsonb_array_length({subject}) = {place.params.add(value, 'numeric')}"
    return certain(f"CASE jsonb_typeof({subject}) WHEN 'array' THEN {length} ELSE FALSE END")


_Make = Callable[[str, Any, str, Place], Truth]
_MAKE: Mapping[str, _Make] = {
    "eq": _eq,
    "neq": _neq,
    **dict.fromkeys(("lt", "lte", "gt", "gte"), _ordered),
    "between": _between,
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
    "after": _before,
    "within_last": _within_last,
    "weekday": _weekday,
    **dict.fromkeys(("semver_eq", "semver_gt", "semver_gte", "semver_lt", "semver_lte"), _version),
    "cidr": _cidr,
    "any_of": _sets,
    "all_of": _sets,
    "none_of": _sets,
    "size": _size,
}
