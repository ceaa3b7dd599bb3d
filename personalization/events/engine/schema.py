"""Typed properties of event types: compiled once, checked once an event. Unknown names pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from personalization.events.engine import times
from personalization.lib.errors import Problem

# Type of a property -> (Python types of JSON that it may have, what to send).
TYPES: Mapping[str, tuple[tuple[type, ...], str]] = MappingProxyType(
    {
        "string": ((str,), "send a text"),
        "id": ((str, int), "send a text (or a whole number)"),
        "number": ((int, float), "send a number, without quotes"),
        "boolean": ((bool,), "send true or false"),
        "datetime": ((str,), "send an ISO 8601 time, for example 2026-01-31T12:00:00Z"),
        "list": ((list,), "send a list"),
        "objects": ((list,), "send a list of objects"),
        "object": ((dict,), "send an object"),
    }
)
_KEYS = frozenset({"type", "required", "or", "min", "max", "of", "title"})
# Beyond it a number is a mistake, and sums of it would no longer fit 64 bits of minor units.
LIMIT = 1e15
# A name or a property that a person reads; also the width of the column.
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Property:
    """One property, compiled: Python types, whether a number (bounds) or a time, and the fix."""

    types: tuple[type, ...]
    fix: str
    number: bool
    time: bool
    low: float
    high: float
    elements: "Mapping[str, Property] | None"


@dataclass(frozen=True, slots=True)
class Type:
    """One event type, compiled. Of each group in `required`, one property must be there."""

    name: str
    fact: str
    properties: Mapping[str, Property]
    required: tuple[tuple[str, ...], ...]


class Schema:
    """The event types that a shop knows."""

    __slots__ = ("_types",)

    def __init__(self, types: Mapping[str, Type]) -> None:
        self._types = types

    def __len__(self) -> int:
        return len(self._types)

    def fact(self, name: str) -> str:
        """Return what the folds understand the event as; "" for nothing more than its name."""
        known = self._types.get(name)
        return known.fact if known is not None else ""

    def known(self, name: str) -> Type | None:
        """Return the event type, None for a name that nobody described."""
        return self._types.get(name)

    def named(self, fact: str) -> set[str]:
        """Return the names of the events that the folds understand as `fact`."""
        return {name for name, known in self._types.items() if known.fact == fact}

    def check(self, name: str, properties: Mapping[str, Any]) -> list[Problem]:
        """Return every fault of the properties; empty for names that nobody described."""
        known = self._types.get(name)
        if known is None:
            return []
        problems = _faults(known.properties, properties, "properties")
        for group in known.required:
            if _missing(group, properties):
                wanted = " or ".join(group)
                problems.append(Problem(f"properties.{group[0]}", f"is missing; send {wanted}"))
        return problems


def compiled(entries: Sequence[Mapping[str, Any]]) -> Schema:
    """Compile `[{"name", "fact", "properties"}, ...]`.

    Raises
    ------
    ValueError
        A description that makes no sense, naming event and property.
    """
    return Schema(MappingProxyType({entry["name"]: _compiled(entry) for entry in entries}))


def spec_problems(properties: Any, path: str = "properties") -> list[Problem]:
    """Every fault of a description that a person typed; empty when `compiled` takes it."""
    if not isinstance(properties, dict):
        return [Problem(path, "send an object: property name -> description")]
    return [
        problem
        for key, spec in properties.items()
        for problem in _spec_faults(spec, f"{path}.{key}", properties)
    ]


def _compiled(entry: Mapping[str, Any]) -> Type:
    properties = entry["properties"]
    problems = spec_problems(properties)
    if problems:
        msg = f"event type {entry['name']!r}: {problems[0].path}: {problems[0].problem}"
        raise ValueError(msg)
    required = tuple(
        (key, *spec.get("or", ())) for key, spec in properties.items() if spec.get("required")
    )
    return Type(entry["name"], entry["fact"], _properties(properties), required)


def _properties(specs: Mapping[str, Any]) -> Mapping[str, Property]:
    return MappingProxyType({key: _property(spec) for key, spec in specs.items()})


def _property(spec: Mapping[str, Any]) -> Property:
    types, fix = TYPES[spec["type"]]
    number, time = spec["type"] == "number", spec["type"] == "datetime"
    elements = _properties(spec.get("of", {})) if spec["type"] == "objects" else None
    low = max(spec.get("min", -LIMIT), -LIMIT)
    high = min(spec.get("max", LIMIT), LIMIT)
    return Property(types, fix, number, time, low, high, elements)


def _missing(group: tuple[str, ...], properties: Mapping[str, Any]) -> bool:
    """Whether none of the properties is there. A loop: `any` of a generator costs four times it."""
    for key in group:  # noqa: SIM110 -- see above
        if properties.get(key) not in (None, ""):
            return False
    return True


def _faults(
    described: Mapping[str, Property], values: Mapping[str, Any], path: str
) -> list[Problem]:
    problems: list[Problem] = []
    for key, value in values.items():
        wanted = described.get(key)
        if wanted is None or value is None:
            continue
        # type(), not isinstance: a boolean is no number here
        if type(value) not in wanted.types:
            problems.append(Problem(f"{path}.{key}", f"is {_kind(value)}; {wanted.fix}"))
        elif wanted.number and not wanted.low <= value <= wanted.high:
            bounds = f"{wanted.low:g} to {wanted.high:g}"
            problems.append(Problem(f"{path}.{key}", f"is out of range; send {bounds}"))
        elif wanted.time and times.parsed(value) is None:
            problems.append(Problem(f"{path}.{key}", f"is not a time; {wanted.fix}"))
        elif wanted.elements is not None:
            problems += _element_faults(wanted, value, f"{path}.{key}")
    return problems


def _element_faults(wanted: Property, values: list[Any], path: str) -> list[Problem]:
    problems: list[Problem] = []
    for position, element in enumerate(values):
        if type(element) is dict:
            problems += _faults(wanted.elements or {}, element, f"{path}[{position}]")
        else:
            problems.append(Problem(f"{path}[{position}]", f"is {_kind(element)}; send an object"))
    return problems


def _kind(value: Any) -> str:
    """Word for the JSON type of a value."""
    words = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return words.get(type(value), "null")


def _spec_faults(spec: Any, path: str, siblings: Mapping[str, Any]) -> list[Problem]:
    if not isinstance(spec, dict) or str(spec.get("type")) not in TYPES:
        return [Problem(path, f'send {{"type": ...}} with one of: {", ".join(TYPES)}')]
    problems = [
        Problem(f"{path}.{key}", f"is not known; use {', '.join(sorted(_KEYS))}")
        for key in spec.keys() - _KEYS
    ]
    problems += [
        Problem(f"{path}.{key}", "send a number")
        for key in ("min", "max")
        if type(spec.get(key, 0)) not in (int, float)
    ]
    stand_ins = spec.get("or", [])
    if not isinstance(stand_ins, list) or any(
        not isinstance(other, str) or other not in siblings for other in stand_ins
    ):
        problems.append(Problem(f"{path}.or", "send a list of other properties of this event"))
    if "of" in spec:
        problems += spec_problems(spec["of"], f"{path}.of")
    return problems
