"""What people turn to after an item: directed, the nearer the step the heavier.

Sequential rules: every later item of a history within a window counts for the earlier ones. The
only neighbour model that knows a charger follows a phone and not the other way round.

References
----------
Kamehkhosh, Jannach and Ludewig, "A comparison of frequent pattern techniques and a deep learning
method for session-based recommendation", RecTemp 2017, section 2.2 (sequential rules). Ludewig and
Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 2018, section 3.1.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_matrix

from recommender.engine.base import (
    Config,
    Cost,
    Interactions,
    Query,
    Rows,
    Scores,
    SideInfo,
    newest_once,
)
from recommender.engine.itemitem import ItemItem
from recommender.engine.matrix import (
    aged,
    column_sums,
    in_order,
    inverse,
    row_sums,
    scale_columns,
    scale_rows,
)
from recommender.engine.products import largest_of_rows


@dataclass(frozen=True, slots=True)
class TransitionsConfig(Config):
    """How steps count.

    `window`: the furthest step; one of n counts decay**(n - 1), and `backward` of it the other way:
    who came from there may not have been there yet (0.5 found 8 % more of what is new on sessions
    than 0, at 0.3 the order still shows). `row_power`, `column_power`: a
    pair is divided by (all steps from its item)**row_power and (all to the other)**column_power.
    `neighbours` kept an item. `query_decay`: weight of the visitor's n-th newest item.
    """

    window: int = 10
    decay: float = 0.6
    backward: float = 0.3
    row_power: float = 0.5
    column_power: float = 0.1
    neighbours: int = 200
    query_decay: float = 0.6
    half_life_days: float = 90.0


class Transitions(ItemItem):
    """Row i holds what followed item i."""

    key = "transitions"
    config_type = TransitionsConfig

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model; what happened at the same moment has no direction and counts for none.

        An item does not follow itself.
        """
        assert isinstance(config, TransitionsConfig)  # noqa: S101 -- narrows the type
        if not len(data):
            return cls.nothing(data.n_items, config)
        steps = _steps(data, config, as_of_s)
        back = steps.T.tocsr()
        back.data *= np.float32(config.backward)
        steps = steps + back
        del back
        total = row_sums(steps)
        scale_columns(steps, inverse(column_sums(steps), config.column_power))
        scale_rows(steps, inverse(total, config.row_power))
        return cls.of(largest_of_rows(steps, config.neighbours), config)

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of one sparse sum a step of the window."""
        assert isinstance(config, TransitionsConfig)  # noqa: S101 -- narrows the type
        pairs = float(nnz) * config.window
        return Cost(2e-7 * pairs, 60.0 * nnz + 16.0 * pairs)

    def asked(self, query: Query) -> tuple[Rows, Scores]:
        """Return the items by the place where each was last met; by weight without an order."""
        assert isinstance(self.config, TransitionsConfig)  # noqa: S101 -- narrows the type
        return newest_once(query, self.config.query_decay)


def _steps(data: Interactions, config: TransitionsConfig, as_of_s: float) -> csr_matrix:
    """Return the weight of all steps from item to item, (n_items, n_items) float32."""
    order = in_order(data)
    users, items, at_s = data.users[order], data.items[order], data.at_s[order]
    weights = aged(data, config.half_life_days, as_of_s)[order]
    # times as whole numbers of their order: half the size, and all that is asked of them
    moments = np.zeros(len(order), np.int32)
    np.cumsum((users[1:] != users[:-1]) | (at_s[1:] > at_s[:-1]), out=moments[1:])
    del order, at_s
    steps = csr_matrix((data.n_items, data.n_items), dtype=np.float32)
    for gap in range(1, config.window + 1):
        follows = (users[gap:] == users[:-gap]) & (items[gap:] != items[:-gap])
        follows &= moments[gap:] > moments[:-gap]
        counts = weights[gap:][follows] * np.float32(config.decay ** (gap - 1))
        pairs = (items[:-gap][follows], items[gap:][follows])
        steps = steps + csr_matrix((counts, pairs), shape=steps.shape)
    return steps
