"""What every clustering and every classifier must do, whatever it computes."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from segments.learning.engine.catalogue import FEATURES, PLACE
from segments.learning.engine.classifiers import Classifier, Sample
from segments.learning.engine.clusters import NOISE, ClusterConfig, Clustering
from segments.learning.engine.features import Floats
from segments.learning.engine.preparation import Preparation
from tests.segments.learning.people import TELLING, grouped

LOG = tuple(one.log for one in FEATURES)
CONFIG = ClusterConfig(k=3)


@cache
def points() -> Floats:
    """Components of three groups; columns without a group in them would drown a density."""
    values, _ = grouped(3)
    telling = [PLACE[name] for name in TELLING]
    return Preparation.fit(values[:, telling], [LOG[one] for one in telling]).transform(
        values[:, telling]
    )


@cache
def clustered(kind: type[Clustering]) -> Clustering:
    return kind.fit(points(), CONFIG, rng=rng())


@cache
def classified(kind: type[Classifier], k: int) -> Classifier:
    return kind.fit(sample(k), n_classes=k, rng=rng())


def rng(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


def _groups_are_found(kind: type[Clustering]) -> None:
    _, truth = grouped(3)
    label = clustered(kind).assign(points())
    held = label != NOISE
    assert held.mean() > 0.7
    for one in range(3):
        mine = label[held & (truth == one)]
        assert np.bincount(mine).max() / len(mine) > 0.9


def _labels_are_in_range(kind: type[Clustering]) -> None:
    model = clustered(kind)
    label = model.assign(rng().normal(0, 50, (40, points().shape[1])))
    assert label.dtype == np.int32
    assert ((label >= NOISE) & (label < model.n_clusters)).all()


def _membership_sums_to_one(kind: type[Clustering]) -> None:
    model = clustered(kind)
    held, label = model.membership(points()), model.assign(points())
    assert held.shape == (len(points()), model.n_clusters)
    np.testing.assert_allclose(held.sum(axis=1), (label != NOISE).astype(float), atol=1e-9)
    inside = label != NOISE
    assert (held[inside].argmax(axis=1) == label[inside]).all()


def _equal_input_equal_bytes(kind: type[Clustering]) -> None:
    first, second = (kind.fit(points(), CONFIG, rng=rng(9)).to_arrays() for _ in range(2))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def _clusters_come_back(kind: type[Clustering]) -> None:
    model = clustered(kind)
    again = kind.from_arrays(model.to_arrays())
    assert all(not array.dtype.hasobject for array in model.to_arrays().values())
    assert again.assign(points()).tolist() == model.assign(points()).tolist()


def _broken_clusters_are_refused(kind: type[Clustering]) -> None:
    arrays = clustered(kind).to_arrays()
    if len(arrays) == 1:
        broken = {"centers": arrays["centers"][:0]}
    else:
        last = list(arrays)[-1]
        broken = arrays | {last: arrays[last][:-1]}
    with pytest.raises(ValueError, match="fit together"):
        kind.from_arrays(broken)


def _one_customer_is_a_shop(kind: type[Clustering]) -> None:
    few = points()[:1]
    model = kind.fit(few, CONFIG, rng=rng())
    again = kind.from_arrays(model.to_arrays())
    assert len(again.assign(few)) == 1
    assert not len(again.assign(few[:0]))


def _twins_do_not_break_it(kind: type[Clustering]) -> None:
    model = kind.fit(np.zeros((50, 4)), CONFIG, rng=rng())
    assert len(set(model.assign(np.zeros((5, 4))).tolist())) == 1


CLUSTER_RULES = (
    _groups_are_found,
    _labels_are_in_range,
    _membership_sums_to_one,
    _equal_input_equal_bytes,
    _clusters_come_back,
    _broken_clusters_are_refused,
    _one_customer_is_a_shop,
    _twins_do_not_break_it,
)


def sample(n_classes: int = 2, *, size: int = 600, seed: int = 2) -> Sample:
    """The class depends on two features, one of them often missing."""
    source = rng(seed)
    values = source.lognormal(0, 1, (size, 6))
    score = np.log(values[:, 0]) + 2 * np.log(values[:, 3]) + source.normal(0, 0.5, size)
    target = np.searchsorted(np.quantile(score, np.linspace(0, 1, n_classes + 1)[1:-1]), score)
    values[source.random(values.shape) < 0.15] = np.nan
    return Sample(values, target.astype(np.int64), [True] * 6)


def _tells_classes_apart(kind: type[Classifier], k: int) -> None:
    model = classified(kind, k)
    fresh = sample(k, seed=8)
    right = model.probabilities(fresh.values).argmax(axis=1) == fresh.target
    assert right.mean() > (0.75 if k == 2 else 0.55)


def _rows_sum_to_one(kind: type[Classifier], k: int) -> None:
    held = classified(kind, k).probabilities(sample(k, seed=8).values)
    assert held.shape == (600, k)
    np.testing.assert_allclose(held.sum(axis=1), 1, atol=1e-9)
    assert (held >= 0).all()


def _model_comes_back(kind: type[Classifier], k: int) -> None:
    model = classified(kind, k)
    again = kind.from_arrays(model.to_arrays())
    values = sample(k, seed=8).values
    assert all(not array.dtype.hasobject for array in model.to_arrays().values())
    np.testing.assert_array_equal(again.probabilities(values), model.probabilities(values))


def _classifier_repeats(kind: type[Classifier], k: int) -> None:
    first, second = (kind.fit(sample(k), n_classes=k, rng=rng(4)).to_arrays() for _ in range(2))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def _broken_classifier_is_refused(kind: type[Classifier], k: int) -> None:
    arrays = classified(kind, k).to_arrays()
    name = "intercepts" if "intercepts" in arrays else "tree_threshold"
    with pytest.raises(ValueError, match="fit together"):
        kind.from_arrays(arrays | {name: arrays[name][:-1]})


def _weights_name_what_matters(kind: type[Classifier], k: int) -> None:
    weights = classified(kind, k).weights()
    assert weights.sum() == pytest.approx(1)
    assert weights.argmax() == 3


def _one_class_is_an_answer(kind: type[Classifier], k: int) -> None:
    given = sample(k)
    same = Sample(given.values, np.zeros(len(given.target), np.int64), given.log)
    held = kind.fit(same, n_classes=k, rng=rng()).probabilities(given.values)
    assert held[:, 0].min() > 0.99


def _a_column_of_nothing_is_normal(kind: type[Classifier], k: int) -> None:
    """No device was ever known, everybody has the same number of refunds."""
    given = sample(k)
    given.values[:, 0], given.values[:, 1] = np.nan, 7.0
    model = kind.fit(given, n_classes=k, rng=rng())
    assert np.isfinite(model.probabilities(given.values)).all()


def _all_missing_is_an_answer(kind: type[Classifier], k: int) -> None:
    model = classified(kind, k)
    assert np.isfinite(model.probabilities(np.full((3, 6), np.nan))).all()
    assert model.probabilities(np.zeros((0, 6))).shape == (0, k)


CLASSIFIER_RULES: tuple[Any, ...] = (
    _tells_classes_apart,
    _rows_sum_to_one,
    _model_comes_back,
    _classifier_repeats,
    _broken_classifier_is_refused,
    _weights_name_what_matters,
    _one_class_is_an_answer,
    _a_column_of_nothing_is_normal,
    _all_missing_is_an_answer,
)
