"""Exact decimal figures as whole millionths, which is what sums and averages are compared in.

Values that have at most six places are remembered as integers; others as texts of their exact
millionths, which is slower and rare.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

_MILLION = 1_000_000
_WIDE = 1 << 63


def stored(value: float) -> int | str:
    """Return a JSON number in millionths: an integer, or the text of an exact decimal."""
    if type(value) is int:
        return _narrow(value * _MILLION)
    with localcontext(prec=400):
        scaled = Decimal(repr(value)) * _MILLION
        whole = int(scaled)
        return _narrow(whole) if whole == scaled else str(scaled)


def _narrow(whole: int) -> int | str:
    """Return an integer that the JSON of a state can hold, which has 64 bits, or else its text."""
    return whole if abs(whole) < _WIDE else str(whole)


def exact(remembered: int | str) -> int | Decimal:
    """Return the number that `stored` made."""
    return remembered if type(remembered) is int else Decimal(remembered)


def millionths(value: int | str | Decimal) -> int:
    """Return exact millionths rounded to whole ones, half even."""
    if type(value) is int:
        return value
    with localcontext(prec=400):
        return int(Decimal(value).to_integral_value(ROUND_HALF_EVEN))


def divided(total: int | Decimal, count: int) -> int:
    """Return total / count in whole millionths, rounded half even."""
    if type(total) is not int:
        with localcontext(prec=400):
            return int((Decimal(total) / count).to_integral_value(ROUND_HALF_EVEN))
    whole, rest = divmod(total, count)
    twice = 2 * rest
    return whole + (twice > count or (twice == count and whole % 2 == 1))


# Comparisons between exact numbers, integers and decimals alike.
EXACT: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "between": lambda a, b: b[0] <= a <= b[1],
}
