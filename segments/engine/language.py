"""The grammar of rules: from JSON to frozen nodes, the canonical form, and names for leaves.

Takes rules that `validation.faults` has passed; on others it raises KeyError, TypeError or
ValueError. What nodes mean is in `leaves` (in process), `segments.compile` (SQL), `describe`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from segments.engine.values import SECOND_US, is_number

Rule = Mapping[str, Any]

GROUPS = ("and", "or")
# Leaves that read events, and those that read what is known beside them.
BEHAVIOURS = (
    "count",
    "distinct_days",
    "aggregate",
    "first_time",
    "sequence",
    "then_not",
    "stopped",
    "regularly",
)
FACTS = ("profile", "segment", "score", "context", "bucket", "list", "product")
KINDS = (*BEHAVIOURS, *FACTS)
AGGREGATES = ("sum", "avg", "min", "max", "first", "last", "distinct")
# Those that are numbers whatever they are compared with.
NUMERIC = ("sum", "avg", "min", "max")
# Windows that end now: of their events, the newest are the last to leave.
ANCHORED = frozenset({"last", "calendar_days", "ever"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a property. `value` is plain JSON."""

    key: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class Matcher:
    """Which events: by name, or by the beginning of it, that meet all conditions."""

    event: str
    prefix: bool
    where: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A window of time; `a` and `b` are microseconds, for `calendar_days` `a` is days.

    last: (now-a, now]; between: (now-a, now-b]; absolute: [a, min(now, b)].
    """

    type: str
    a: int = 0
    b: int = 0

    @property
    def anchored(self) -> bool:
        """Whether it ends now."""
        return self.type in ANCHORED


EVER = Window("ever")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf. Which members count depends on `kind`; times are microseconds.

    `matchers` holds one matcher, the steps of a sequence, or A and B. `withins` is parallel to the
    steps, None where a step may take any time.
    """

    kind: str
    matchers: tuple[Matcher, ...] = ()
    window: Window = EVER
    op: str = ""
    value: Any = None
    prop: str = ""
    agg: str = ""
    withins: tuple[int | None, ...] = ()
    after: int = 0
    periods: int = 0
    min_periods: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """All (`and`) or any (`or`) of the children."""

    op: str
    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    child: "Node"


Node = Group | Not | Leaf


def takes_numbers(leaf: Leaf) -> bool:
    """Whether an aggregate skips what is no number: `first` and `last` of a text compare texts."""
    marks = leaf.value if isinstance(leaf.value, list) else [leaf.value]
    return leaf.agg in NUMERIC or (leaf.agg in ("first", "last") and all(map(is_number, marks)))


def given(rule: Any) -> Any:
    """Return a rule that may be left out: None where the builder or a caller set no condition."""
    return None if rule in ({}, {"and": []}) else rule


def parse(rule: Rule) -> Node:
    """Return the tree of a valid rule."""
    for op in GROUPS:
        if op in rule:
            return Group(op, tuple(map(parse, rule[op])))
    if "not" in rule:
        return Not(parse(rule["not"]))
    return _LEAVES[rule["kind"]](rule)


