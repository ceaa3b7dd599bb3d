"""What the catalogue's fields mean to a rule, and fields of few values as numbers.

Where products changed, only they are numbered again.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from personalization.catalog.serve import CatalogView
from recommender import regions
from segments.engine.catalogue import OWN

Rows = NDArray[np.int64]
Places = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Codes:
    """Numbers of a group's names, and the number of each product (n,), -1 for none."""

    lineage: object
    change: int
    numbers: dict[str, int]
    codes: Places


class _Held:
    """Numbers of this process by the column's name."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.codes: dict[str, _Codes] = {}


_held = _Held()


def forget() -> None:
    """Drop what this process holds. For tests, whose tables change under it."""
    with _held.lock:
        _held.codes.clear()


def column(
    view: CatalogView, key: str, rows: Rows | None, country: str
) -> tuple[Sequence[Any], Callable[[Any], Any]]:
    """Return a field of each product and what its values mean to an operator; "": no country."""
    if key.startswith(OWN):
        steps = key.removeprefix(OWN).split(".")
        return taken(view.attributes, rows), lambda text: _walked(text, steps)
    values, meaning = COLUMNS[key](view)
    if country and key == "price_minor":
        return regions.price_minor(view, country, rows).tolist(), meaning
    return (taken(values, rows) if isinstance(values, list) else _listed(values, rows)), meaning


def taken(values: Sequence[Any], rows: Rows | None) -> Sequence[Any]:
    """Return the values at some rows, all of them for None."""
    return values if rows is None else [values[row] for row in rows.tolist()]


def codes(name: str, view: CatalogView) -> Places:
    """Return a column of names as a number of each product, (n,), -1 for none."""
    return coded(name, view)[0]


def coded(name: str, view: CatalogView) -> tuple[Places, Mapping[Any, int]]:
    """Return the number of each product's value, and the numbers of all values."""
    known = _held.codes.get(name)
    if known is None or known.change != view.change or known.lineage is not view.lineage:
        # numbers are shared with the view before: two threads must not give one number twice
        with _held.lock:
            known = _numbered(name, view)
    return known.codes, known.numbers


def _numbered(name: str, view: CatalogView) -> _Codes:
    known = _held.codes.get(name)
    same = known is not None and known.lineage is view.lineage
    if known is not None and same and known.change == view.change:
        return known
    newer = known is not None and same and known.change > view.change
    values, none = COLUMNS[name](view)[0], CODED[name]
    numbers, found, changed = dict[Any, int](), np.zeros(len(values), np.int32), None
    if known is not None and same and not newer:
        # a copy: who holds the older numbers may be walking through them
        numbers = dict(known.numbers)
        found[: len(known.codes)] = known.codes
        changed = np.flatnonzero(view.changes > known.change)
    told = taken(values, changed)
    found[slice(None) if changed is None else changed] = [
        -1 if value == none else numbers.setdefault(value, len(numbers)) for value in told
    ]
    entry = _Codes(view.lineage, view.change, numbers, found)
    if not newer:
        _held.codes[name] = entry
    return entry


def _listed(values: NDArray[Any], rows: Rows | None) -> list[Any]:
    found: list[Any] = (values if rows is None else values[rows]).tolist()
    return found


def _walked(text: str, steps: Sequence[str]) -> Any:
    value: Any = orjson.loads(text) if text else None
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _same(value: Any) -> Any:
    return value


def _text(value: str) -> str | None:
    return value or None


COLUMNS: Mapping[str, Callable[[CatalogView], tuple[Any, Callable[[Any], Any]]]] = {
    "key": lambda view: (view.keys, _same),
    "title": lambda view: (view.titles, _text),
    "category": lambda view: (view.categories, _text),
    "categories": lambda view: (view.shelves, list),
    "brand": lambda view: (view.brands, _text),
    "price_minor": lambda view: (view.price_minor, lambda price: None if price < 0 else price),
    "available": lambda view: (view.available, _same),
    "created_at": lambda view: (view.created_s, _same),
}


# Columns with few values, which are numbered, and the value that means none.
CODED: Mapping[str, Any] = {"brand": "", "category": "", "categories": ()}
