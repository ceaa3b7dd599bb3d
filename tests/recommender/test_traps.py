"""What implicit 0.7.3 does silently wrong, and where each trap is guarded.

| | trap | guard | test |
|---|---|---|---|
| 1 | fit hangs in a forked child once threads ran | one thread, always | `test_fork__...` |
| 2 | BLAS threads under its own make it slow, and warn | limited while fitting | `test_fork__...` |
| 3 | a cold user gets items 4, 3, 2, 1, 0 | nothing known, no answer | `test_cold__...` |
| 4 | more asked than is left: item 0 or -1 follows | own selection | contract: answers are clean |
| 5 | own items among the allowed come back at -3e38 | dropped first | `test_allowed__...` |
| 6 | a second fit of one object reads out of range | a new one each | `test_refit__...` |
| 7 | NaN, zeros and no data at all are fitted | `Interactions` refuses | `test_nonsense__...` |
| 8 | an unknown id raises IndexError | folded away | contract: unseen items |
| 9 | a `csr_array` is refused | matrices everywhere | `test_user_items__...` |
| 10 | BPR differs between runs | one thread, a seed | contract: equal bytes |
| 11 | files bring K back without a dimension | own arrays | contract: arrays bring it back |
| 12 | an item is its own neighbour and takes a place | `diagonal` | `test_neighbours__...` |
| 13 | BPR has one factor more, the bias | cut off | `test_bpr__...` |
| 14 | pickle in files | `npz` without | contract: arrays bring it back |
| 15 | many users are a Python loop | one product | contract: many are scored as one |
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, sparray

from recommender.engine.algorithms import RECIPES
from recommender.engine.als import Als, AlsConfig
from recommender.engine.base import Interactions
from recommender.engine.bpr import Bpr, BprConfig
from recommender.engine.factors import Factors
from recommender.engine.item_knn import ItemKnn, ItemKnnConfig
from recommender.engine.matrix import MatrixConfig, user_items
from tests.recommender import contract

# Far above the second that it takes: a hang, not a slow machine, is what ends it.
_HANGS_S = 120.0
_FORK = """
import os, sys
from recommender.engine.algorithms import RECIPES
from tests.recommender import contract

def fit():
    for recipe in RECIPES.values():
        recipe.algorithm.fit(contract.interactions(), recipe.config, as_of_s=contract.AS_OF_S)

fit()
child = os.fork()
if not child:
    fit()
    os._exit(7)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_fork__all_models_fitted_before_it__child_fits_them_again() -> None:
    """Two threads of BLAS, and implicit's warning about them an error."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", _FORK],
        cwd=root,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": str(root)},
        timeout=_HANGS_S,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 7, done.stderr.decode()[-2000:]


@pytest.mark.parametrize("name", RECIPES)
def test_threads__every_recipe__one_by_default(name: str) -> None:
    assert getattr(RECIPES[name].config, "num_threads", 1) == 1


@pytest.mark.parametrize("name", [n for n in RECIPES if issubclass(RECIPES[n].algorithm, Factors)])
def test_cold__only_items_that_nobody_met__no_answer(name: str) -> None:
    recipe = RECIPES[name]
    model = recipe.algorithm.fit(contract.interactions(), recipe.config, as_of_s=contract.AS_OF_S)
    asked = model.fold_in(np.array([contract.N_ITEMS - 1]), np.ones(1))

    assert np.isfinite(model.score(asked)).all()
    if name != "bpr":  # whose biases answer for everybody
        assert not len(model.recommend(asked, 5).rows)
    assert not len(model.recommend(model.fold_in(np.zeros(0, int), np.zeros(0)), 5).rows)


@pytest.mark.parametrize("name", RECIPES)
def test_allowed__own_items_alone__no_answer(name: str) -> None:
    recipe = RECIPES[name]
    model = recipe.algorithm.fit(
        contract.interactions(), recipe.config, as_of_s=contract.AS_OF_S, side=contract.side()
    )
    allowed = np.zeros(contract.N_ITEMS, np.bool_)
    allowed[[2, 5]] = True

    query = model.fold_in(np.array([2, 5]), np.ones(2))

    assert not len(model.recommend(query, 5, allowed=allowed).rows)


def test_refit__other_shape__as_if_it_were_the_first() -> None:
    small = contract.interactions(size=300)
    large = Interactions(
        *(small.users, small.items, small.weights, small.at_s), n_users=500, n_items=400
    )
    first = Als.fit(small, AlsConfig(), as_of_s=0.0).to_arrays()["items"]
    grown = Als.fit(large, AlsConfig(), as_of_s=0.0).to_arrays()["items"]
    again = Als.fit(small, AlsConfig(), as_of_s=0.0).to_arrays()["items"]

    assert grown.shape[0] == 400
    assert np.isfinite(grown).all()
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(("weight", "at_s"), [(np.nan, 0.0), (0.0, 0.0), (1.0, np.nan)])
def test_nonsense__refused_before_anything_is_fitted(weight: float, at_s: float) -> None:
    row = np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="must be finite"):
        Interactions(row, row, np.array([weight], np.float32), np.array([at_s]), 1, 1)


def test_user_items__csr_matrix__not_an_array() -> None:
    matrix = user_items(contract.interactions(), MatrixConfig(), 0.0)

    assert isinstance(matrix, csr_matrix)
    assert not isinstance(matrix, sparray)


@pytest.mark.parametrize("self_similar", [False, True])
def test_neighbours__as_many_as_configured__itself_only_if_asked(*, self_similar: bool) -> None:
    config = ItemKnnConfig(neighbours=3, self_similar=self_similar)
    arrays = ItemKnn.fit(contract.interactions(), config, as_of_s=0.0).to_arrays()
    kept = np.diff(arrays["indptr"])
    owners = np.repeat(np.arange(contract.N_ITEMS), kept)

    assert set(kept.tolist()) == {0, 3}
    assert bool((owners == arrays["indices"]).any()) is self_similar


def test_bpr__bias__is_no_factor() -> None:
    config = BprConfig(factors=5)
    arrays = Bpr.fit(contract.interactions(), config, as_of_s=0.0).to_arrays()

    assert arrays["items"].shape == (contract.N_ITEMS, 5)
    assert arrays["bias"].shape == (contract.N_ITEMS,)
