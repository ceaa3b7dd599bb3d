"""Clusters of customers: chosen, named, told as rules, kept by number."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.learning.engine import choosing, naming, surrogate
from segments.learning.engine.catalogue import NAMES, PLACE, PREFIX, READABLE
from segments.learning.engine.clusters import ALGORITHMS, NOISE, ClusterConfig, KMeans
from segments.learning.engine.features import Floats
from segments.learning.engine.matching import nearest_ids, stable_ids
from segments.learning.engine.methods import METHODS, SETTINGS, faults
from segments.learning.engine.preparation import Preparation
from segments.learning.engine.segmentation import Segmentation, chosen_k, told
from tests.segments.learning.contract import CONFIG, points, rng
from tests.segments.learning.people import TELLING, grouped


def fit(seed: int = 3, algorithm: str = "kmeans") -> Segmentation:
    values, _ = grouped(seed)
    return Segmentation.fit(values, algorithm=algorithm, config=CONFIG, rng=rng(), features=TELLING)


def holds(rule: dict[str, Any], values: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """A second reading of the rule language, for the leaves that a surrogate writes."""
    if "and" in rule:
        return np.asarray(np.all([holds(one, values) for one in rule["and"]], axis=0))
    if "or" in rule:
        return np.asarray(np.any([holds(one, values) for one in rule["or"]], axis=0))
    if "not" in rule:
        return ~holds(rule["not"], values)
    name = rule["key"].removeprefix(PREFIX)
    assert rule["kind"] == ("score" if rule["key"].startswith(PREFIX) else "profile")
    column = values[:, PLACE[name]]
    with np.errstate(invalid="ignore"):
        compared = {"gt": np.greater, "gte": np.greater_equal, "lte": np.less_equal}
        return np.asarray(compared[rule["op"]](column, rule["value"]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_segmentation__arrays__bring_it_back(algorithm: str) -> None:
    values, _ = grouped(3)
    model = fit(algorithm=algorithm)

    again = Segmentation.from_arrays(algorithm, model.to_arrays())

    assert again.labels(values).tolist() == model.labels(values).tolist()
    np.testing.assert_allclose(again.membership(values), model.membership(values))
    with pytest.raises(ValueError, match="fit together"):
        Segmentation.from_arrays(algorithm, model.to_arrays() | {"ids": np.zeros(9, np.int64)})


def test_chosen_k__three_groups__are_three_with_both_figures() -> None:
    values, _ = grouped(3)

    k, listed = chosen_k(
        values, algorithm="kmeans", config=ClusterConfig(k=0), rng=rng(), features=TELLING
    )

    assert k == 3
    assert [one.k for one in listed] == [3, 4, 5, 6, 7, 8]
    three = listed[0]
    assert three.silhouette == max(one.silhouette for one in listed)
    assert three.stability > 0.95


def test_chosen__no_stable_k__takes_the_stablest() -> None:
    listed = [
        choosing.Candidate(3, 0.9, 0.5, 0.1),
        choosing.Candidate(4, 0.2, 0.7, 0.1),
    ]

    assert choosing.chosen(listed).k == 4
    assert choosing.chosen([*listed, choosing.Candidate(5, 0.1, 0.8, 0.1)]).k == 5


def test_separation__one_cluster__is_undefined() -> None:
    assert np.isnan(choosing.separation(points(), np.zeros(len(points()), np.int32)))


def test_chosen_k__density__finds_its_number() -> None:
    values, _ = grouped(3)

    k, listed = chosen_k(values, algorithm="hdbscan", config=CONFIG, rng=rng(), features=TELLING)

    assert 3 <= k <= 5
    assert len(listed) == 1


def test_told__groups__have_names_and_rules_of_their_own() -> None:
    values, _ = grouped(3)
    model = fit()

    found = told(model, values, rng=rng())

    titles = [one["title"] for one in found["clusters"]]
    assert len(set(titles)) == 3
    assert any("many" in title.lower() or "high spending" in title.lower() for title in titles)
    assert found["accuracy"] > 0.95
    labels = model.labels(values)
    for one in found["clusters"]:
        inside, taken = labels == one["label"], holds(one["rule"], values)
        assert one["members"] == inside.sum()
        assert one["precision"] == pytest.approx((taken & inside).sum() / taken.sum())
        assert one["coverage"] == pytest.approx((taken & inside).sum() / inside.sum())
    json.dumps(found, allow_nan=False)


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_retell__rules__part_the_customers(seed: int) -> None:
    """Each customer, with whatever gaps, is taken by the rule of exactly one label."""
    source = np.random.default_rng(seed)
    values = source.lognormal(3, 2, (300, len(NAMES)))
    values[source.random(values.shape) < 0.3] = np.nan
    for name in ("orders", "revenue_minor"):
        values[:, PLACE[name]] = source.integers(0, 20, 300)
    labels = source.integers(-1, 3, 300)
    labels[np.nan_to_num(values[:, PLACE["days_since_order"]]) > 30] = 1

    found = surrogate.retell(NAMES, values, labels, rng=source)

    taken = [holds(one.rule, values) for one in found.told if one.rule]
    assert (np.sum(taken, axis=0) == 1).all()


def test_retell__columns__are_those_that_rules_can_read() -> None:
    assert {"orders", "revenue_minor", "days_since_order"} <= set(READABLE)
    assert "category_bits" not in READABLE


def test_retell__one_cluster__everybody() -> None:
    values, _ = grouped(1)

    found = surrogate.retell(NAMES, values, np.zeros(len(values), np.int64), rng=rng())

    assert found.told[0].rule == {"kind": "profile", "key": "events", "op": "gte", "value": 0}
    assert (found.accuracy, found.told[0].precision) == (1.0, 1.0)


def test_titles__noise_and_twins__have_names_of_their_own() -> None:
    trait = naming.Trait("orders", 2.0, 9.0, 1.0)

    found = naming.titles({NOISE: [trait], 0: [trait], 1: [trait], 2: []})

    assert found == {
        NOISE: naming.NOISE_TITLE,
        0: "Many orders",
        1: "Many orders (1)",
        2: "average",
    }


def test_titles__one_family__is_said_once() -> None:
    traits = [
        naming.Trait("orders", 2.0, 9.0, 1.0),
        naming.Trait("views_90d", 1.5, 9.0, 1.0),
        naming.Trait("items_viewed", 1.4, 9.0, 1.0),
    ]

    assert naming.titles({0: traits})[0] == "Many orders, looks at much"


@given(st.integers(0, 2**31), st.permutations(range(4)))
@settings(max_examples=50, deadline=None)
def test_stable_ids__renumbered_clusters__keep_their_ids(seed: int, mixed: list[int]) -> None:
    source = np.random.default_rng(seed)
    raw = source.integers(0, 4, 200).astype(np.int32)
    old = np.array(mixed)[raw] + 10

    assert stable_ids(old, raw, clusters=4).tolist() == [one + 10 for one in mixed]


def test_stable_ids__a_cluster_of_strangers__gets_a_fresh_id() -> None:
    old = np.array([5] * 40 + [NOISE] * 20)
    new = np.array([1] * 40 + [0] * 20, np.int32)

    assert stable_ids(old, new, clusters=2, least_id=9).tolist() == [9, 5]
    assert stable_ids(old[:0], new[:0], clusters=2).tolist() == [0, 1]


def test_nearest_ids__centres_move_a_little__keep_their_ids() -> None:
    old = np.array([[0.0, 0], [10, 0]])
    new = np.array([[9.0, 0], [0, 1], [50, 50]])

    found = nearest_ids(old, np.array([3, 7]), new, least_id=8, farthest=5.0)

    assert found.tolist() == [7, 3, 8]


def test_like__refit_on_later_customers__same_people_same_number() -> None:
    values, _ = grouped(3)
    before = fit().labels(values)

    again = Segmentation.fit(
        values, algorithm="gaussian_mixture", config=CONFIG, rng=rng(77), features=TELLING
    ).like(values, before, least_id=3)

    assert (again.labels(values) == before).mean() > 0.97


def test_continued__minibatch_alone() -> None:
    values, _ = grouped(3)
    model = fit(algorithm="minibatch")

    further = model.continued(values, rng=rng())

    assert (further.labels(values) == model.labels(values)).mean() > 0.95
    with pytest.raises(TypeError, match="fitted anew"):
        fit().continued(values, rng=rng())


def test_preparation__outliers_and_gaps__bounded() -> None:
    values = np.array([[1.0, np.nan], [2, np.nan], [3, np.nan], [1e12, np.nan]])

    made = Preparation.fit(values, [True, False])

    assert np.abs(made.scaled(values)).max() <= 5
    assert (made.scaled(values)[:, 1] == 0).all()
    assert np.isfinite(made.transform(values)).all()
    with pytest.raises(ValueError, match="fit together"):
        Preparation.from_arrays(made.to_arrays() | {"fill": np.zeros(3)})


def test_kmeans__more_clusters_than_customers__as_many_as_there_are() -> None:
    model = KMeans.fit(np.array([[0.0], [5.0]]), ClusterConfig(k=9), rng=rng())

    assert model.n_clusters == 2


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"algorithm": "magic"}, [("algorithm", "is one of kmeans")]),
        ({"algorithm": "kmeans", "k": 1}, [("k", "must lie between 2 and 20")]),
        ({"algorithm": "kmeans", "k": 21}, [("k", "must lie between 2 and 20")]),
        ({"algorithm": "kmeans", "reach": 2.0}, [("reach", "kmeans has no such setting")]),
        ({"algorithm": "hdbscan", "k": 4}, [("k", "hdbscan has no such setting")]),
        ({"algorithm": "hdbscan", "least_share": 0.6}, [("least_share", "between 0.002 and 0.5")]),
        ({"algorithm": "dbscan", "reach": float("nan")}, [("reach", "between 0.01 and 50")]),
        (
            {"algorithm": "dbscan", "reach": -1, "features": ["orders", "luck"]},
            [("reach", "between"), ("features", "no feature 'luck'")],
        ),
        (
            {"algorithm": "kmeans", "features": ["orders", "sessions", "orders"]},
            [("features", "'orders' is named twice")],
        ),
        ({"algorithm": "gaussian_mixture", "k": 2, "features": ["orders"]}, []),
        ({"algorithm": "minibatch", "k": 0}, []),
    ],
)
def test_faults__settings__each_is_named_with_the_fix(
    config: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    found = faults(config)

    assert [name for name, _ in found] == [name for name, _ in told]
    assert all(fix in said for (_, said), (_, fix) in zip(found, told, strict=True))


def test_methods__each_algorithm__is_described_and_reads_what_it_takes() -> None:
    assert METHODS.keys() == ALGORITHMS.keys()
    assert {one.reads for one in METHODS.values()} == set(SETTINGS)
    for key, kind in ALGORITHMS.items():
        assert (METHODS[key].reads == "k") is not kind.finds_k
