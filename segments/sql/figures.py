"""Aggregates of what the events of a window say, as SQL, exact in decimals.

A figure rounded half even is compared without rounding it: rounded(x) >= v exactly when x >= v - ½
for even v and x > v - ½ for odd v, in whole millionths. So nothing is divided either.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from segments.engine.decimals import millionths, stored
from segments.engine.language import Leaf, takes_numbers
from segments.engine.values import compared
from segments.sql.facts import Frame, joined
from segments.sql.operators import Place, condition
from segments.sql.paths import walk
from segments.sql.pieces import Params

_SIGNS = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """The query of customers for whom a figure compares so (or, negated, of whom it does not)."""

    query: str
    negated: bool = False
    exact: bool = True


def compares(figure: str, op: str, value: Any, params: Params, *, cast: str = "numeric") -> str:
    """Return SQL of an exact figure compared with a number."""
    if op == "between":
        low, high = (params.add(_decimal(one), cast) for one in value)
        return f"{figure} BETWEEN {low} AND {high}"
    return f"{figure} {_SIGNS[op]} {params.add(_decimal(value), cast)}"


def figure(leaf: Leaf, frame: Frame, facts: str, takes: str) -> Figure:
    """Return the figure of an aggregate leaf over facts that are taken."""
    tables, order, value = walk(leaf.prop, "f.props", frame.params)
    facts = f"{joined(facts, tables)} AND {takes}"
    if leaf.agg == "distinct":
        return _distinct(leaf, frame, f"{facts} AND {value} IS NOT NULL", value)
    kinds = "('number')" if takes_numbers(leaf) else "('string', 'number', 'boolean')"
    told = f"jsonb_typeof({value}) IN {kinds}"
    if leaf.agg in ("first", "last"):
        return _end(leaf, frame, f"{facts} AND {told}", value, order)
    number = f"(CASE WHEN jsonb_typeof({value}) = 'number' THEN {value}::numeric END)"
    grouped = f"SELECT {frame.customer} FROM {facts} GROUP BY {frame.customer} HAVING "  # noqa: S608 -- parameters only
    if leaf.agg in ("min", "max"):
        return Figure(
            grouped + compares(f"{leaf.agg}({number})", leaf.op, leaf.value, frame.params)
        )
    if leaf.agg == "avg":
        holds = _rounded(f"sum({number})", f"count({number})", leaf, frame.params)
        return Figure(f"{grouped}count({number}) > 0 AND {holds}")
    holds = _rounded(f"COALESCE(sum({number}), 0)", "1", leaf, frame.params)
    wanted = leaf.value if isinstance(leaf.value, list) else [leaf.value]
    rounded = [millionths(stored(one)) for one in wanted]
    negated = compared(leaf.op, rounded if isinstance(leaf.value, list) else rounded[0])(0)
    return Figure(grouped + (f"NOT ({holds})" if negated else holds), negated)


def _distinct(leaf: Leaf, frame: Frame, facts: str, value: str) -> Figure:
    negated = compared(leaf.op, leaf.value)(0)
    holds = compares("count(*)", leaf.op, leaf.value, frame.params)
    query = (
        f"SELECT d.customer_id FROM (SELECT DISTINCT f.customer_id, {value} "  # noqa: S608 -- parameters only
        f"FROM {facts}) d "
        f"GROUP BY d.customer_id HAVING {f'NOT ({holds})' if negated else holds}"
    )
    return Figure(query, negated)


def _end(leaf: Leaf, frame: Frame, facts: str, value: str, order: list[str]) -> Figure:
    place = Place(frame.params, frame.calendar.zone, frame.params.add(frame.now, "bigint"))
    holds = condition(leaf.op, leaf.value, "d.v", place)
    way = " DESC" if leaf.agg == "last" else ""
    places = ", ".join(f"{one}{way}" for one in ("f.at", "f.seq", *order))
    query = (
        "SELECT d.customer_id FROM (SELECT DISTINCT ON (f.customer_id) f.customer_id, "  # noqa: S608 -- parameters only
        f"{value} AS v FROM {facts} ORDER BY f.customer_id, {places}) d "
        f"WHERE {holds.must}"
    )
    return Figure(query, exact=holds.exact)


def _rounded(total: str, count: str, leaf: Leaf, params: Params) -> str:
    """Return the comparison of total / count, rounded to six places, with the value."""
    value = leaf.value
    if leaf.op == "between":
        low, high = (millionths(stored(one)) for one in value)
        least, most = _least(total, count, low, params), _least(total, count, high + 1, params)
        return f"({least} AND NOT {most})"
    wanted = millionths(stored(value))
    least, more = _least(total, count, wanted, params), _least(total, count, wanted + 1, params)
    return {
        "gte": least,
        "lt": f"NOT {least}",
        "gt": more,
        "lte": f"NOT {more}",
        "eq": f"({least} AND NOT {more})",
        "neq": f"NOT ({least} AND NOT {more})",
    }[leaf.op]


def _least(total: str, count: str, wanted: int, params: Params) -> str:
    """Return whether total / count, in whole millionths rounded half even, is at least that."""
    sign = ">=" if wanted % 2 == 0 else ">"
    edge = params.add(2 * wanted - 1, "numeric")
    return f"({total} * {2 * _MILLION} {sign} {edge} * {count})"


def _decimal(value: Any) -> Decimal:
    return Decimal(repr(value))