def leaves(node: Node) -> Iterator[Leaf]:
    """Yield every leaf, in reading order."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Not):
        yield from leaves(node.child)
    else:
        for child in node.children:
            yield from leaves(child)


def references(node: Node) -> frozenset[str]:
    """Return the keys of the segments that a rule names."""
    return frozenset(leaf.key for leaf in leaves(node) if leaf.kind == "segment")


def canonical(rule: Any) -> Any:
    """Return the one form of a rule that means the same: what is saved, compared and hashed.

    Members in the order of names, `where` always there and sorted, whole numbers as integers.
    Groups stay as they were written.
    """
    if isinstance(rule, Mapping):
        made = {key: canonical(rule[key]) for key in sorted(rule)}
        if "event" in made:
            made["where"] = sorted(made.get("where") or [], key=_dumped)
            made = {key: made[key] for key in sorted(made)}
        return made
    if isinstance(rule, list | tuple):
        return [canonical(one) for one in rule]
    if type(rule) is float and rule.is_integer() and abs(rule) < _EXACT:
        return int(rule)
    return rule


def digest(value: Any, length: int = 12) -> str:
    """Return a short name for JSON data in canonical form."""
    return hashlib.sha256(_dumped(value)).hexdigest()[:length]


# Beyond it floats are whole numbers that not all of them can be told apart.
_EXACT = 2**53


def _dumped(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def micros(seconds: Any) -> int:
    """Return seconds as whole microseconds."""
    if not is_number(seconds):
        msg = f"{seconds!r} is no number of seconds"
        raise TypeError(msg)
    whole: int = round(seconds * SECOND_US)
    return whole


def matcher(raw: Rule) -> Matcher:
    """Return the matcher of `{"event", "where"}`."""
    event = raw["event"]
    where = tuple(
        Condition(one["key"], one["op"], one.get("value")) for one in raw.get("where") or ()
    )
    if isinstance(event, str):
        return Matcher(event, prefix=False, where=where)
    return Matcher(event["prefix"], prefix=True, where=where)


def window(raw: Rule) -> Window:
    """Return the window of its JSON."""
    kind = raw["type"]
    if kind == "last":
        return Window(kind, micros(raw["seconds"]))
    if kind == "between":
        return Window(kind, micros(raw["from_seconds"]), micros(raw["to_seconds"]))
    if kind == "calendar_days":
        return Window(kind, int(raw["days"]))
    if kind == "absolute":
        return Window(kind, micros(raw["from"]), micros(raw["to"]))
    if kind == "ever":
        return EVER
    msg = f"there is no window {kind!r}"
    raise ValueError(msg)


def _counted(raw: Rule) -> Leaf:
    return Leaf(
        raw["kind"], (matcher(raw),), window(raw["window"]), op=raw["op"], value=raw["value"]
    )


def _aggregate(raw: Rule) -> Leaf:
    return Leaf(
        "aggregate",
        (matcher(raw),),
        window(raw["window"]),
        op=raw["op"],
        value=raw["value"],
        prop=raw["prop"],
        agg=raw["agg"],
    )


def _first_time(raw: Rule) -> Leaf:
    return Leaf("first_time", (matcher(raw),), window(raw["window"]))


def _sequence(raw: Rule) -> Leaf:
    steps = raw["steps"]
    withins = tuple(
        None if step.get("within") is None else micros(step["within"]) for step in steps
    )
    return Leaf("sequence", tuple(map(matcher, steps)), window(raw["window"]), withins=withins)


def _then_not(raw: Rule) -> Leaf:
    pair = (matcher(raw["a"]), matcher(raw["b"]))
    return Leaf("then_not", pair, window(raw["window"]), after=micros(raw["after"]))


def _stopped(raw: Rule) -> Leaf:
    span = Window("between", micros(raw["before_seconds"]), micros(raw["inactive_seconds"]))
    return Leaf("stopped", (matcher(raw),), span)


def _regularly(raw: Rule) -> Leaf:
    period, periods = micros(raw["period"]), int(raw["periods"])
    return Leaf(
        "regularly",
        (matcher(raw),),
        Window("last", period * periods),
        after=period,
        periods=periods,
        min_periods=int(raw["min_periods"]),
    )


def _keyed(raw: Rule) -> Leaf:
    return Leaf(raw["kind"], key=raw["key"], op=raw.get("op", ""), value=raw.get("value"))


def _bucket(raw: Rule) -> Leaf:
    return Leaf("bucket", key=raw["salt"], value=(raw["from"], raw["to"]))


_LEAVES = {
    "count": _counted,
    "distinct_days": _counted,
    "aggregate": _aggregate,
    "first_time": _first_time,
    "sequence": _sequence,
    "then_not": _then_not,
    "stopped": _stopped,
    "regularly": _regularly,
    "bucket": _bucket,
    **dict.fromkeys(("profile", "segment", "score", "context", "list", "product"), _keyed),
}
