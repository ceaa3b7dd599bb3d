"""Training data: interactions from the log, items limited to what the catalogue lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from personalization.catalog import selectors as catalogue
from personalization.events import extraction
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Interactions
from recommender.engine.queries import KIND_WEIGHTS

KINDS = tuple(KIND_WEIGHTS)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Interactions of all kinds; `kinds` (len(data),) places in `KINDS`; `keys` of item rows."""

    data: Interactions
    kinds: np.ndarray[tuple[int], np.dtype[np.int8]]
    keys: list[str]
    unknown: int

    def of(self, name: str) -> Interactions:
        """Return what the recipe `name` learns from."""
        wanted = [KINDS.index(kind) for kind in RECIPES[name].kinds]
        return self.data.where(np.isin(self.kinds, wanted))


def read(*, until: datetime, progress: Callable[[int], None] = lambda _rows: None) -> Dataset:
    """Return the data set of everything up to `until`; products that nobody met have no row."""
    touched = extraction.touches(kinds=KINDS, until=until, progress=progress)
    keys, rows = _rows_of(touched.items, catalogue.product_keys())
    known = rows >= 0
    users, user_rows = np.unique(touched.customers[known], return_inverse=True)
    weights = np.array([KIND_WEIGHTS[kind] for kind in KINDS], np.float32)
    data = Interactions(
        users=user_rows.astype(np.int32),
        items=rows[known],
        weights=weights[touched.kinds[known]],
        at_s=touched.at_s[known],
        n_users=len(users),
        n_items=len(keys),
    )
    return Dataset(data, touched.kinds[known], keys, int(np.count_nonzero(~known)))


def _rows_of(
    items: np.ndarray[tuple[int], np.dtype[np.int64]], keys: Sequence[str]
) -> tuple[list[str], np.ndarray[tuple[int], np.dtype[np.int32]]]:
    """Return (keys of the products met, row among them of each item code, -1 for no product)."""
    if not keys or not len(items):
        return [], np.full(len(items), -1, np.int32)
    codes = extraction.codes(keys)
    order = np.argsort(codes, kind="stable")
    met, inverse = np.unique(items, return_inverse=True)
    place = np.minimum(np.searchsorted(codes[order], met), len(codes) - 1)
    found = codes[order][place] == met
    row_of_met = np.where(found, np.cumsum(found) - 1, -1).astype(np.int32)
    listed = [keys[at] for at in order[place[found]].tolist()]
    return listed, row_of_met[inverse]
