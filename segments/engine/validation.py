"""Every fault of a rule at once, each with its JSON path and what to do about it.

What passes here parses, compiles and means what it says; nothing is dropped, nothing unknown is
silently false.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from personalization.lib.errors import Problem
from personalization.lib.storable import is_storable
from segments.engine import language
from segments.engine.catalogue import REQUEST, Catalogue
from segments.engine.conditions import (
    COUNT,
    MAX_SECONDS,
    MAX_TEXT,
    Faults,
    comparison_faults,
    condition_faults,
    finite,
    joined,
    key_faults,
    kind_of,
    named_attribute,
    nearest,
    seconds_faults,
    unknown,
    unknown_name,
    whole_faults,
    window_faults,
)
from segments.engine.cost import MOST_COST, cost

# What a segment may hold: no request and no product is at hand when membership is decided.
SEGMENT_KINDS = tuple(kind for kind in language.KINDS if kind not in ("context", "product"))
# What a decision knows exactly of its one profile document and of the request.
AUDIENCE_KINDS = ("segment", "profile", "context", "bucket")
FILTER_KINDS = ("product", "context")

MAX_DEPTH = 10
MAX_LEAVES = 100
MAX_STEPS = 10
MAX_PERIODS = 366


def faults(
    rule: Any,
    catalogue: Catalogue,
    *,
    kinds: Sequence[str] = SEGMENT_KINDS,
    own_key: str = "",
) -> list[Problem]:
    """Return every fault; empty when the rule may be saved.

    Parameters
    ----------
    kinds
        Leaves that may stand here.
    own_key
        The segment whose rule it is: it may not name itself, at any remove.
    """
    check = _Check(catalogue, kinds, own_key)
    found = list(check.rule(rule, "", 1))
    if check.leaves > MAX_LEAVES:
        text = f"has {check.leaves} conditions; {MAX_LEAVES} are allowed, split it into segments"
        found.append(Problem("", text))
    if not found:
        found.extend(_cost_faults(rule))
    return found


def _cost_faults(rule: Any) -> Faults:
    asked = cost(language.parse(rule))
    if asked > MOST_COST:
        hint = "shorten windows, or count instead of aggregating"
        yield Problem("", f"costs {asked} to keep up to date, {MOST_COST} are allowed; {hint}")


class _Check:
    """One validation: what may be named, and how many leaves there were."""

    def __init__(self, catalogue: Catalogue, kinds: Sequence[str], own_key: str) -> None:
        self.catalogue = catalogue
        self.kinds = kinds
        self.own_key = own_key
        self.leaves = 0

    def rule(self, rule: Any, path: str, depth: int) -> Faults:
        """Yield the faults of a group, a negation or a leaf."""
        if not isinstance(rule, Mapping):
            yield Problem(path, f"is {kind_of(rule)}; send an object: a group or a condition")
            return
        if depth > MAX_DEPTH:
            yield Problem(path, f"is nested deeper than {MAX_DEPTH} groups; split it into segments")
            return
        named = [op for op in ("and", "or", "not", "kind") if op in rule]
        if len(named) != 1:
            yield Problem(path, 'send exactly one of "and", "or", "not", "kind"')
            return
        (op,) = named
        if op == "kind":
            yield from self._leaf(rule, path)
            return
        yield from unknown(rule, (op,), path)
        if op == "not":
            yield from self.rule(rule["not"], joined(path, "not"), depth + 1)
            return
        children = rule[op]
        if not isinstance(children, list) or not children:
            yield Problem(
                joined(path, op), "is an empty group; add a condition or remove the group"
            )
            return
        for index, child in enumerate(children):
            yield from self.rule(child, f"{joined(path, op)}[{index}]", depth + 1)

    def _leaf(self, leaf: Mapping[str, Any], path: str) -> Faults:
        self.leaves += 1
        kind = leaf["kind"]
        if not isinstance(kind, str) or kind not in language.KINDS:
            yield Problem(joined(path, "kind"), unknown_name(kind, language.KINDS, "condition"))
            return
        if kind not in self.kinds:
            yield Problem(joined(path, "kind"), self._misplaced(kind))
            return
        required, optional, check = _LEAVES[kind]
        yield from unknown(leaf, ("kind", *required, *optional), path)
        missing = [name for name in required if name not in leaf]
        for name in missing:
            yield Problem(joined(path, name), "is missing")
        told = check(self, {**dict.fromkeys(missing), **leaf}, path)
        if missing:
            gone = [joined(path, name) for name in missing]
            told = (one for one in told if not _is_part(one.path, gone))
        yield from told

    def _misplaced(self, kind: str) -> str:
        if kind in SEGMENT_KINDS and "segment" in self.kinds:
            return f"{kind!r} cannot stand here; make a segment of this condition and name it here"
        return _MISPLACED.get(kind, f"{kind!r} cannot stand here")

    # --- Leaves that read events ---

    def counted(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `count` and `distinct_days`."""
        yield from self.matcher(leaf, path)
        yield from window_faults(leaf["window"], joined(path, "window"))
        yield from comparison_faults(leaf, path, COUNT)

    def aggregate(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `aggregate`."""
        yield from self.matcher(leaf, path)
        yield from window_faults(leaf["window"], joined(path, "window"))
        agg = leaf["agg"]
        if agg not in language.AGGREGATES:
            yield Problem(joined(path, "agg"), unknown_name(agg, language.AGGREGATES, "aggregate"))
            agg = nearest(agg, language.AGGREGATES)
        known, at = self.catalogue.properties(self._names(leaf["event"])), joined(path, "prop")
        attribute = yield from named_attribute(leaf["prop"], known, at)
        kind = attribute.type if attribute else ""
        if kind and agg in language.NUMERIC and kind != "number":
            yield Problem(at, f"is {kind}; {agg} needs a number, or use distinct")
        if kind == "strings" and agg in ("first", "last"):
            yield Problem(at, f"is a list; {agg} compares one value, use distinct")
        compared = "number" if agg in language.NUMERIC else COUNT if agg == "distinct" else kind
        yield from comparison_faults(leaf, path, compared)

    def first_time(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `first_time`."""
        yield from self.matcher(leaf, path)
        yield from window_faults(leaf["window"], joined(path, "window"))

    def sequence(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `sequence`."""
        yield from window_faults(leaf["window"], joined(path, "window"))
        steps, at = leaf["steps"], joined(path, "steps")
        if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
            yield Problem(at, f"send a list of 1 to {MAX_STEPS} steps")
            return
        for index, step in enumerate(steps):
            here = f"{at}[{index}]"
            if not isinstance(step, Mapping):
                yield Problem(here, f"is {kind_of(step)}; send an object with event")
                continue
            yield from unknown(step, ("event", "where", "within"), here)
            yield from self.matcher(step, here)
            if step.get("within") is not None:
                yield from seconds_faults(step["within"], joined(here, "within"), least=0)

    def then_not(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `then_not`."""
        yield from window_faults(leaf["window"], joined(path, "window"))
        yield from seconds_faults(leaf["after"], joined(path, "after"), least=0)
        for name in ("a", "b"):
            here = joined(path, name)
            if not isinstance(leaf[name], Mapping):
                yield Problem(here, f"is {kind_of(leaf[name])}; send an object with event")
                continue
            yield from unknown(leaf[name], ("event", "where"), here)
            yield from self.matcher(leaf[name], here)

    def stopped(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `stopped`."""
        yield from self.matcher(leaf, path)
        names = ("before_seconds", "inactive_seconds")
        found = [p for name in names for p in seconds_faults(leaf[name], joined(path, name))]
        yield from found
        if not found and leaf["before_seconds"] <= leaf["inactive_seconds"]:
            yield Problem(joined(path, "before_seconds"), "must be more than inactive_seconds")

    def regularly(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `regularly`."""
        yield from self.matcher(leaf, path)
        found = list(seconds_faults(leaf["period"], joined(path, "period")))
        for name in ("periods", "min_periods"):
            found += whole_faults(leaf[name], joined(path, name), 1, MAX_PERIODS)
        yield from found
        if found:
            return
        if leaf["min_periods"] > leaf["periods"]:
            yield Problem(joined(path, "min_periods"), "must be at most periods")
        if leaf["period"] * leaf["periods"] > MAX_SECONDS:
            yield Problem(joined(path, "period"), "reaches back too far; use fewer periods")

    def matcher(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `event` and `where`."""
        if "event" not in leaf:
            yield Problem(joined(path, "event"), "is missing")
        else:
            yield from self._event_faults(leaf["event"], joined(path, "event"))
        names = self._names(leaf.get("event"))
        yield from self._where(leaf.get("where"), joined(path, "where"), names)

    def _event_faults(self, event: Any, path: str) -> Faults:
        known = self.catalogue.events
        if isinstance(event, str):
            if event not in known:
                yield Problem(path, unknown_name(event, known, "event"))
        elif not isinstance(event, Mapping) or set(event) != {"prefix"}:
            yield Problem(path, 'send the name of an event, or {"prefix": "..."}')
        elif not isinstance(event["prefix"], str) or not event["prefix"]:
            yield Problem(joined(path, "prefix"), "send the beginning of event names")
        elif not any(name.startswith(event["prefix"]) for name in known):
            yield Problem(joined(path, "prefix"), f"no event begins with {event['prefix']!r}")

    def _where(self, where: Any, path: str, names: Collection[str]) -> Faults:
        if where is None:
            return
        if not isinstance(where, list):
            yield Problem(path, f"is {kind_of(where)}; send a list of conditions")
            return
        known = self.catalogue.properties(names)
        for index, one in enumerate(where):
            here = f"{path}[{index}]"
            if not isinstance(one, Mapping):
                yield Problem(here, f'is {kind_of(one)}; send {{"key", "op", "value"}}')
                continue
            yield from unknown(one, ("key", "op", "value"), here)
            yield from condition_faults(one, known, here)

    def _names(self, event: Any) -> list[str]:
        """Return the events that are meant: of what names none, the nearest, or else any."""
        known = self.catalogue.events
        prefix = event.get("prefix") if isinstance(event, Mapping) else None
        if isinstance(prefix, str):
            found = [name for name in known if name.startswith(prefix)]
        else:
            found = [event] if isinstance(event, str) and event in known else []
        near = None if found else nearest(event, known)
        return found or ([near] if near else list(known))

    # --- Leaves that read what is known beside events ---

    def profile(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `profile`."""
        known = {one.key: one for one in self.catalogue.traits}
        yield from condition_faults(leaf, known, path, "trait")

    def context(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `context`."""
        yield from condition_faults(leaf, {one.key: one for one in REQUEST}, path, "request field")

    def product(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `product`."""
        known = {one.key: one for one in self.catalogue.products}
        yield from condition_faults(leaf, known, path, "product field")

    def segment(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `segment`: nothing of that name, or a circle."""
        yield from key_faults(leaf["key"], self.catalogue.segments, path, "segment")
        key = leaf["key"]
        if not self.own_key or not isinstance(key, str):
            return
        if key == self.own_key:
            yield Problem(joined(path, "key"), "a segment cannot name itself")
        elif self.own_key in reached(key, self.catalogue.references):
            yield Problem(joined(path, "key"), f"{key!r} names this segment in turn: a circle")

    def list(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `list`."""
        yield from key_faults(leaf["key"], self.catalogue.lists, path, "list")

    def score(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `score`."""
        yield from key_faults(leaf["key"], self.catalogue.scores, path, "score")
        yield from comparison_faults(leaf, path, "number")

    def bucket(self, leaf: Mapping[str, Any], path: str) -> Faults:
        """Yield the faults of `bucket`."""
        salt = leaf["salt"]
        if not isinstance(salt, str) or not salt or len(salt) > MAX_TEXT or not is_storable(salt):
            yield Problem(joined(path, "salt"), "send a text, not empty")
        found = [
            Problem(joined(path, name), "send a number from 0 to 1")
            for name in ("from", "to")
            if not finite(leaf[name]) or not 0 <= leaf[name] <= 1
        ]
        yield from found
        if not found and leaf["from"] >= leaf["to"]:
            yield Problem(joined(path, "from"), "must be less than to")


Checker = Callable[[_Check, Mapping[str, Any], str], Faults]
# kind -> (members it must have, members it may have, check)
_LEAVES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], Checker]] = {
    "count": (("event", "window", "op", "value"), ("where",), _Check.counted),
    "distinct_days": (("event", "window", "op", "value"), ("where",), _Check.counted),
    "aggregate": (
        ("event", "window", "prop", "agg", "op", "value"),
        ("where",),
        _Check.aggregate,
    ),
    "first_time": (("event", "window"), ("where",), _Check.first_time),
    "sequence": (("window", "steps"), (), _Check.sequence),
    "then_not": (("a", "b", "after", "window"), (), _Check.then_not),
    "stopped": (
        ("event", "before_seconds", "inactive_seconds"),
        ("where",),
        _Check.stopped,
    ),
    "regularly": (("event", "period", "periods", "min_periods"), ("where",), _Check.regularly),
    "profile": (("key", "op"), ("value",), _Check.profile),
    "segment": (("key",), (), _Check.segment),
    "score": (("key", "op", "value"), (), _Check.score),
    "context": (("key", "op"), ("value",), _Check.context),
    "bucket": (("salt", "from", "to"), (), _Check.bucket),
    "list": (("key",), (), _Check.list),
    "product": (("key", "op"), ("value",), _Check.product),
}
_MISPLACED: Mapping[str, str] = {
    "context": "no request is at hand here; put a condition on $context. of an event instead",
    "product": "no product is at hand here; put a condition on $product. of an event instead",
}


def _is_part(path: str, of: Iterable[str]) -> bool:
    """Whether a path is one of these or leads into it."""
    return any(path == top or path.startswith((f"{top}.", f"{top}[")) for top in of)


def reached(key: str, references: Mapping[str, Iterable[str]]) -> set[str]:
    """Return every segment that a segment names, at any remove."""
    found: set[str] = set()
    todo = [key]
    while todo:
        for other in references.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found
