"""Each model against its formula, worked by hand or by brute force."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, random

from recommender.engine import factors, gather, products
from recommender.engine.algorithms import RECIPES
from recommender.engine.als import Als, AlsConfig
from recommender.engine.base import Interactions, SideInfo, TooDearError
from recommender.engine.baskets import Baskets, BasketsConfig
from recommender.engine.budget import OutOfTimeError
from recommender.engine.content import Content, ContentConfig
from recommender.engine.ease import Ease, EaseConfig
from recommender.engine.factors import Folding, sized
from recommender.engine.gfcf import Gfcf, GfcfConfig
from recommender.engine.groups import GroupPopularity, GroupPopularityConfig
from recommender.engine.hybrid import Hybrid, HybridConfig
from recommender.engine.item_knn import ItemKnn, ItemKnnConfig
from recommender.engine.itemitem import ItemItem
from recommender.engine.matrix import MatrixConfig, user_items
from recommender.engine.personal import (
    BuyAgain,
    BuyAgainConfig,
    RecentlyViewed,
    RecentlyViewedConfig,
)
from recommender.engine.popularity import Popularity, PopularityConfig
from recommender.engine.rp3beta import Rp3beta, Rp3betaConfig
from recommender.engine.session_knn import SessionKnn, SessionKnnConfig
from recommender.engine.svd import Svd, SvdConfig
from recommender.engine.transitions import Transitions, TransitionsConfig
from recommender.engine.units import as_visits

DAY_S = 86_400.0


def of(*rows: tuple[int, int, float], n_items: int = 0) -> Interactions:
    """(user, item, at seconds) rows as interactions of weight 1."""
    users, items, at_s = (np.array(column) for column in zip(*rows, strict=True))
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(rows), np.float32),
        at_s.astype(np.float64),
        int(users.max()) + 1,
        n_items or int(items.max()) + 1,
    )


def met(seed: int = 3, n_users: int = 30, n_items: int = 12) -> NDArray[np.float64]:
    """Who met what, (n_users, n_items) of 0 and 1; everybody something, everything by somebody."""
    rng = np.random.default_rng(seed)
    matrix = (rng.random((n_users, n_items)) < 0.3).astype(np.float64)
    matrix[np.arange(n_users), np.arange(n_users) % n_items] = 1
    return matrix


def data_of(matrix: NDArray[np.float64]) -> Interactions:
    users, items = np.nonzero(matrix)
    return of(*zip(users.tolist(), items.tolist(), [0.0] * len(users), strict=True))


def dense(model: ItemItem) -> NDArray[np.float32]:
    arrays = model.to_arrays()
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    matrix: NDArray[np.float32] = csr_matrix(parts, shape=(model.n_items,) * 2).toarray()
    return matrix


def test_bm25__brute_force__equals_the_formula() -> None:
    matrix = met()
    config = ItemKnnConfig(user_power=0, neighbours=12)
    model = ItemKnn.fit(data_of(matrix), config, as_of_s=0.0)

    lengths, n = matrix.sum(axis=1, keepdims=True), len(matrix)
    df = matrix.sum(axis=0)
    weights = matrix * 2.2 / (matrix + 1.2 * (0.7 + 0.3 * lengths / lengths.mean()))
    weights *= np.log(1 + (n - df + 0.5) / (df + 0.5))

    np.testing.assert_allclose(dense(model), weights.T @ weights, rtol=1e-5)


def test_asymmetric_cosine__brute_force__equals_the_formula() -> None:
    matrix = met()
    config = ItemKnnConfig(measure="asymmetric", user_power=0, neighbours=12, shrink=2.0)
    model = ItemKnn.fit(data_of(matrix), config, as_of_s=0.0)

    squares = matrix.sum(axis=0)
    expected = matrix.T @ matrix / (np.outer(squares**0.6, squares**0.4) + 2.0)

    np.testing.assert_allclose(dense(model), expected, rtol=1e-5)


def test_item_knn__unknown_measure__names_those_there_are() -> None:
    with pytest.raises(ValueError, match="bm25, tfidf, cosine, asymmetric"):
        ItemKnnConfig(measure="jaccard")


def test_rp3beta__brute_force__equals_the_walk() -> None:
    matrix = met()
    model = Rp3beta.fit(data_of(matrix), Rp3betaConfig(neighbours=12), as_of_s=0.0)

    popularity = matrix.sum(axis=0)
    to_users = (matrix / popularity).T ** 0.6
    to_items = (matrix / matrix.sum(axis=1, keepdims=True)) ** 0.6
    expected = to_users @ to_items / popularity**0.3
    np.fill_diagonal(expected, 0)

    np.testing.assert_allclose(dense(model), expected, rtol=1e-5)


def test_ease__brute_force__equals_the_closed_form() -> None:
    matrix = met()
    model = Ease.fit(data_of(matrix), EaseConfig(ridge=5.0), as_of_s=0.0)

    inverse = np.linalg.inv(matrix.T @ matrix + 5.0 * np.eye(12))
    expected = inverse / -np.diag(inverse)
    np.fill_diagonal(expected, 0)

    np.testing.assert_allclose(dense(model), expected, rtol=1e-4, atol=1e-6)


def test_ease__too_many_items__refused_with_an_estimate() -> None:
    with pytest.raises(TooDearError, match=r"12 items would take about .* s and .* GB"):
        Ease.fit(data_of(met()), EaseConfig(most_items=11), as_of_s=0.0)


def test_gfcf__brute_force__equals_equation_9() -> None:
    matrix = met()
    config = GfcfConfig(factors=4, neighbours=12)
    model = Gfcf.fit(data_of(matrix), config, as_of_s=0.0)

    by_user, by_item = matrix.sum(axis=1, keepdims=True) ** -0.5, matrix.sum(axis=0) ** -0.5
    graph = matrix * by_user * by_item
    low = np.linalg.svd(graph)[2][:4]
    ideal = np.diag(by_item) @ low.T @ low @ np.diag(1 / by_item)
    expected = graph.T @ graph + 0.3 * ideal
    np.fill_diagonal(expected, 0)

    np.testing.assert_allclose(dense(model), expected, atol=2e-3)


def test_transitions__hand_worked__nearer_steps_count_more() -> None:
    """One visitor met 0, 1, 2; another 0, 2. 0 to 2: .5 + 1, 0 to 1: 1, 1 to 2: 1."""
    data = of((0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 0, 1), (1, 2, 2))
    config = TransitionsConfig(decay=0.5, backward=0, row_power=0, column_power=0, half_life_days=0)
    ahead = Transitions.fit(data, config, as_of_s=0.0)
    both = Transitions.fit(data, dataclasses.replace(config, backward=0.5), as_of_s=0.0)

    assert dense(ahead).tolist() == [[0, 1, 1.5], [0, 0, 1], [0, 0, 0]]
    assert dense(both).tolist() == [[0, 1, 1.5], [0.5, 0, 1], [0.75, 0.5, 0]]


def test_transitions__query__newest_first_by_place_not_by_weight() -> None:
    data = of((0, 0, 1), (0, 2, 2), (1, 1, 1), (1, 3, 2))
    model = Transitions.fit(data, TransitionsConfig(query_decay=0.5), as_of_s=0.0)

    ranked = model.recommend(model.fold_in(np.array([1, 0]), np.array([1.0, 9.0])), 2)

    assert ranked.rows.tolist() == [3, 2]
    assert ranked.scores[0] == 2 * ranked.scores[1]


def test_transitions__same_moment__no_direction() -> None:
    model = Transitions.fit(of((0, 0, 5), (0, 1, 5)), TransitionsConfig(), as_of_s=9.0)

    assert not dense(model).any()


def _vstan(
    visits: list[list[int]], newest: list[int], config: SessionKnnConfig, n_items: int
) -> NDArray[np.float64]:
    """VSTAN item by item."""
    rare = [np.log1p(len(visits) / max(1, sum(i in v for v in visits))) for i in range(n_items)]
    near = []
    for at, visit in enumerate(visits):
        common = [place for place, item in enumerate(newest) if item in visit]
        if common:
            shared = sum(config.query_decay**place * rare[newest[place]] for place in common)
            near.append((shared / len(visit) ** 0.5, at, visit.index(newest[common[0]])))
    scores = np.zeros(n_items)
    for weight, at, match in sorted(near, reverse=True)[: config.neighbours]:
        for place, item in enumerate(visits[at]):
            scores[item] += weight * rare[item] * np.exp(-abs(place - match) / config.near)
    return scores


def test_session_knn__brute_force__equals_vstan() -> None:
    rng = np.random.default_rng(8)
    visits = [rng.permutation(15)[: rng.integers(2, 7)].tolist() for _ in range(40)]
    rows = [(v, i, 100.0 * v + p) for v, visit in enumerate(visits) for p, i in enumerate(visit)]
    config = SessionKnnConfig(neighbours=10, half_life_days=0)
    model = SessionKnn.fit(of(*rows, n_items=15), config, as_of_s=0.0)

    for newest in ([3], [7, 2], [1, 14, 5]):
        query = model.fold_in(np.array(newest), np.ones(len(newest)))
        expected = _vstan(visits, newest, config, 15)
        np.testing.assert_allclose(model.score(query), expected, rtol=1e-5)


def test_session_knn__many_visits__no_vector_of_them_all_is_kept() -> None:
    before = len(gather._scratch.sums)
    n = before + 1000
    who = np.repeat(np.arange(n), 2).astype(np.int32)
    what = np.tile(np.array([0, 1], np.int32), n)
    data = Interactions(who, what, np.ones(2 * n, np.float32), who + np.tile([0.0, 0.5], n), n, 2)
    model = SessionKnn.fit(data, SessionKnnConfig(sample=10), as_of_s=0.0)

    found = model.recommend(model.fold_in(np.array([0]), np.ones(1, np.float32)), 1)

    assert (found.rows.tolist(), len(gather._scratch.sums) < n) == ([1], True)


def test_summed__ended_in_its_middle_by_the_clock__the_next_model_sums_from_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys, shares = np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0])

    def ring(_size: int) -> None:
        raise OutOfTimeError

    with monkeypatch.context() as patched:
        patched.setattr(np, "arange", ring)
        with pytest.raises(OutOfTimeError):
            gather.summed(keys, shares, 3)

    rows, found = gather.summed(keys, shares, 3)
    assert dict(zip(rows.tolist(), found.tolist(), strict=True)) == {0: 1.0, 2: 5.0}


def test_session_knn__sample__only_the_newest_visits_of_an_item() -> None:
    data = of((0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 2, 4), (2, 0, 5), (2, 3, 6))
    model = SessionKnn.fit(data, SessionKnnConfig(sample=2), as_of_s=9.0)

    found = model.recommend(model.fold_in(np.array([0]), np.ones(1)), 5).rows

    assert set(found.tolist()) == {2, 3}


def test_user_knn__brute_force__cosine_of_histories() -> None:
    matrix = met()
    config = SessionKnnConfig(ordered=False, rare=0.0, neighbours=30)
    model = SessionKnn.fit(data_of(matrix), config, as_of_s=0.0)

    shares = matrix[:, [2, 5]] @ np.array([1.0, 0.5]) / np.sqrt(matrix.sum(axis=1))

    query = model.fold_in(np.array([2, 5]), np.array([1.0, 0.5]))
    np.testing.assert_allclose(model.score(query), shares @ matrix, rtol=1e-5)


@pytest.mark.parametrize("rows", [[1], [1, 4, 7], [0, 1, 2, 3, 4, 5, 6, 7]])
def test_als__fold_in__equals_recalculate_user(rows: list[int]) -> None:
    """With fewer items than factors, and with more."""
    data = data_of(met())
    model = Als.fit(data, AlsConfig(factors=6, alpha=3.0, ridge=2.0), as_of_s=0.0)
    theirs = AlternatingLeastSquares(
        factors=6, alpha=3.0, regularization=2.0, num_threads=1, random_state=1
    )
    theirs.item_factors = model.to_arrays()["items"]
    query = model.fold_in(np.array(rows), np.linspace(2.0, 0.2, len(rows)))
    row = csr_matrix((query.weights, query.rows, [0, len(rows)]), shape=(1, 12))

    np.testing.assert_allclose(
        model.vector(query), theirs.recalculate_user(0, row), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(
    ("sizes", "factors"),
    [
        ((100, 50, 0), 16),
        ((20_000, 4_000, 200_000), 128),
        ((30_000, 41_000, 800_000), 256),
        ((200_000, 100_000, 1_000_000), 128),
        ((10**6, 10**6, 10**7), 16),
        ((8, 5, 40), 4),
    ],
)
def test_sized__by_the_data__no_more_than_an_answer_can_read(
    sizes: tuple[int, int, int], factors: int
) -> None:
    assert sized(0, *sizes) == factors
    assert sized(3, *sizes) == 3


def test_als__reasons__are_the_largest_shares_of_the_score() -> None:
    """Section 5 of the paper: a score is a sum over the items of the past."""
    model = Als.fit(data_of(met()), AlsConfig(factors=6), as_of_s=0.0)
    query = model.fold_in(np.array([1, 4, 7]), np.array([1.0, 0.5, 2.0]))
    items = model.to_arrays()["items"].astype(np.float64)
    ridge, alpha = model.to_arrays()["fold"]
    c = alpha * query.weights
    own = items[query.rows]
    normal = items.T @ items + own.T @ (own * (c - 1)[:, None]) + ridge * np.eye(6)
    shares = (items @ np.linalg.inv(normal) @ own.T) * c

    np.testing.assert_allclose(shares.sum(axis=1), model.score(query), rtol=1e-3, atol=1e-5)
    told = model.reasons(query, np.arange(12, dtype=np.int32))
    assert (
        told.tolist()
        == np.where(shares.max(axis=1) > 0, query.rows[shares.argmax(axis=1)], -1).tolist()
    )


def test_svd__brute_force__projects_onto_the_first_directions() -> None:
    matrix = met()
    config = SvdConfig(factors=3, popularity_power=0, user_power=0)
    model = Svd.fit(data_of(matrix), config, as_of_s=0.0)
    right = np.linalg.svd(matrix)[2][:3]

    query = model.fold_in(np.array([2]), np.ones(1))
    np.testing.assert_allclose(model.score(query), right.T @ right[:, 2], atol=2e-3)


def test_buy_again__hand_worked__who_returns_and_when() -> None:
    """Item 0 comes back every 10 days, item 1 never does."""
    day = [(0, 0, 0), (0, 0, 10 * DAY_S), (1, 0, 0), (1, 0, 10 * DAY_S), (0, 1, 0), (1, 1, 0)]
    config = BuyAgainConfig(prior=0.0, half_life_days=1e9, waiting=0.5)
    model = BuyAgain.fit(of(*day), config, as_of_s=0.0)

    def score(age: float) -> list[float]:
        query = model.fold_in(np.array([0, 1]), np.ones(2), np.full(2, age))
        return [round(value, 4) for value in model.score(query).tolist()]

    assert score(0.0) == [0.5, 0.0]
    assert score(5.0) == [0.75, 0.0]
    assert score(10.0) == [1.0, 0.0]
    assert score(90.0) == [1.0, 0.0]


def test_buy_again__twice_in_one_basket__no_return() -> None:
    model = BuyAgain.fit(of((0, 0, 0), (0, 0, 60)), BuyAgainConfig(prior=0.0), as_of_s=0.0)

    assert model.to_arrays()["repeat"][0] < 1e-9


def test_recently_viewed__newest_first() -> None:
    model = RecentlyViewed.fit(of((0, 4, 0)), RecentlyViewedConfig(), as_of_s=0.0)
    query = model.fold_in(np.array([3, 1, 3, 0]), np.ones(4))

    assert model.recommend(query, 5, own=True).rows.tolist() == [3, 1, 0]
    assert not len(model.recommend(query, 5).rows)


def test_trending__what_rises__before_what_always_sells() -> None:
    steady = [(user, 0, -DAY_S * user) for user in range(40)]
    rising = [(user, 1, -DAY_S * 0.1 * user) for user in range(10)]
    data = of(*steady, *rising)
    config = PopularityConfig(half_life_days=3, against_days=60)

    trending = Popularity.fit(data, config, as_of_s=0.0)
    usual = Popularity.fit(data, PopularityConfig(), as_of_s=0.0)

    assert trending.to_arrays()["order"].tolist() == [1, 0]
    assert usual.to_arrays()["order"].tolist() == [0, 1]


def test_popular_in_category__query__says_which() -> None:
    data = of((0, 0, 0), (1, 0, 0), (2, 1, 0), (0, 2, 0), (1, 2, 0), (2, 3, 0))
    side = SideInfo(categories=[["a"], ["a"], ["b"], ["b"]])
    model = GroupPopularity.fit(data, GroupPopularityConfig(), as_of_s=0.0, side=side)

    assert model.recommend(model.fold_in(np.array([1]), np.ones(1)), 9).rows.tolist() == [0]
    assert model.recommend(model.fold_in(np.array([3]), np.ones(1)), 9).rows.tolist() == [2]


def test_popular_in_group__unknown_group__everybody() -> None:
    data = of((0, 0, 0), (1, 1, 0), (2, 1, 0))
    side = SideInfo(groups=[["country=NL"], ["country=DE"], ["country=DE", "segment=vip"]])
    config = GroupPopularityConfig(by="group")
    model = GroupPopularity.fit(data, config, as_of_s=0.0, side=side)

    def first(name: str) -> list[int]:
        query = model.fold_in(np.zeros(0, int), np.zeros(0), group=model.group_of(name))
        return list(model.recommend(query, 9).rows)

    assert first("country=NL") == [0]
    assert first("segment=vip") == [1]
    assert first("country=FR") == [1, 0]


def test_content__shared_words__alike_without_anybody_s_click() -> None:
    side = SideInfo(
        attributes=[["brand=x"], ["brand=x"], ["brand=y"], []],
        texts=["red shoe", "red boot", "blue hat", "blue cap"],
    )
    nobody = Interactions(
        np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0), 0, 4
    )
    model = Content.fit(nobody, ContentConfig(), as_of_s=0.0, side=side)

    assert model.recommend(model.fold_in(np.array([0]), np.ones(1)), 3).rows.tolist() == [1]
    assert model.recommend(model.fold_in(np.array([3]), np.ones(1)), 3).rows.tolist() == [2]


def test_hybrid__cold_item__found_by_fans_of_its_brand() -> None:
    """Items 0 to 4 are of one brand, 5 to 9 of another; nobody has met 4 and 9."""
    rows = [
        (user, 5 * (user % 2) + step, float(step))
        for user in range(40)
        for step in range(4)
        if step != user % 5
    ]
    side = SideInfo(attributes=[[f"brand={row // 5}"] for row in range(10)])
    data = of(*rows, n_items=10)
    model = Hybrid.fit(data, HybridConfig(factors=4), as_of_s=0.0, side=side)
    plain = Als.fit(data, AlsConfig(factors=4), as_of_s=0.0)
    query = model.fold_in(np.array([5, 6]), np.ones(2))

    assert 9 in model.recommend(query, 3).rows.tolist()
    assert 9 not in plain.recommend(query, 9).rows.tolist()


def test_baskets__size__picks_the_model() -> None:
    rng = np.random.default_rng(2)
    rows = [(basket, int(item), 0.0) for basket in range(60) for item in rng.integers(0, 20, 4)]
    data = of(*rows, n_items=20)
    many = Baskets.fit(data, BasketsConfig(ease_baskets=50), as_of_s=0.0)
    few = Baskets.fit(data, BasketsConfig(ease_baskets=500), as_of_s=0.0)

    assert dense(many).min() < 0, "EASE has negative weights"
    assert 0 <= dense(few).min() <= dense(few).max() < 1


def test_as_visits__half_an_hour_of_silence__another_visit() -> None:
    visits = as_visits(of((0, 0, 0), (0, 1, 1800), (0, 2, 3601), (1, 0, 0)))

    assert visits.users.tolist() == [0, 0, 1, 2]
    assert visits.n_users == 3


def test_user_items__bot__moves_no_more_than_its_caps() -> None:
    rows = [(0, item, float(item)) for item in range(8) for _ in range(50)]
    matrix = user_items(
        of(*rows, (1, 0, 0)), MatrixConfig(cap=4, pair_cap=3.0, half_life_days=0), 0.0
    ).toarray()

    np.testing.assert_allclose(matrix[0], [0, 0, 0, 0, 1.5, 1.5, 1.5, 1.5])
    np.testing.assert_allclose(matrix[1], [1, 0, 0, 0, 0, 0, 0, 0])


def test_largest__blocks_of_any_size__equal_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    left = random(40, 30, 0.2, format="csr", dtype=np.float32, random_state=1)
    right = random(30, 50, 0.2, format="csr", dtype=np.float32, random_state=2)
    whole = (left @ right).toarray()
    np.fill_diagonal(whole, 0)
    expected = np.where(whole >= -np.sort(-whole, axis=1)[:, 4:5], whole, 0)

    for block in (1, 100, 10**6):
        monkeypatch.setattr(products, "_BLOCK", block)
        found = products.largest(left, right, 5, diagonal=False)
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize("width", [40, 9000])
def test_largest_of_dense__sampled_bounds__equal_brute_force(width: int) -> None:
    """What is large stands in the columns that a sample of every second one sees, or misses."""
    rows = np.random.default_rng(4).normal(size=(3, width)).astype(np.float32)
    rows[0, 1:41:2] *= 100
    rows[1, 0:40:2] *= 100
    found = products.largest_of_dense(lambda a, b: rows[a:b], rows.shape, 10, block=2)

    expected = np.where(np.abs(rows) >= -np.sort(-np.abs(rows), axis=1)[:, 9:10], rows, 0)
    np.testing.assert_array_equal(found.toarray(), expected)


def test_recommend__large_catalogue__touches_neighbours_alone() -> None:
    """After the first answer of a thread nothing as long as the catalogue is made."""
    n_items = 500_000
    indptr = np.minimum(np.arange(n_items + 1), 1000).astype(np.int32) * 20
    rng = np.random.default_rng(0)
    indices = rng.integers(0, n_items, 20_000).astype(np.int32)
    model = ItemKnn(indptr, indices, np.ones(20_000, np.float32), ItemKnnConfig())
    query = model.fold_in(np.arange(50), np.ones(50))
    model.recommend(query, 12)

    tracemalloc.start()
    model.recommend(query, 12)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < n_items / 2


@pytest.mark.parametrize(
    "name", ["popularity", "item_knn", "rp3beta", "transitions", "session_knn", "also_viewed"]
)
def test_fit__memory__bounded_by_data_and_model(name: str) -> None:
    """Peak of what NumPy holds: 5 times the interaction arrays and 2 times the model at most."""
    rng = np.random.default_rng(6)
    size = 100_000
    data = Interactions(
        rng.integers(0, 20_000, size).astype(np.int32),
        (3000 * rng.power(0.5, size)).astype(np.int32),
        np.ones(size, np.float32),
        rng.uniform(0, 30 * DAY_S, size),
        20_000,
        3000,
    )
    recipe = RECIPES[name]
    tracemalloc.start()
    model = recipe.algorithm.fit(data, recipe.config, as_of_s=30 * DAY_S)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    held = sum(array.nbytes for array in (data.users, data.items, data.weights, data.at_s))
    fitted = sum(array.nbytes for array in model.to_arrays().values())
    assert peak <= 5 * held + 2 * fitted


def spread(n_items: int, *, seed: int = 5) -> Als:
    """A model of vectors whose directions tell less and less, as what training finds."""
    rng = np.random.default_rng(seed)
    items = (rng.normal(size=(n_items, 16)) / np.arange(1, 17)).astype(np.float32)
    items = items @ np.linalg.qr(rng.normal(size=(16, 16)))[0].astype(np.float32)
    return Als(items, np.zeros(n_items, np.float32), Folding(items.T @ items, 500.0, 5.0))


def test_factors__large__are_stored_turned_and_answer_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(factors, "HEADED", 1000)
    fitted = spread(900)
    stored = Als.from_arrays(fitted.to_arrays(), AlsConfig())
    query = fitted.fold_in(np.array([3, 700, 41]), np.array([1.0, 2.0, 0.5]))

    assert stored.to_arrays()["head"].shape == (900, 8)
    np.testing.assert_allclose(stored.score(query), fitted.score(query), atol=1e-5)
    # a thousand may be looked at whole, so nothing is missed
    for own in (False, True):
        whole = fitted.recommend(query, 20, own=own)
        np.testing.assert_array_equal(stored.recommend(query, 20, own=own).rows, whole.rows)
    few = np.arange(900) % 50 == 1
    found = stored.recommend(query, 20, allowed=few)
    assert found.rows.tolist() == fitted.recommend(query, 20, allowed=few).rows.tolist()
    assert 41 not in found.rows.tolist()


def test_factors__large__miss_little_of_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "HEADED", 1000)
    fitted = spread(20_000)
    stored = Als.from_arrays(fitted.to_arrays(), AlsConfig())
    allowed = np.random.default_rng(1).random(20_000) < 0.9

    shares = []
    for at in range(50):
        query = fitted.fold_in(np.arange(at, at + 5), np.ones(5))
        whole = fitted.recommend(query, 20, allowed=allowed)
        found = stored.recommend(query, 20, allowed=allowed)
        assert allowed[found.rows].all()
        assert not np.isin(found.rows, query.rows).any()
        shares.append(np.isin(whole.rows, found.rows).mean())

    assert np.mean(shares) > 0.9


def test_factors__head_of_another_length__is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "HEADED", 1000)
    arrays = spread(900).to_arrays()

    with pytest.raises(ValueError, match="do not fit together"):
        Als.from_arrays(arrays | {"head": arrays["head"][1:]}, AlsConfig())
