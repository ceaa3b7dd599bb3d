"""Training data: interactions from the log, items limited to what the catalogue lists.

And what is known beside them: the catalogue's words for items, the groups of customers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization.catalog import selectors as catalogue
from personalization.events import extraction
from recommender import groups, weighing
from recommender.engine.base import Interactions, SideInfo
from recommender.engine.situations import Situations
from recommender.engine.training import KINDS
from recommender.groups import Groups

# Words of a product that models read; longer texts are mostly boilerplate.
_TEXT_CHARS = 2_000
# Attributes of a product that count; a shop that sends hundreds says little by each.
_MOST_ATTRIBUTES = 50


@dataclass(frozen=True, slots=True)
class Dataset:
    """Interactions of all kinds; `kinds` (len(data),) places in `KINDS`; `keys` of item rows.

    `met_in` (len(data), 3) the situations, see `engine.situations`. `customers` ids of user rows,
    ascending; `unknown`: interactions with what no product has.
    """

    data: Interactions
    kinds: NDArray[np.int8]
    met_in: Situations
    keys: list[str]
    customers: NDArray[np.int64]
    unknown: int


def read(
    *,
    until: datetime,
    since: datetime | None = None,
    first_keys: Sequence[str] = (),
    progress: Callable[[int], None] = lambda _rows: None,
) -> Dataset:
    """Return the data set of (since, until]; products that nobody met have no row.

    Parameters
    ----------
    first_keys
        Keys that take the first rows in this order, met or not; those of a model that grows.
    """
    touched = extraction.touches(kinds=KINDS, since=since, until=until, progress=progress)
    keys, rows = _rows_of(touched.items, catalogue.product_keys(), first_keys)
    known = rows >= 0
    unknown = int(np.count_nonzero(~known))
    kinds, met_in = touched.kinds[known], touched.situations[known]
    table = weighing.kind_weights()
    weights = np.array([table[kind] for kind in KINDS], np.float32)[kinds]
    at_s, who = touched.at_s[known], touched.customers[known]
    # a million rows are 25 MB here and 20 there: not both longer than needed
    del touched
    customers, users = np.unique(who, return_inverse=True)
    del who
    data = Interactions(
        users.astype(np.int32), rows[known], weights, at_s, len(customers), len(keys)
    )
    return Dataset(data, kinds, met_in, keys, customers, unknown)


def groups_of(data: Dataset) -> Groups:
    """Return the groups of the customers of user rows."""
    return groups.groups(data.customers)


def side_of(keys: Sequence[str]) -> SideInfo:
    """Return what the catalogue says of items; `groups` are left out."""
    told = {row["key"]: row for row in catalogue.descriptions()}
    paths = catalogue.category_paths()
    rows = [told.get(key, _NOTHING) for key in keys]
    prices = [row["price_minor"] for row in rows]
    return SideInfo(
        attributes=[_attributes(row) for row in rows],
        categories=[[paths.get(key, key) for key in row["categories"]] for row in rows],
        texts=[_text(row) for row in rows],
        prices=np.array([np.nan if one is None else one for one in prices], np.float64),
    )


_NOTHING: Mapping[str, Any] = {
    "title": "",
    "brand": "",
    "categories": (),
    "attributes": {},
    "price_minor": None,
}


def _attributes(row: Mapping[str, Any]) -> list[str]:
    """Return "name=value" of the brand and of every plain attribute, sorted."""
    found = {f"brand={row['brand']}"} if row["brand"] else set()
    for name, value in row["attributes"].items():
        values: Iterable[Any] = value if isinstance(value, list) else (value,)
        found |= {f"{name}={one}" for one in values if isinstance(one, str | int | float)}
    return sorted(found)[:_MOST_ATTRIBUTES]


def _text(row: Mapping[str, Any]) -> str:
    words = row["attributes"].get("description")
    return f"{row['title']} {words if isinstance(words, str) else ''}".strip()[:_TEXT_CHARS]


def _rows_of(
    items: NDArray[np.int64], keys: Sequence[str], first: Sequence[str]
) -> tuple[list[str], NDArray[np.int32]]:
    """Return (keys that have a row, row of each item code, -1 for no product)."""
    listed = list(dict.fromkeys([*first, *keys])) if first else list(keys)
    if not listed or not len(items):
        return list(first), np.full(len(items), -1, np.int32)
    codes = extraction.codes(listed)
    order = np.argsort(codes, kind="stable")
    met, inverse = np.unique(items, return_inverse=True)
    place = np.minimum(np.searchsorted(codes[order], met), len(codes) - 1)
    found = codes[order][place] == met
    wanted = np.zeros(len(listed), np.bool_)
    wanted[order[place[found]]] = True
    wanted[: len(first)] = True
    row_of_key = np.where(wanted, np.cumsum(wanted) - 1, -1).astype(np.int32)
    row_of_met = np.where(found, row_of_key[order[place]], -1).astype(np.int32)
    return [listed[at] for at in np.flatnonzero(wanted).tolist()], row_of_met[inverse]
