"""Every clustering and classifier keeps the contract, and answers as scikit-learn does."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans as SkKMeans
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.mixture import GaussianMixture

from segments.learning.engine.classifiers import CLASSIFIERS, Boosting, Classifier
from segments.learning.engine.clusters import (
    ALGORITHMS,
    ClusterConfig,
    Clustering,
    KMeans,
    MiniBatchKMeans,
    Mixture,
)
from segments.learning.engine.trees import Trees, of_boosting, of_forest
from tests.segments.learning.contract import (
    CLASSIFIER_RULES,
    CLUSTER_RULES,
    points,
    rng,
    sample,
)


@pytest.mark.parametrize("rule", CLUSTER_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("kind", ALGORITHMS.values(), ids=ALGORITHMS)
def test_clustering__contract(kind: type[Clustering], rule: Any) -> None:
    rule(kind)


@pytest.mark.parametrize("rule", CLASSIFIER_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("kind", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_classifier__contract(kind: type[Classifier], k: int, rule: Any) -> None:
    rule(kind, k)


@pytest.mark.parametrize("k", [2, 4])
def test_forest__arrays__answer_as_scikit_learn(k: int) -> None:
    given, fresh = sample(k), sample(k, seed=8)
    made = RandomForestClassifier(30, min_samples_leaf=5, random_state=1)
    made.fit(given.values, given.target)

    ours = Trees.from_arrays(of_forest(made).to_arrays()).total(fresh.values)

    np.testing.assert_allclose(ours, made.predict_proba(fresh.values), atol=1e-12)


@pytest.mark.parametrize("gaps", [True, False])
def test_boosting__arrays__answer_as_scikit_learn(gaps: bool) -> None:
    given, fresh = sample(), sample(seed=8)
    values = given.values if gaps else np.nan_to_num(given.values)
    asked = fresh.values if gaps else np.nan_to_num(fresh.values)
    made = HistGradientBoostingClassifier(max_iter=40, random_state=1).fit(values, given.target)

    ours = Boosting(Trees.from_arrays(of_boosting(made).to_arrays()), np.zeros(1))

    np.testing.assert_allclose(ours.probabilities(asked), made.predict_proba(asked), atol=1e-12)


def test_boosting__more_classes__answers_as_scikit_learn() -> None:
    given, fresh = sample(4), sample(4, seed=8)
    made = HistGradientBoostingClassifier(max_iter=20, random_state=1)
    made.fit(given.values, given.target)

    ours = Boosting(Trees.from_arrays(of_boosting(made).to_arrays()), np.zeros(1))

    assert ours.n_classes == 4
    np.testing.assert_allclose(
        ours.probabilities(fresh.values), made.predict_proba(fresh.values), atol=1e-12
    )


@pytest.mark.parametrize("kind", CLASSIFIERS.values(), ids=CLASSIFIERS)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_classifier__classes_that_do_not_occur__hardly_an_answer(
    kind: type[Classifier], k: int
) -> None:
    given = sample(max(k, 2))
    places = np.array([1, 3, 4])[given.target % k]

    held = kind.fit(replace(given, target=places), n_classes=6, rng=rng())

    found = held.probabilities(given.values)
    assert found.shape == (len(places), 6)
    assert found[:, [0, 2, 5]].max() < 1e-6
    assert (found.argmax(axis=1) == places).mean() > 0.7


def test_mixture__membership__is_scikit_learns() -> None:
    made = GaussianMixture(3, reg_covar=1e-3, random_state=1).fit(points())

    ours = Mixture(made.means_, made.precisions_cholesky_, made.weights_)

    np.testing.assert_allclose(ours.membership(points()), made.predict_proba(points()), atol=1e-9)


def test_kmeans__assign__is_scikit_learns() -> None:
    made = SkKMeans(3, n_init=3, random_state=1).fit(points())

    assert KMeans(made.cluster_centers_).assign(points()).tolist() == made.labels_.tolist()


def test_minibatch__one_centre__is_the_mean_of_all_it_has_seen() -> None:
    model = MiniBatchKMeans.fit(points(), ClusterConfig(k=1), rng=rng())
    before = model.centers.copy()

    moved = model.partial_fit(points() + 9.0, rng=rng())

    assert (model.centers == before).all()
    assert moved.seen.sum() == model.seen.sum() + len(points())
    share = len(points()) / moved.seen.sum()
    np.testing.assert_allclose(moved.centers[0], points().mean(axis=0) + 9.0 * share, atol=1e-6)


def test_engine__without_a_fit__does_not_load_scikit_learn() -> None:
    """Web workers and scoring read arrays; the package would weigh on each of them."""
    code = "import segments.learning.engine.learned, sys; sys.exit('sklearn' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
