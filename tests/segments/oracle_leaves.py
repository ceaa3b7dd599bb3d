"""What each kind of leaf asks, spelled out over the plain list of a customer's events.

Written from `docs/rules.md` alone; it must share no code with `segments.engine`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.segments.oracle_operators import (
    Clock,
    holds,
    is_number,
    is_scalar,
    local,
    midnight_us,
    reached,
    same,
    seconds_us,
)

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """One accepted event; `user` is who sent it, whoever that is today."""

    id: str
    seq: int
    user: str
    name: str
    us: int
    props: Mapping[str, Any]
    context: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    products: Sequence[Mapping[str, Any]] = ()

    @property
    def order(self) -> tuple[int, int]:
        return self.us, self.seq


@dataclass(frozen=True)
class Situation:
    """All that a rule may ask about one customer at one moment; `events` in order, none later."""

    events: Sequence[Event]
    traits: Mapping[str, Any]
    now_us: int
    zone: ZoneInfo
    assignment_key: str
    segments: Mapping[str, Rule]
    lists: Mapping[str, Sequence[str]]
    scores: Mapping[str, Any]
    consents: Mapping[str, bool]
    retention_us: int | None
    context: Mapping[str, Any]
    product: Mapping[str, Any]

    @property
    def clock(self) -> Clock:
        return Clock(self.now_us, self.zone)


def holds_for(rule: Rule, at: Situation) -> bool:
    if "and" in rule:
        return all(holds_for(part, at) for part in rule["and"])
    if "or" in rule:
        return any(holds_for(part, at) for part in rule["or"])
    if "not" in rule:
        return not holds_for(rule["not"], at)
    return _LEAVES[rule["kind"]](rule, at)


def event_values(event: Event, path: str) -> list[Any]:
    """Return what a path of `where` or `prop` reads of an event; None where there is nothing."""
    root, _, rest = path.partition(".")
    if root == "$context":
        return reached(event.context, rest)
    if root == "$session":
        return [event.session]
    if root == "$product":
        return [stamp.get(rest) for stamp in event.products] or [None]
    return reached(event.props, path)


def _matching(part: Rule, events: Sequence[Event], zone: ZoneInfo) -> list[Event]:
    return [event for event in events if _matches(part, event, zone)]


def _matches(part: Rule, event: Event, zone: ZoneInfo) -> bool:
    wanted = part["event"]
    if isinstance(wanted, str) and event.name != wanted:
        return False
    if not isinstance(wanted, str) and not event.name.startswith(wanted["prefix"]):
        return False
    clock = Clock(event.us, zone)
    return all(
        _any_holds(condition, event_values(event, condition["key"]), clock)
        for condition in part.get("where") or ()
    )


def _any_holds(condition: Rule, subjects: Sequence[Any], clock: Clock) -> bool:
    """Whether any element passes; that it is missing, a path says when no element has it."""
    of = all if condition["op"] == "not_exists" else any
    return of(holds(condition["op"], condition.get("value"), one, clock) for one in subjects)


def _kept(at: Situation) -> list[Event]:
    """Return the events that exist: as for any window, one of exactly that age is outside."""
    return [event for event in at.events if _exists(event.us, at)]


def _exists(us: int, at: Situation) -> bool:
    return at.retention_us is None or at.now_us - us < at.retention_us


def _in_window(window: Rule, us: int, at: Situation) -> bool:
    now = at.now_us
    match window["type"]:
        case "last":
            return now - seconds_us(window["seconds"]) < us <= now
        case "between":
            low, high = (now - seconds_us(window[k]) for k in ("from_seconds", "to_seconds"))
            return low < us <= high
        case "calendar_days":
            today = local(now, at.zone).date()
            first = today.fromordinal(today.toordinal() - window["days"] + 1)
            return midnight_us(first, at.zone) <= us <= now
        case "absolute":
            return seconds_us(window["from"]) <= us <= min(now, seconds_us(window["to"]))
        case "ever":
            return us <= now and _exists(us, at)
    msg = f"no such window: {window}"
    raise ValueError(msg)


def _found(leaf: Rule, at: Situation) -> list[Event]:
    """Return the matches of a leaf in its window, in order."""
    matches = _matching(leaf, _kept(at), at.zone)
    return [event for event in matches if _in_window(leaf["window"], event.us, at)]


def _compares(leaf: Rule, subject: Any, at: Situation) -> bool:
    return holds(leaf["op"], leaf.get("value"), subject, at.clock)


def _count(leaf: Rule, at: Situation) -> bool:
    return _compares(leaf, len(_found(leaf, at)), at)


def _distinct_days(leaf: Rule, at: Situation) -> bool:
    days = {local(event.us, at.zone).date() for event in _found(leaf, at)}
    return _compares(leaf, len(days), at)


def _aggregate(leaf: Rule, at: Situation) -> bool:
    values = [
        value
        for event in _found(leaf, at)
        for value in event_values(event, leaf["prop"])
        if is_scalar(value) or (leaf["agg"] == "distinct" and value is not None)
    ]
    marks = leaf["value"] if isinstance(leaf["value"], list) else [leaf["value"]]
    if leaf["agg"] in ("first", "last") and all(map(is_number, marks)):
        values = _numbers(values)
    result = _AGGREGATES[leaf["agg"]](values)
    if isinstance(result, Fraction):
        return _compares_decimal(leaf, result)
    return result is not None and _compares(leaf, result, at)


def _rounded(exact: Fraction) -> Decimal:
    """Return a decimal of 6 places, half to even."""
    with localcontext() as context:
        context.prec = 400
        quotient = Decimal(exact.numerator) / Decimal(exact.denominator)
        return quotient.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)


def _compares_decimal(leaf: Rule, result: Fraction) -> bool:
    """Compare a sum or an average as a decimal of 6 places."""
    value = leaf["value"]
    marks = [_rounded(Fraction(repr(v))) for v in (value if isinstance(value, list) else [value])]
    rounded = _rounded(result)
    return {
        "eq": rounded == marks[0],
        "neq": rounded != marks[0],
        "lt": rounded < marks[0],
        "lte": rounded <= marks[0],
        "gt": rounded > marks[0],
        "gte": rounded >= marks[0],
        "between": marks[0] <= rounded <= marks[-1],
    }[leaf["op"]]


def _numbers(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if is_number(value)]


def _sum(values: Sequence[Any]) -> Fraction:
    return sum((Fraction(repr(value)) for value in _numbers(values)), Fraction(0))


def _average(values: Sequence[Any]) -> Fraction | None:
    numbers = _numbers(values)
    return _sum(numbers) / len(numbers) if numbers else None


def _distinct(values: Sequence[Any]) -> int:
    different: list[Any] = []
    for value in values:
        if not any(same(value, other) for other in different):
            different.append(value)
    return len(different)


_AGGREGATES: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "sum": _sum,
    "avg": _average,
    "min": lambda values: min(_numbers(values), default=None),
    "max": lambda values: max(_numbers(values), default=None),
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "distinct": _distinct,
}


def _first_time(leaf: Rule, at: Situation) -> bool:
    """Whether the first match ever lies in the window; without `where` it is never forgotten."""
    remembered = _kept(at) if leaf.get("where") else at.events
    matches = _matching(leaf, remembered, at.zone)
    return bool(matches) and _in_window(leaf["window"], matches[0].us, at)


def _sequence(leaf: Rule, at: Situation) -> bool:
    steps = leaf["steps"]
    matches = [_matching(step, _kept(at), at.zone) for step in steps]
    starts = [event for event in matches[0] if _in_window(leaf["window"], event.us, at)]
    return any(_continues(start, steps[1:], matches[1:]) for start in starts)


def _continues(before: Event, steps: Sequence[Rule], matches: Sequence[Sequence[Event]]) -> bool:
    """Whether some assignment of later events serves the remaining steps."""
    if not steps:
        return True
    within = steps[0].get("within")
    return any(
        event.order > before.order
        and (within is None or event.us - before.us <= seconds_us(within))
        and _continues(event, steps[1:], matches[1:])
        for event in matches[0]
    )


def _then_not(leaf: Rule, at: Situation) -> bool:
    starts = _found({**leaf["a"], "window": leaf["window"]}, at)
    if not starts:
        return False
    last = starts[-1]
    if at.now_us - last.us < seconds_us(leaf["after"]):
        return False
    return not any(b.order > last.order for b in _matching(leaf["b"], _kept(at), at.zone))


def _stopped(leaf: Rule, at: Situation) -> bool:
    low = at.now_us - seconds_us(leaf["before_seconds"])
    high = at.now_us - seconds_us(leaf["inactive_seconds"])
    times = [event.us for event in _matching(leaf, _kept(at), at.zone)]
    return any(low < us <= high for us in times) and not any(us > high for us in times)


def _regularly(leaf: Rule, at: Situation) -> bool:
    period = seconds_us(leaf["period"])
    edges = [at.now_us - i * period for i in range(leaf["periods"] + 1)]
    times = [event.us for event in _matching(leaf, _kept(at), at.zone)]
    hit = sum(any(low < us <= high for us in times) for high, low in pairwise(edges))
    return hit >= int(leaf["min_periods"])


def _profile(leaf: Rule, at: Situation) -> bool:
    key = leaf["key"]
    if key.startswith("consent."):
        return _compares(leaf, at.consents.get(key.removeprefix("consent.")), at)
    return _compares(leaf, at.traits.get(key), at)


def _bucket(leaf: Rule, at: Situation) -> bool:
    digest = hashlib.sha256(f"{leaf['salt']}:{at.assignment_key}".encode()).digest()
    share = Fraction(int.from_bytes(digest[:8], "big"), 2**64)
    return Fraction(leaf["from"]) <= share < Fraction(leaf["to"])


def _any_reached(root: Mapping[str, Any], leaf: Rule, at: Situation) -> bool:
    return _any_holds(leaf, reached(root, leaf["key"]), at.clock)


_LEAVES: Mapping[str, Callable[[Rule, Situation], bool]] = {
    "count": _count,
    "distinct_days": _distinct_days,
    "aggregate": _aggregate,
    "first_time": _first_time,
    "sequence": _sequence,
    "then_not": _then_not,
    "stopped": _stopped,
    "regularly": _regularly,
    "profile": _profile,
    "segment": lambda leaf, at: holds_for(at.segments[leaf["key"]], at),
    "score": lambda leaf, at: _compares(leaf, at.scores.get(leaf["key"]), at),
    "context": lambda leaf, at: _any_reached(at.context, leaf, at),
    "bucket": _bucket,
    "list": lambda leaf, at: at.assignment_key in at.lists[leaf["key"]],
    "product": lambda leaf, at: _any_reached(at.product, leaf, at),
}
