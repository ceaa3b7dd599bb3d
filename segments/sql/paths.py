"""Conditions on properties of an event as SQL: paths into the jsonb of a fact."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from segments.engine.events import is_many, steps_of
from segments.engine.language import Condition
from segments.sql.operators import Place, condition, elements
from segments.sql.pieces import Params, Truth, all_of


def where(conditions: tuple[Condition, ...], fact: str, params: Params, zone: ZoneInfo) -> Truth:
    """Return whether a fact, by the alias of its table, meets all conditions."""
    place = Place(params, zone, f"{fact}.at")
    return all_of(_one(each, f"{fact}.props", place) for each in conditions)


def walk(path: str, root: str, params: Params) -> tuple[list[str], list[str], str]:
    """Return (tables of elements, their order, SQL of one value; NULL for nothing and for null).

    The tables are to be joined in turn, each of them once for a value; none for a path of one
    value.
    """
    tables: list[str] = []
    order: list[str] = []
    at = root
    for step in steps_of(path):
        # -> of a text reads objects alone, as the engine does: never the place in a list
        at = f"({at} -> {params.add(step.removesuffix('[]'), 'text')})"
        if step.endswith("[]"):
            alias = params.alias("e")
            tables.append(elements(at, alias, ordered=True))
            order.append(f"{alias}.n")
            at = f"{alias}.v"
    return tables, order, f"NULLIF({at}, 'null'::jsonb)"


def _one(each: Condition, root: str, place: Place) -> Truth:
    tables, _, subject = walk(each.key, root, place.params)
    if not is_many(each.key):
        return condition(each.op, each.value, subject, place)
    some = _some(tables)
    if each.op == "not_exists":
        found = some(f"{subject} IS NOT NULL")
        return Truth(f"NOT {found}", f"NOT {found}")
    held = condition(each.op, each.value, subject, place)
    return Truth(some(held.must), some(held.may))


def _some(tables: list[str]) -> Callable[[str], str]:
    source = " CROSS JOIN LATERAL ".join(tables)
    return lambda holds: f"EXISTS (SELECT FROM {source} WHERE {holds})"
