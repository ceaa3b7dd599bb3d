"""Popularity of a part: of a category, of a segment, of a country.

By category the query says which: those of the items that the visitor met. By group the caller does
(`Query.group`, a row of the model's own table); nobody's group is everybody's popularity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine import keys
from recommender.engine.base import (
    Algorithm,
    Arrays,
    Config,
    Cost,
    Interactions,
    Query,
    Scores,
    SideInfo,
)
from recommender.engine.gather import check_csr, spans, summed
from recommender.engine.matrix import MatrixConfig, scale_rows, user_items
from recommender.engine.products import largest_of_rows


@dataclass(frozen=True, slots=True)
class GroupPopularityConfig(MatrixConfig):
    """`by`: "category" of items or "group" of users. `kept`: items of a group, the most popular."""

    by: str = "category"
    kept: int = 200
    half_life_days: float = 30.0
    user_power: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what nothing can be grouped by."""
        if self.by not in {"category", "group"}:
            msg = f"by must be category or group, not {self.by!r}"
            raise ValueError(msg)


class _Table(NamedTuple):
    """Group names, and as CSR parts which groups each row (item or user) belongs to."""

    names: list[str]
    belongs: csr_matrix


class GroupPopularity(Algorithm):
    """Groups of items and items of groups.

    `starts` (n_items + 1,) and `groups`: the categories of each item, none by group. `indptr`
    (n_groups + 1,), `indices` and `data`: items of a group with their share of its most popular
    one's. Group 0 is everybody.
    """

    key = "group_popularity"
    config_type = GroupPopularityConfig

    def __init__(self, arrays: Mapping[str, NDArray[Any]], config: GroupPopularityConfig) -> None:
        self._arrays = dict(arrays)
        self._config = config
        self._names = {name: row for row, name in enumerate(keys.unpack(arrays, "group"))}
        self.n_items = len(arrays["starts"]) - 1

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model; without side information there is one group, everybody."""
        assert isinstance(config, GroupPopularityConfig)  # noqa: S101 -- narrows the type
        side = side or SideInfo()
        matrix = user_items(data, config, as_of_s)
        total = csr_matrix(np.asarray(matrix.sum(axis=0), np.float32).reshape(1, -1))
        if config.by == "category":
            table = _table(side.categories, data.n_items)
            popular = (table.belongs.T @ _diagonal(total)).tocsr()
            belongs = table.belongs
        else:
            table = _table(side.groups, data.n_users)
            popular = (table.belongs.T @ matrix).tocsr()
            belongs = csr_matrix((data.n_items, len(table.names)), dtype=np.float32)
        popular = _with_first(total, popular)
        kept = largest_of_rows(popular, config.kept)
        top = np.full(kept.shape[0], np.finfo(np.float32).tiny, np.float32)
        np.maximum.at(top, np.repeat(np.arange(len(top)), np.diff(kept.indptr)), kept.data)
        scale_rows(kept, (1 / top).astype(np.float32))
        arrays = {
            "starts": belongs.indptr.astype(np.int64),
            "groups": belongs.indices.astype(np.int32) + np.int32(1),
            "indptr": kept.indptr.astype(np.int64),
            "indices": kept.indices.astype(np.int32),
            "data": kept.data.astype(np.float32),
        }
        return cls(arrays | keys.pack(["", *table.names], "group"), config)

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of one sparse product."""
        return Cost(1e-6 * nnz, 100.0 * nnz + 100.0 * n_items)

    def group_of(self, name: str) -> int:
        """Return the row of a group, -1 for one that the model does not know."""
        return self._names.get(name, -1)

    def score(self, query: Query) -> Scores:
        """Return popularity in the query's groups; categories count as the query's items do."""
        rows, weights = self._groups_of(query)
        scores = np.zeros(self.n_items, np.float32)
        at, lengths = spans(self._arrays["indptr"], rows)
        shares = self._arrays["data"][at] * np.repeat(weights, lengths)
        items, found = summed(self._arrays["indices"][at], shares, self.n_items)
        scores[items] = found
        return scores

    def to_arrays(self) -> Arrays:
        """Return both tables and the names."""
        return dict(self._arrays)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: Config) -> Self:
        """Return the stored model."""
        assert isinstance(config, GroupPopularityConfig)  # noqa: S101 -- narrows the type
        n_items, n_groups = len(arrays["starts"]) - 1, len(arrays["indptr"]) - 1
        groups = arrays["groups"]
        check_csr(cls.key, arrays["starts"], groups, groups, n_columns=n_groups)
        check_csr(cls.key, arrays["indptr"], arrays["indices"], arrays["data"], n_columns=n_items)
        if len(keys.unpack(arrays, "group")) != n_groups:
            msg = "group_popularity arrays do not fit together"
            raise ValueError(msg)
        return cls(arrays, config)

    def _groups_of(self, query: Query) -> tuple[NDArray[np.int64], Scores]:
        if self._config.by == "group":
            known = 0 <= query.group < len(self._names)
            return np.array([query.group if known else 0]), np.ones(1, np.float32)
        at, lengths = spans(self._arrays["starts"], query.rows)
        return self._arrays["groups"][at].astype(np.int64), np.repeat(query.weights, lengths)


def _table(of_rows: Sequence[Sequence[str]], n_rows: int) -> _Table:
    """Return the groups of each row, (n_rows, n_groups), names in their order."""
    rows = [(row, name) for row, names in enumerate(of_rows[:n_rows]) for name in set(names)]
    names = sorted({name for _, name in rows})
    place = {name: at for at, name in enumerate(names)}
    pairs = ([row for row, _ in rows], [place[name] for _, name in rows])
    ones = np.ones(len(rows), np.float32)
    return _Table(names, csr_matrix((ones, pairs), shape=(n_rows, len(names))))


def _diagonal(total: csr_matrix) -> csr_matrix:
    n = total.shape[1]
    return csr_matrix((total.data, (total.indices, total.indices)), shape=(n, n))


def _with_first(first: csr_matrix, others: csr_matrix) -> csr_matrix:
    """Return the rows of both, one after another."""
    indptr = np.concatenate([first.indptr, others.indptr[1:] + first.nnz])
    indices = np.concatenate([first.indices, others.indices])
    data = np.concatenate([first.data, others.data])
    return csr_matrix((data, indices, indptr), shape=(1 + others.shape[0], first.shape[1]))
