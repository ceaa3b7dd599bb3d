"""What each kind of leaf means: the table of all, and those that read no events."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from segments.engine import counting, ordering
from segments.engine.language import Leaf
from segments.engine.values import compared, condition, time_us
from segments.engine.verdicts import Evaluate, Verdict, View
from segments.engine.windows import NEVER, Calendar


def compiled(
    leaf: Leaf, places: Sequence[int], calendar: Calendar, retention: int | None
) -> Evaluate:
    """Return the function that decides a leaf; `places` are those of its streams, one a need."""
    return _MAKE[leaf.kind](leaf, places, calendar, retention)


def bucket(salt: str, assignment_key: str) -> float:
    """Return the customer's stable share in [0, 1) for a salt (docs/rules.md, Computed traits)."""
    first = sha256(f"{salt}:{assignment_key}".encode("utf-8", "surrogatepass")).digest()[:8]
    return int.from_bytes(first) / 2**64


def _profile(
    leaf: Leaf, _places: Sequence[int], calendar: Calendar, _retention: int | None
) -> Evaluate:
    test, key = condition(leaf.op, leaf.value, calendar.zone), leaf.key
    if leaf.op != "within_last":
        return lambda view, now: (test(view.traits.get(key), now), NEVER)
    span = round(leaf.value * 1_000_000)

    def within(view: View, now: int) -> Verdict:
        at = time_us(view.traits.get(key))
        if at is None:
            return False, NEVER
        until = min((edge for edge in (at, at + span) if edge > now), default=NEVER)
        return now - span < at <= now, until

    return within


def _score(leaf: Leaf, *_: Any) -> Evaluate:
    holds, key = compared(leaf.op, leaf.value), leaf.key
    return lambda view, _now: (holds(view.scores.get(key)), NEVER)


def _segment(leaf: Leaf, *_: Any) -> Evaluate:
    key = leaf.key
    return lambda view, _now: view.members.get(key, (False, NEVER))


def _list(leaf: Leaf, *_: Any) -> Evaluate:
    key = leaf.key
    return lambda view, _now: (key in view.lists, NEVER)


def _bucket(leaf: Leaf, *_: Any) -> Evaluate:
    salt, (low, high) = leaf.key, leaf.value
    return lambda view, _now: (low <= bucket(salt, view.assignment_key) < high, NEVER)


def _of(source: Callable[[View], Mapping[str, Any]]) -> Callable[..., Evaluate]:
    """Return the maker of leaves about the request or the product at hand."""

    def make(leaf: Leaf, _places: Sequence[int], calendar: Calendar, _retention: Any) -> Evaluate:
        test, key = condition(leaf.op, leaf.value, calendar.zone), leaf.key
        return lambda view, now: (test(source(view).get(key), now), NEVER)

    return make


_MAKE: Mapping[str, Callable[..., Evaluate]] = {
    "count": counting.count,
    "distinct_days": counting.distinct_days,
    "aggregate": counting.aggregate,
    "first_time": ordering.first_time,
    "sequence": ordering.sequence,
    "then_not": ordering.then_not,
    "stopped": ordering.stopped,
    "regularly": ordering.regularly,
    "profile": _profile,
    "score": _score,
    "segment": _segment,
    "list": _list,
    "bucket": _bucket,
    "context": _of(lambda view: view.request),
    "product": _of(lambda view: view.product),
}
