"""The candidates of every selection: recipes, what the data must have for them, what is tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Changes = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One candidate.

    `wants`: what the data must have: "order", "times", "own" (repeats), "side" (attributes).
    `grid`: changes of the config that are tried on the validation part one after the other, each
    kept where it helps; one of `half_life_days` only where there are times. `base`: changes that
    are always made. `folds`: whether the model reads the weights of its query. `default`: whether
    it takes part unasked. A `reference` is reported and never chosen.
    """

    recipe: str
    grid: Changes = ()
    wants: frozenset[str] = frozenset()
    folds: bool = True
    default: bool = True
    base: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""

    @property
    def name(self) -> str:
        """The name in reports: the recipe's, or the reference's own."""
        return self.reference or self.recipe


_SLOWER: Changes = ({"half_life_days": 365.0}, {"half_life_days": 0.0})
_ORDER, _OWN, _SIDE = (frozenset({what}) for what in ("order", "own", "side"))

# Those that won most often for their cost come first: the budget refuses from the end.
ENTRIES: tuple[Entry, ...] = (
    Entry(
        "popularity",
        ({"half_life_days": 7.0}, {"half_life_days": 180.0}, {"half_life_days": 3_650.0}),
        folds=False,
    ),
    Entry(
        "buy_again",
        ({"half_life_days": 30.0}, {"half_life_days": 365.0}, {"waiting": 0.0}, {"prior": 1e6}),
        _OWN,
    ),
    # every item as likely to be bought again as any other: how often and how lately, no more
    Entry(
        "buy_again",
        ({"half_life_days": 30.0}, {"half_life_days": 365.0}),
        _OWN,
        base={"waiting": 0.0, "prior": 1e9},
        reference="personal_frequency",
    ),
    Entry("item_knn", (*_SLOWER, {"user_power": 0.5}, {"user_power": 0.0})),
    Entry("item_knn_cosine", _SLOWER),
    # implicit's CosineRecommender as it comes: 20 neighbours, no decay, no cap
    Entry(
        "item_knn_cosine",
        base={
            "neighbours": 20,
            "user_power": 0.0,
            "half_life_days": 0.0,
            "cap": 0,
            "pair_cap": 0.0,
        },
        reference="implicit_cosine",
    ),
    Entry("item_knn_asymmetric", (*_SLOWER, {"shrink": 10.0}, {"user_power": 0.5})),
    Entry("item_knn_tfidf", _SLOWER, default=False),
    Entry("rp3beta", (*_SLOWER, {"beta": 0.5}, {"beta": 0.1}, {"alpha": 0.8})),
    Entry(
        "transitions", (*_SLOWER, {"query_decay": 0.8}, {"query_decay": 0.4}), _ORDER, folds=False
    ),
    Entry("session_knn", (*_SLOWER, {"rare": 0.5}, {"near": 8.0}), _ORDER, folds=False),
    Entry("content", wants=_SIDE),
    Entry("als", _SLOWER),
    Entry("ease", (*_SLOWER, {"ridge_share": 4.0}, {"ridge_share": 1.0})),
    Entry("user_knn", _SLOWER),
    Entry("gfcf", (*_SLOWER, {"alpha": 0.6})),
    Entry("svd", _SLOWER),
    Entry("hybrid", _SLOWER, _SIDE, default=False),
    # weaker and slower than the others on every data set that was tried
    Entry("bpr", default=False),
)
