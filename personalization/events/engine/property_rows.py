"""The properties of an event type as rows, one a property, and back: what the form of staff shows.

The properties of each element of a list of objects are rows of their own, named as rules name them:
`products[].price`. What rows cannot say stays JSON.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personalization.events.engine.schema import LIMIT, spec_problems
from personalization.events.engine.taxonomy import Spec

_ELEMENTS = "[]."
# Shares of events below which a property is not carried by nearly all, and by hardly any.
_BOUNDS = (0.9, 0.1)
# Members that say nothing when they hold this.
_NOTHING: Mapping[str, Any] = {"required": False, "or": [], "title": "", "of": {}}


@dataclass(frozen=True, slots=True)
class Row:
    """One property; `stand_ins` are those that may come in its place when it is required."""

    name: str
    type: str
    required: bool = False
    stand_ins: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the row at this place, in which field, and the fix."""

    at: int
    field: str
    fix: str


def rows_of(properties: Any) -> list[Row] | None:
    """Return the rows that say the same as a description; None when rows cannot say it."""
    if spec_problems(properties):
        return None
    rows = list(_rows("", properties))
    if not all(_can_be_typed(row) for row in rows):
        return None
    said, faults = properties_of(rows)
    return None if faults or said != settled(properties) else rows


def seldom(shares: Mapping[str, float], path: str) -> int:
    """Return 0 for what nearly every event carries, 1 for what some do, 2 for what hardly any does.

    `shares`: path -> share of events; without any, nothing is known, and all are 0.
    """
    if not shares:
        return 0
    return sum(shares.get(path, 0.0) < bound for bound in _BOUNDS)


def by_use(rows: Sequence[Row], shares: Mapping[str, float]) -> list[Row]:
    """Return rows with the required ones first, then what most events carry (`seldom`).

    Otherwise in their order, and what is in each object of a list below the list.
    """
    heads = {
        row.name: (not row.required, seldom(shares, row.name), at)
        for at, row in enumerate(rows)
        if _ELEMENTS not in row.name
    }

    def place(row: Row) -> tuple[tuple[bool, int, int], bool, int]:
        head, inside, _ = row.name.partition(_ELEMENTS)
        return heads[head], bool(inside), seldom(shares, row.name) if inside else 0

    return sorted(rows, key=place)


def properties_of(rows: Sequence[Row]) -> tuple[Spec, list[Fault]]:
    """Return the description that rows give, in any order, and every fault of theirs."""
    found: Spec = {}
    faults: list[Fault] = []
    # name of a list of objects -> where the properties of its elements go; None for the event's own
    homes: dict[str | None, Spec] = {None: found}
    for at, row in sorted(enumerate(rows), key=lambda one: one[1].name.count(_ELEMENTS)):
        before, dots, key = row.name.rpartition(_ELEMENTS)
        home = homes.get(before if dots else None)
        if home is None:
            fix = f"“{before}” needs a row of its own that holds a list of objects."
            faults.append(Fault(at, "name", fix))
        elif key in home:
            faults.append(Fault(at, "name", f"“{row.name}” has two rows; remove one of them."))
        else:
            home[key] = _spec(row)
            if row.type == "objects":
                homes[row.name] = home[key]["of"] = {}
    names = {row.name for row in rows}
    for at, row in enumerate(rows):
        before = "".join(row.name.rpartition(_ELEMENTS)[:2])
        strange = [one for one in row.stand_ins if before + one not in names]
        if strange:
            fix = f"There is no row “{before}{strange[0]}”; add one, or name other properties."
            faults.append(Fault(at, "stand_ins", fix))
    return settled(found), faults


def settled(properties: Spec) -> Spec:
    """Return a description without what says nothing, such as `"required": false`."""
    return {key: _settled(spec) for key, spec in properties.items()}


def _settled(spec: Spec) -> Spec:
    inner = {**spec, "of": settled(spec["of"])} if "of" in spec else spec
    return {key: one for key, one in inner.items() if key not in _NOTHING or one != _NOTHING[key]}


def _rows(before: str, properties: Spec) -> Iterator[Row]:
    # PostgreSQL keeps no order of members
    for key in sorted(properties, key=lambda one: (not properties[one].get("required"), one)):
        spec, name = properties[key], f"{before}{key}"
        yield Row(
            name=name,
            type=spec["type"],
            required=spec.get("required", False),
            stand_ins=tuple(spec.get("or", ())),
            least=spec.get("min"),
            most=spec.get("max"),
            title=spec.get("title", ""),
        )
        yield from _rows(name + _ELEMENTS, spec.get("of", {}))


def _spec(row: Row) -> Spec:
    told = {
        "type": row.type,
        "required": row.required,
        "or": list(row.stand_ins),
        "min": row.least,
        "max": row.most,
        "title": row.title,
    }
    return {key: value for key, value in told.items() if value is not None}


def _can_be_typed(row: Row) -> bool:
    """Whether the fields of a form give back exactly this row."""
    texts = (row.name, *row.stand_ins, *([] if row.title == "" else [row.title]))
    numbers = [one for one in (row.least, row.most) if one is not None]
    return (
        type(row.required) is bool
        and all(isinstance(text, str) and _is_plain(text) for text in texts)
        and not any("," in name for name in row.stand_ins)
        and all(abs(one) <= LIMIT for one in numbers)
    )


def _is_plain(text: str) -> bool:
    return bool(text) and text == text.strip() and text.isprintable()
