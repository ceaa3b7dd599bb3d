"""Arrays of models: several parts side by side under prefixes, refused when they do not fit."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def prefixed(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays named `prefix_NAME`."""
    return {f"{prefix}_{name}": array for name, array in arrays.items()}


def part(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return what `prefixed` named so, by its own names."""
    whole = f"{prefix}_"
    return {name[len(whole) :]: a for name, a in arrays.items() if name.startswith(whole)}


def need(holds: object, what: str) -> None:
    """Raise ValueError unless the arrays of `what` fit together."""
    if not holds:
        msg = f"arrays of {what} do not fit together"
        raise ValueError(msg)
