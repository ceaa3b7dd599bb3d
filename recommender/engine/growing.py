"""A model grown by the newest events, without the log that it was fitted on.

The hourly step between two nightly fits. What came since is fitted by the same recipe; each pair of
items then takes as much of the new similarity as of the rarer item's evidence is new. That is no
refit: pairs of a new action and an old one of the same customer are missed until the night. Every
hour starts from the nightly model, so that errors do not add up.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine.algorithms import Recipe
from recommender.engine.item_knn import ItemKnn
from recommender.engine.itemitem import ItemItem
from recommender.engine.popularity import Popularity
from recommender.engine.products import largest_of_rows
from recommender.engine.rp3beta import Rp3beta
from recommender.engine.training import Fitted, Log, NothingToLearnError, evidence, facts_of

_GROWN = "grown_from_s"
# Similarities above 0, each pair for itself: EASE gives others, which do not stand alone.
_NEIGHBOURS = (ItemKnn, Rp3beta)


def grows(recipe: Recipe) -> bool:
    """Whether a recipe's model can be grown: sums of popularity, and neighbours of items."""
    if recipe.algorithm is Popularity:
        return not getattr(recipe.config, "against_days", 0)
    return recipe.algorithm in _NEIGHBOURS


def grow(
    recipe: Recipe,
    base: Mapping[str, NDArray[Any]],
    log: Log,
    *,
    from_s: float,
    as_of_s: float,
) -> Fitted:
    """Return the model of `base` (as of `from_s`) and what came since.

    The first rows of the log's items are the base's. `base` holds `evidence` (n_items,) float32.

    Raises
    ------
    NothingToLearnError
        Nothing came since that the recipe learns from.
    """
    part = log.of(recipe)
    if not len(part):
        msg = "nothing came since the last full training"
        raise NothingToLearnError(msg)
    half_life = float(getattr(recipe.config, "half_life_days", 0.0))
    faded = 2.0 ** (-(as_of_s - from_s) / 86_400 / half_life) if half_life > 0 else 1.0
    old = np.zeros(part.n_items, np.float64)
    old[: len(base["evidence"])] = base["evidence"] * faded
    new = evidence(recipe, part, as_of_s)
    if recipe.algorithm is Popularity:
        arrays = Popularity.of(old + new).to_arrays()
    else:
        fresh = recipe.algorithm.fit(recipe.shape(part), recipe.config, as_of_s=as_of_s)
        neighbours = int(getattr(recipe.config, "neighbours", part.n_items))
        assert isinstance(fresh, ItemItem)  # noqa: S101 -- as all of _NEIGHBOURS
        given = fresh.to_arrays()
        both = merged(
            _matrix(base, part.n_items), _matrix(given, part.n_items), old, new, neighbours
        )
        arrays = fresh.of(both, fresh.config).to_arrays()
    arrays["evidence"] = (old + new).astype(np.float32)
    facts = facts_of(part) | {_GROWN: from_s, "config": recipe.config.to_json()}
    return Fitted(arrays, facts, {})


def merged(
    old: csr_matrix,
    new: csr_matrix,
    old_evidence: NDArray[np.float64],
    new_evidence: NDArray[np.float64],
    keep: int,
) -> csr_matrix:
    """Return similarities (n, n) of both, the `keep` largest a row.

    A pair takes the share `max(s_i, s_j)` of `new`, s = new / (old + new) evidence of an item, and
    the rest of `old`. `new` is scaled so that items of both say as much at their loudest.
    """
    total = old_evidence + new_evidence
    share = np.divide(new_evidence, total, out=np.zeros(len(total)), where=total > 0)
    scaled = new * _scale(old, new)
    # each pair's share, laid over the pairs of either
    taken = _weighted(scaled, share)
    left = _weighted(old, share, rest=True)
    return largest_of_rows((taken + left).tocsr(), keep)


def _weighted(matrix: csr_matrix, share: NDArray[np.float64], *, rest: bool = False) -> csr_matrix:
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    factor = np.maximum(share[rows], share[matrix.indices])
    if rest:
        factor = 1.0 - factor
    return csr_matrix(
        ((matrix.data * factor).astype(np.float32), matrix.indices, matrix.indptr), matrix.shape
    )


def _scale(old: csr_matrix, new: csr_matrix) -> float:
    """Return what `new` is multiplied by: the ratio of the loudest of rows that both have."""
    loud_old, loud_new = _loudest(old), _loudest(new)
    both = (loud_old > 0) & (loud_new > 0)
    return float(loud_old[both].sum() / loud_new[both].sum()) if both.any() else 1.0


def _loudest(matrix: csr_matrix) -> NDArray[np.float64]:
    if not matrix.nnz:
        return np.zeros(matrix.shape[0])
    return np.asarray(matrix.max(axis=1).todense(), np.float64).ravel()


def _matrix(arrays: Mapping[str, NDArray[Any]], n_items: int) -> csr_matrix:
    """Return the base's matrix with empty rows for new items."""
    indptr = np.full(n_items + 1, arrays["indptr"][-1], arrays["indptr"].dtype)
    indptr[: len(arrays["indptr"])] = arrays["indptr"]
    return csr_matrix((arrays["data"], arrays["indices"], indptr), (n_items, n_items))
